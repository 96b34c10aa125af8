//! The way into the log for everyone inside the engine: gateways, operator API, settler, schedule.

use async_trait::async_trait;
use flashsale_core::{Outcome, Position};

use crate::record::Entry;

/// What became of a submitted command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Submitted {
    /// Decided and committed.
    Decided {
        /// Where.
        position: Position,
        /// The record's time, Unix ms.
        timestamp: i64,
        /// What it came to.
        outcome: Outcome,
    },
    /// Appended, or perhaps appended, and not decided within the limit: ask again later, never say "failed".
    Pending,
    /// Not appended: the reason is a word for the shopper and the operator.
    Overloaded(&'static str),
}

/// Submits commands in micro-batches of its own (gateway, boot).
#[async_trait]
pub trait Submit: Send + Sync {
    /// Appends one command and waits for its decision, at most `within`.
    async fn submit(&self, entry: Entry, within: std::time::Duration) -> Submitted;
}
