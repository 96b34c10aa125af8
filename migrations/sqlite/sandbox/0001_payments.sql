-- The sandbox provider's own records: what the audit compares the sale's money with.

-- One row a payment key; a repeated request under a key changes nothing.
create table payments (
    key blob primary key,     -- the sale's payment key: the idempotency key
    minor integer not null,   -- amount in the currency's smallest unit
    currency text not null,
    method text not null,
    state text not null       -- JSON of the provider's state
) strict;
