//! The embedded stack: two SQLite files, and the rest in this process.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::ServeError;
use super::stores::{Outlets, Remains, Stores};
use crate::adapters::event_file::EventFile;
use crate::adapters::memory_cache::MemoryCache;
use crate::adapters::sandbox::Sandbox;
use crate::adapters::sqlite::{SqliteLedger, SqliteLog, renew};
use crate::adapters::system_clock::SystemClock;
use crate::ports::{Clock, Log};

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

/// What is left of a run whose log may be gone.
pub(super) async fn open_remains(run: &Path) -> Result<Remains, ServeError> {
    let path = run.join("ledger.db");
    if !path.exists() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "this run has no ledger.db yet").into());
    }
    let log = SqliteLog::open_reader(&run.join("log.db")).await.ok().map(|log| -> Arc<dyn Log> { Arc::new(log) });
    Ok((log, Arc::new(SqliteLedger::open(&path).await?)))
}

/// Begins the log that comes after `generation` with its first record; answers where the old one is.
pub(super) async fn renew_log(run: &Path, generation: u32, first: &[u8]) -> Result<String, ServeError> {
    let aside = renew(&run.join("log.db"), generation, SystemClock::default().now(), first).await?;
    Ok(aside.display().to_string())
}

/// The logs of former generations, as far as they can still be read.
pub(super) async fn former_logs(run: &Path, generation: u32) -> Vec<(u32, Arc<dyn Log>)> {
    let mut found: Vec<(u32, Arc<dyn Log>)> = Vec::new();
    for former in 0..generation {
        if let Ok(log) = SqliteLog::open_reader(&run.join(format!("log.{former}.db"))).await {
            found.push((former, Arc::new(log)));
        }
    }
    found
}
