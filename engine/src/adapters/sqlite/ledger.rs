//! The ledger as its writer sees it.

use std::path::Path;

use async_trait::async_trait;
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, Row, SqliteConnection};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::checkpoints::Checkpoints;
use super::commit::{self, Written};
use super::rows::{checkpoint, damaged, word};
use super::snapshots::Snapshots;
use super::{OpenError, options};
use crate::ports::{Checkpoint, CommitEnd, Ledger, LedgerBatch, LedgerError, LedgerRows, Snapshot};

/// Connections of everyone but the writer.
const READERS: u32 = 4;

/// A ledger in one SQLite file.
pub struct SqliteLedger {
    /// The only connection that writes.
    pub(super) writing: Mutex<SqliteConnection>,
    pub(super) readers: SqlitePool,
    pub(super) snapshots: Snapshots,
    _checkpoints: Checkpoints,
}

impl SqliteLedger {
    /// Opens (or makes) the ledger.
    ///
    /// # Errors
    /// When the file is not a ledger of this version.
    pub async fn open(path: &Path) -> Result<Self, OpenError> {
        let unfit = |error: &dyn std::fmt::Display| OpenError::unfit(path, error);
        let options = options(path, SqliteSynchronous::Normal);
        let making = options.clone().create_if_missing(true);
        let mut connection = SqliteConnection::connect_with(&making).await.map_err(|error| unfit(&error))?;
        let tables = sqlx::migrate!("../migrations/sqlite/ledger");
        if tables.run_direct(None, &mut connection, false).await.is_err() {
            // Another process that opened it first, too, may have made them meanwhile: then they are found.
            tables.run_direct(None, &mut connection, false).await.map_err(|error| unfit(&error))?;
        }
        let mode = sqlx::query("pragma synchronous").fetch_one(&mut connection).await.map_err(|error| unfit(&error))?;
        if mode.try_get::<i64, _>(0).map_err(|error| unfit(&error))? != 1 {
            return Err(unfit(&"synchronous is not 1 (normal)"));
        }
        sqlx::query(
            "insert into writer (one, writer, chain, log, last_record)
             values (1, ?, zeroblob(32), ?, zeroblob(32)) on conflict do nothing",
        )
        .bind(Uuid::nil().to_string())
        .bind(Uuid::nil().to_string())
        .execute(&mut connection)
        .await
        .map_err(|error| unfit(&error))?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_with(options.read_only(true))
            .await
            .map_err(|error| unfit(&error))?;
        let checkpoints = Checkpoints::of(path, SqliteSynchronous::Normal).await.map_err(|error| unfit(&error))?;
        let (writing, snapshots) = (Mutex::new(connection), Snapshots::beside(path));
        Ok(Self { writing, readers, snapshots, _checkpoints: checkpoints })
    }

    async fn row(connection: &mut SqliteConnection) -> Result<Checkpoint, LedgerError> {
        let row = sqlx::query("select * from writer").fetch_one(connection).await.map_err(unavailable)?;
        checkpoint(&row)
    }
}

pub(super) fn unavailable(error: sqlx::Error) -> LedgerError {
    LedgerError::Unavailable(error.to_string())
}

/// Work that waits for the disk.
pub(super) async fn off_the_runtime<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, LedgerError> {
    let done = tokio::task::spawn_blocking(work).await.map_err(|error| LedgerError::Unavailable(error.to_string()))?;
    done.map_err(|error| LedgerError::Unavailable(error.to_string()))
}

#[async_trait]
impl Ledger for SqliteLedger {
    async fn checkpoint(&self) -> Result<Checkpoint, LedgerError> {
        Self::row(&mut *self.writing.lock().await).await
    }

    async fn take_over(&self, seen: u64, writer: Uuid) -> Result<Option<Checkpoint>, LedgerError> {
        let mut connection = self.writing.lock().await;
        let taken = sqlx::query("update writer set epoch = epoch + 1, writer = ?, beat = beat + 1 where epoch = ?")
            .bind(writer.to_string())
            .bind(word(seen))
            .execute(&mut *connection)
            .await
            .map_err(unavailable)?;
        if taken.rows_affected() == 0 {
            return Ok(None);
        }
        Self::row(&mut connection).await.map(Some)
    }

    async fn commit(&self, batch: &LedgerBatch) -> Result<CommitEnd, LedgerError> {
        let mut connection = self.writing.lock().await;
        let mut transaction = connection.begin_with("begin immediate").await.map_err(unavailable)?;
        let end = match commit::write(&mut transaction, batch).await {
            Ok(Written::All) => {
                return Ok(match transaction.commit().await {
                    Ok(()) => CommitEnd::Committed,
                    Err(error) => CommitEnd::Unknown(error.to_string()),
                });
            }
            Ok(Written::Mismatch(what)) => CommitEnd::Mismatch(what),
            Ok(Written::Fenced) => CommitEnd::Fenced(Box::new(Self::row(&mut transaction).await?)),
            Err(error) => commit::refused(&error).ok_or_else(|| unavailable(error))?,
        };
        transaction.rollback().await.map_err(unavailable)?;
        Ok(end)
    }

    async fn resolve(&self, batch: &LedgerBatch) -> Result<CommitEnd, LedgerError> {
        let row = self.checkpoint().await?;
        let mine = row.epoch == batch.epoch && row.writer == batch.writer;
        if mine && row.next_offset == batch.next_offset && row.digest == batch.digest {
            return Ok(CommitEnd::Committed);
        }
        if mine && row.next_offset == batch.first_offset && row.digest == batch.digest_before {
            return self.commit(batch).await;
        }
        Ok(CommitEnd::Fenced(Box::new(row)))
    }

    async fn beat(&self, epoch: u64, writer: Uuid) -> Result<bool, LedgerError> {
        let beaten = sqlx::query("update writer set beat = beat + 1 where epoch = ? and writer = ?")
            .bind(word(epoch))
            .bind(writer.to_string())
            .execute(&mut *self.writing.lock().await)
            .await
            .map_err(unavailable)?;
        Ok(beaten.rows_affected() == 1)
    }

    async fn resign(&self, epoch: u64, writer: Uuid) -> Result<bool, LedgerError> {
        let resigned = sqlx::query("update writer set writer = ?, beat = beat + 1 where epoch = ? and writer = ?")
            .bind(Uuid::nil().to_string())
            .bind(word(epoch))
            .bind(writer.to_string())
            .execute(&mut *self.writing.lock().await)
            .await
            .map_err(unavailable)?;
        Ok(resigned.rows_affected() == 1)
    }

    async fn published(&self, epoch: u64, offset: u64) -> Result<(), LedgerError> {
        sqlx::query("update writer set published_through = max(published_through, ?) where epoch = ?")
            .bind(word(offset))
            .bind(word(epoch))
            .execute(&mut *self.writing.lock().await)
            .await
            .map_err(unavailable)
            .map(|_| ())
    }

    async fn save_snapshot(&self, snapshot: &Snapshot) -> Result<(), LedgerError> {
        let (snapshots, snapshot) = (self.snapshots.clone(), snapshot.clone());
        off_the_runtime(move || snapshots.save(&snapshot)).await
    }

    async fn rewrite(&self, epoch: u64, writer: Uuid, rows: &LedgerRows) -> Result<bool, LedgerError> {
        let mut connection = self.writing.lock().await;
        let mut transaction = connection.begin_with("begin immediate").await.map_err(unavailable)?;
        let fence = sqlx::query("update writer set beat = beat + 1 where epoch = ? and writer = ?")
            .bind(word(epoch))
            .bind(writer.to_string())
            .execute(&mut *transaction)
            .await
            .map_err(unavailable)?;
        if fence.rows_affected() == 0 {
            return Ok(false);
        }
        if rows.holds.iter().any(|row| row.name.is_none()) {
            return Err(damaged("a reservation without its subject cannot be rewritten"));
        }
        for statement in [
            "delete from inventory",
            "delete from reservations",
            "delete from orders",
            "delete from refunds",
            "delete from payments",
        ] {
            sqlx::query(statement).execute(&mut *transaction).await.map_err(unavailable)?;
        }
        for item in &rows.items {
            commit::insert_item(&mut transaction, item).await.map_err(unavailable)?;
        }
        commit::holds(&mut transaction, &rows.holds).await.map_err(unavailable)?;
        commit::insert_payments(&mut transaction, &rows.payments).await.map_err(unavailable)?;
        transaction.commit().await.map_err(unavailable)?;
        Ok(true)
    }
}
