//! PostgreSQL 15 or newer: the ledger of a run, in a schema of its own.
//!
//! - [`servers`]: which of the addresses is the primary, on the highest timeline.
//! - [`link`]: a connection of the writer's own, and the statement on it whose end is not known.
//! - [`statement`], of [`parts`]: one batch, one fenced statement, one round trip.
//! - [`ledger`]: the ledger as its writer sees it.
//! - [`readers`], [`history`]: the ledger as everyone else sees it.

mod history;
mod ledger;
mod link;
mod migration;
mod mismatch;
mod parts;
mod readers;
mod rows;
mod servers;
mod statement;

pub use ledger::PostgresLedger;

use crate::ports::LedgerError;

/// What went wrong on the way to the server or in it: it may be well again later.
fn unavailable(error: sqlx::Error) -> LedgerError {
    LedgerError::Unavailable(error.to_string())
}
