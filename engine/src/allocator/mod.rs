//! The one writer: folds the log, commits, tells. Decides nothing by any clock, cache or row.
//!
//! In the order data flows: [`takeover`] and [`rebuild`] make a writer of a process; [`fold`] is what a record does to
//! the sale, for everyone who folds; [`step`] is the synchronous heart, records in, a prepared commit out; [`commit`]
//! brings it into the ledger; [`service`] is the loop around them, with [`ticks`] for time and [`gauges`] for eyes.

pub mod gauges;
