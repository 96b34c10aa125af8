//! The one writer: folds the log, commits, tells. Decides nothing by any clock, cache or row.
//!
//! In the order data flows: [`takeover`], [`rebuild`] and [`witnesses`] make a writer of a process; [`fold`] is what a record does to
//! the sale, for everyone who folds; [`step`] is the synchronous heart, records in, a prepared commit out; [`commit`]
//! brings it into the ledger; [`service`] is the loop around them, with [`ticks`] and [`nudges`] for time, `shadow` for
//! snapshots, `landing` for what goes wrong on the way and [`gauges`] for eyes.

pub mod commit;
pub mod failpoint;
pub mod fold;
pub mod gauges;
mod landing;
pub mod notices;
pub mod nudges;
pub mod rebuild;
pub mod service;
mod shadow;
pub mod step;
pub mod takeover;
pub mod ticks;
pub mod witnesses;
mod writing;
