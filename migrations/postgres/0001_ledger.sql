-- The ledger of one run in PostgreSQL 15 or newer, in a schema of its own: what the fold of its log came to. The same
-- tables as the embedded ledger's; the differences are named.

-- The one writer's row: compared and swapped by the first part of every batch's statement. One page, rewritten in place.
create table writer (
    one boolean primary key default true check (one),
    run uuid,                                     -- the run whose ledger this is; null before its first commit
    epoch bigint not null default 0,              -- raised by every takeover: the fence
    writer uuid not null,                         -- who owns the epoch; the nil uuid after a clean stop
    generation bigint not null default 0,         -- of the log
    next_offset bigint not null default 0,        -- of the next record to fold
    digest bigint not null default 0,             -- of the state there (64 bits, as they are)
    chain bytea not null,                         -- the audit chain's head
    log uuid not null,                            -- the log's identity
    last_record bytea not null                    -- hash of the last record folded
) with (fillfactor = 10);

-- What moves beside the commits, in a row of its own: a beat or a mark must neither wait for the writer row's lock, which
-- a commit keeps while it waits for a standby, nor make a commit wait for its own.
create table progress (
    one boolean primary key default true check (one),
    beat bigint not null default 0,               -- moves while the writer lives
    generation bigint not null default 0,         -- that published_through counts in; another than the writer's: 0
    published_through bigint not null default 0   -- everything below is published
) with (fillfactor = 10);

-- One row an item. The check is the last line of defence against an oversell: no batch that breaks it commits.
create table inventory (
    item integer primary key,         -- place in the definition
    total bigint not null,            -- units, as defined and adjusted
    shortage bigint not null,         -- units missing or withdrawn: never part of the check
    held bigint not null check (held >= 0),
    sold bigint not null check (sold >= 0),
    waiting bigint not null check (waiting >= 0),
    check (held + sold <= total)
) with (fillfactor = 10);

-- One row a hold, by its ascending number; every further index would cost each grant, while the sale is live, more than
-- its row. Half of each page is left free: a hold that ends is rewritten in its own page and touches no index.
create table reservations (
    hold bigint primary key,
    subject text not null,            -- the token's sub
    item integer not null,
    status smallint not null,         -- 0 waiting, 1 offered, 2 held, 3 confirmed, 4 cancelled, 5 expired, 6 failed, 7 refunded
    since bigint not null,            -- log time, ms
    expires_at bigint not null,       -- Unix ms
    payment bigint,                   -- that bought it
    parent bigint,                    -- the expired hold that a late payment replaced by this one
    request uuid                      -- the 16 bytes of the request that was granted; not indexed: random keys would
                                      -- dirty a page a grant, and gateways answer from memory
) with (fillfactor = 50);

-- Confirmed reservations in the order they were confirmed.
create table orders (
    hold bigint primary key,
    generation bigint not null,       -- where it was confirmed: (generation, offset, place)
    log_offset bigint not null,
    place bigint not null
);

-- Refunds, by the order they give back.
create table refunds (
    hold bigint primary key,
    state smallint not null,          -- 0 planned, 1 sent, 2 confirmed
    restock boolean not null          -- the unit goes back on sale
);

-- Payment attempts; the key is the provider's idempotency key.
create table payments (
    payment bigint primary key,
    key uuid not null,                -- 16 bytes
    hold bigint not null,             -- it was started for
    bought bigint,                    -- the hold it bought
    state smallint not null           -- 0 started, 1 confirmed, 2 captured, 3 to void, 4 voided
) with (fillfactor = 50);

-- One row a batch: the hash chain, and the outbox that decisions and events are published from.
create table audit (
    generation bigint not null,
    next_offset bigint not null,
    first_offset bigint not null,
    epoch bigint not null,
    digest bigint not null,
    records_hash bytea not null,
    chain bytea not null,
    committed bytea not null,         -- encoded decisions
    committed_at bigint not null,     -- Unix ms, by the ledger's clock; not part of the chain
    items integer not null,           -- rows of inventory that the batch moved on, and rows of reservations: null, hence
    holds integer not null,           -- refused, when one was not there as the writer left it
    primary key (generation, next_offset)
);
-- Dense already: trying to compress it costs the writer time and saves next to nothing.
alter table audit alter column committed set storage external;

-- The newest states, so that a restart replays seconds and not the sale.
create table snapshots (
    generation bigint not null,
    next_offset bigint not null,
    digest bigint not null,
    state bytea not null,
    primary key (generation, next_offset)
);
alter table snapshots alter column state set storage external;

-- The gate, when it is shut: needs no log, seen by every gateway within half a second.
create table gate (
    one boolean primary key default true check (one),
    since bigint not null,            -- Unix ms
    by_whom text not null,
    reason text not null,
    invariant boolean not null        -- opening it needs a passing audit
);

-- Nobody has written yet.
insert into writer (writer, chain, log, last_record)
values ('00000000-0000-0000-0000-000000000000', decode(repeat('00', 32), 'hex'),
        '00000000-0000-0000-0000-000000000000', decode(repeat('00', 32), 'hex'));
insert into progress default values;
