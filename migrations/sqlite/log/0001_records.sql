-- The commands log of the embedded stack: a file of its own, so that its syncs never wait for the ledger's.

-- Which log this is: another identity means that the file was deleted and made again.
create table identity (
    id text not null
) strict;

-- One row a record. The offset is id - 1; ids are given by the one writer, without a gap.
create table records (
    id integer primary key autoincrement,
    timestamp integer not null, -- the log's own time, Unix ms
    bytes blob not null         -- one version byte, then postcard
) strict;
