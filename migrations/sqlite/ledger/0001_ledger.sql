-- The ledger of one run: what the fold of its log came to. A code tour starts here.

-- The one writer's row: compared and swapped in the transaction of every batch.
create table writer (
    one integer primary key check (one = 1),
    run text,                                     -- the run whose ledger this is; null before its first commit
    epoch integer not null default 0,             -- raised by every takeover: the fence
    writer text not null,                         -- who owns the epoch; the nil uuid after a clean stop
    generation integer not null default 0,        -- of the log
    next_offset integer not null default 0,       -- of the next record to fold
    digest integer not null default 0,            -- of the state there (64 bits, as they are)
    chain blob not null,                          -- the audit chain's head
    log text not null,                            -- the log's identity
    last_record blob not null,                    -- hash of the last record folded
    published_through integer not null default 0, -- everything below is published
    beat integer not null default 0               -- moves while the writer lives
) strict;

-- One row an item. The check is the last line of defence against an oversell: no batch that breaks it commits.
create table inventory (
    item integer primary key,         -- place in the definition
    total integer not null,           -- units, as defined and adjusted
    shortage integer not null,        -- units missing or withdrawn: never part of the check
    held integer not null check (held >= 0),
    sold integer not null check (sold >= 0),
    waiting integer not null check (waiting >= 0),
    check (held + sold <= total)
) strict;

-- One row a hold, by its number; every further index would cost each grant, while the sale is live, more than its row.
create table reservations (
    hold integer primary key,
    subject text not null,            -- the token's sub
    item integer not null,
    status integer not null,          -- 0 waiting, 1 offered, 2 held, 3 confirmed, 4 cancelled, 5 expired, 6 failed, 7 refunded
    since integer not null,           -- log time, ms
    expires_at integer not null,      -- Unix ms
    payment integer,                  -- that bought it
    parent integer,                   -- the expired hold that a late payment replaced by this one
    request blob                      -- the 16 bytes of the request that was granted; not indexed: random keys would
                                      -- dirty a page a grant, and gateways answer from memory
) strict;

-- Confirmed reservations in the order they were confirmed.
create table orders (
    hold integer primary key,
    generation integer not null,      -- where it was confirmed: (generation, offset, place)
    log_offset integer not null,
    place integer not null
) strict;

-- Refunds, by the order they give back.
create table refunds (
    hold integer primary key,
    state integer not null,           -- 0 planned, 1 sent, 2 confirmed
    restock integer not null          -- the unit goes back on sale
) strict;

-- Payment attempts; the key is the provider's idempotency key.
create table payments (
    payment integer primary key,
    key blob not null,
    hold integer not null,            -- it was started for
    bought integer,                   -- the hold it bought
    state integer not null            -- 0 started, 1 confirmed, 2 captured, 3 to void, 4 voided
) strict;

-- One row a batch: the hash chain, and the outbox that decisions and events are published from.
create table audit (
    next_offset integer not null,
    generation integer not null,
    first_offset integer not null,
    epoch integer not null,
    digest integer not null,
    records_hash blob not null,
    chain blob not null,
    committed blob not null,          -- encoded decisions
    committed_at integer not null,    -- Unix ms, by the ledger's clock; not part of the chain
    primary key (generation, next_offset)
) strict;

-- The gate, when it is shut: engine-local, needs no log, seen by every gateway within half a second.
create table gate (
    one integer primary key check (one = 1),
    since integer not null,           -- Unix ms
    by_whom text not null,
    reason text not null,
    invariant integer not null        -- opening it needs a passing audit
) strict;
