//! A log that lost records, put aside for a new one that begins with a record of its own.

use std::fs::File;
use std::path::{Path, PathBuf};

use sqlx::sqlite::SqliteSynchronous;
use sqlx::{Connection, SqliteConnection};

use super::log::identity;
use super::{OpenError, options};

/// SQLite's files of one database.
const PARTS: [&str; 3] = ["", "-wal", "-shm"];

/// Begins a new log at `path` with `first`, its timestamp Unix ms, and answers where the old one is kept. Killed half
/// way, either the old log is there or the new one, or none: then doing it again is right.
///
/// # Errors
/// When a process appends to the log, and the file system's and SQLite's.
pub async fn renew(path: &Path, generation: u32, timestamp: i64, first: &[u8]) -> Result<PathBuf, OpenError> {
    let lock = File::create(path.with_extension("lock")).map_err(|error| OpenError::unfit(path, error))?;
    lock.try_lock().map_err(|_| OpenError::InUse(path.display().to_string()))?;
    let next = path.with_extension("next.db");
    write_new(&next, timestamp, first).await.map_err(|error| OpenError::unfit(&next, error))?;
    let aside = free(path, generation);
    put_aside(path, &next, &aside).map_err(|error| OpenError::unfit(path, error))?;
    Ok(aside)
}

/// Whole and synced before anyone sees it under its name.
async fn write_new(next: &Path, timestamp: i64, first: &[u8]) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    for part in PARTS {
        match std::fs::remove_file(with(next, part)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    let options = options(next, SqliteSynchronous::Full).create_if_missing(true);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    sqlx::migrate!("../migrations/sqlite/log").run(&mut connection).await?;
    identity(&mut connection).await?;
    sqlx::query("insert into records (id, timestamp, bytes) values (1, ?, ?)")
        .bind(timestamp)
        .bind(first)
        .execute(&mut connection)
        .await?;
    sqlx::query("pragma wal_checkpoint(truncate)").execute(&mut connection).await?;
    connection.close().await?;
    File::open(next)?.sync_all()?;
    Ok(())
}

fn put_aside(path: &Path, next: &Path, aside: &Path) -> std::io::Result<()> {
    for part in PARTS {
        match std::fs::rename(with(path, part), with(aside, part)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    std::fs::rename(next, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// `log.0.db`; `log.0.2.db` when a former try left the first.
fn free(path: &Path, generation: u32) -> PathBuf {
    let names = std::iter::once(format!("{generation}.db")).chain((2..).map(|n: u32| format!("{generation}.{n}.db")));
    let mut paths = names.map(|name| path.with_extension(name));
    paths.find(|path| !path.exists()).unwrap_or_else(|| path.with_extension("aside.db"))
}

fn with(path: &Path, part: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(part);
    name.into()
}
