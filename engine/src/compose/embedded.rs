//! The embedded stack: two SQLite files, and the rest in this process.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::ServeError;
use super::stores::{Outlets, Stores};
use crate::adapters::event_file::EventFile;
use crate::adapters::memory_cache::MemoryCache;
use crate::adapters::sandbox::Sandbox;
use crate::adapters::sqlite::{SqliteLedger, SqliteLog};
use crate::adapters::system_clock::SystemClock;

/// Opens a run's stores for an engine, and what it writes to besides.
pub(super) async fn open(run: &Path) -> Result<(Stores, Outlets), ServeError> {
    std::fs::create_dir_all(run)?;
    let log = SqliteLog::open(&run.join("log.db")).await?;
    let outlets = Outlets {
        cache: Arc::new(MemoryCache::new(SystemClock::default())),
        events: Arc::new(EventFile::open(&run.join("events.jsonl")).await?),
        decisions: None,
        alone: true,
    };
    Ok((stores(run, log).await?, outlets))
}

/// Opens them beside a running engine, to read.
pub(super) async fn open_reader(run: &Path) -> Result<Stores, ServeError> {
    for store in ["log.db", "ledger.db"] {
        if !run.join(store).exists() {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("this run has no {store} yet")).into());
        }
    }
    let log = SqliteLog::open_reader(&run.join("log.db")).await?;
    stores(run, log).await
}

async fn stores(run: &Path, log: SqliteLog) -> Result<Stores, ServeError> {
    let ledger = Arc::new(SqliteLedger::open(&run.join("ledger.db")).await?);
    let payments = Arc::new(Sandbox::open(&run.join("payments.db")).await?);
    Ok(Stores { log: Arc::new(log), ledger: ledger.clone(), history: ledger, payments })
}
