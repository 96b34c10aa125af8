//! SQLite: the durable log and the ledger of the embedded stack, a file each.

mod checkpoints;
mod commit;
mod history;
mod ledger;
mod log;
mod renew;
mod rows;
mod snapshots;

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};

pub use ledger::SqliteLedger;
pub use log::SqliteLog;
pub use renew::renew;

/// How long a connection waits for another's lock.
const BUSY: Duration = Duration::from_secs(5);

/// A store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("{0} is in use by another process")]
    InUse(String),
    /// The file is not what it should be.
    #[error("{file}: {what}")]
    Unfit {
        /// Which.
        file: String,
        /// Why.
        what: String,
    },
}

impl OpenError {
    fn unfit(file: &Path, what: impl ToString) -> Self {
        Self::Unfit { file: file.display().to_string(), what: what.to_string() }
    }
}

fn options(path: &Path, synchronous: SqliteSynchronous) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(synchronous)
        .pragma("fullfsync", "on") // macOS: a sync reaches the disk; elsewhere it says nothing
        .pragma("wal_autocheckpoint", "65536") // pages; `checkpoints` keeps the WAL far shorter
        .busy_timeout(BUSY)
}
