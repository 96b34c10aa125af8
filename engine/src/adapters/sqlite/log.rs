//! The commands log: every record synced before its offset is told, all waiting records in one sync.

use std::collections::VecDeque;
use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, QueryBuilder, Row, Sqlite, SqliteConnection};
use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;

use super::checkpoints::Checkpoints;
use super::{OpenError, options};
use crate::ports::{Log, LogError, LogRecord};

/// Appends that may wait for the writer; beyond it an append is refused as unavailable.
const WAITING: usize = 4_096;
/// Records in one transaction.
const TOGETHER: usize = 512;
/// Bytes of recent records kept for readers.
const RECENT_BYTES: usize = 64 << 20;
/// Connections of readers that are behind.
const READERS: u32 = 2;

/// A log in one SQLite file.
pub struct SqliteLog {
    identity: Uuid,
    appends: Option<mpsc::Sender<Append>>,
    recent: Arc<Mutex<Recent>>,
    end: watch::Receiver<u64>,
    readers: SqlitePool,
    _checkpoints: Option<Checkpoints>,
    _lock: Option<File>,
}

struct Append {
    bytes: Bytes,
    answer: oneshot::Sender<Result<u64, LogError>>,
}

/// The newest records, filled after their commit.
#[derive(Default)]
struct Recent {
    records: VecDeque<LogRecord>,
    bytes: usize,
}

impl SqliteLog {
    /// Opens (or makes) the log for appending; the file stays locked for other appenders.
    ///
    /// # Errors
    /// When another process appends to it, or the file is not a log that syncs.
    pub async fn open(path: &Path) -> Result<Self, OpenError> {
        let lock = File::create(path.with_extension("lock")).map_err(|error| OpenError::unfit(path, error))?;
        lock.try_lock().map_err(|_| OpenError::InUse(path.display().to_string()))?;
        let unfit = |error: &dyn std::fmt::Display| OpenError::unfit(path, error);
        let options = options(path, SqliteSynchronous::Full).create_if_missing(true);
        let mut connection = SqliteConnection::connect_with(&options).await.map_err(|error| unfit(&error))?;
        sqlx::migrate!("../migrations/sqlite/log")
            .run_direct(None, &mut connection, false)
            .await
            .map_err(|error| unfit(&error))?;
        assert_durable(&mut connection).await.map_err(|what| unfit(&what))?;
        let identity = identity(&mut connection).await.map_err(|error| unfit(&error))?;
        let end = end(&mut connection).await.map_err(|error| unfit(&error))?;
        let readers = readers(path).await.map_err(|error| unfit(&error))?;
        let checkpoints = Checkpoints::of(path, SqliteSynchronous::Full).await.map_err(|error| unfit(&error))?;
        let (appends, inbox) = mpsc::channel(WAITING);
        let (told, seen) = watch::channel(end);
        let recent = Arc::new(Mutex::new(Recent::default()));
        tokio::spawn(append_all(connection, inbox, end, Arc::clone(&recent), told));
        Ok(Self {
            identity,
            appends: Some(appends),
            recent,
            end: seen,
            readers,
            _checkpoints: Some(checkpoints),
            _lock: Some(lock),
        })
    }

    /// Opens an existing log for reading only, also while an engine appends to it.
    ///
    /// # Errors
    /// When there is no such log.
    pub async fn open_reader(path: &Path) -> Result<Self, OpenError> {
        let unfit = |error: &dyn std::fmt::Display| OpenError::unfit(path, error);
        let readers = readers(path).await.map_err(|error| unfit(&error))?;
        let mut connection = readers.acquire().await.map_err(|error| unfit(&error))?;
        let row = sqlx::query("select id from identity").fetch_one(&mut *connection).await;
        let text: String = row.and_then(|row| row.try_get(0)).map_err(|error| unfit(&error))?;
        let identity = Uuid::parse_str(&text).map_err(|error| unfit(&error))?;
        let end = end(&mut connection).await.map_err(|error| unfit(&error))?;
        drop(connection);
        let recent = Arc::new(Mutex::new(Recent::default()));
        Ok(Self {
            identity,
            appends: None,
            recent,
            end: watch::channel(end).1,
            readers,
            _checkpoints: None,
            _lock: None,
        })
    }

    fn recent(&self, from: u64, limit: usize) -> Option<Vec<LogRecord>> {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let first = recent.records.front()?.offset;
        let skipped = usize::try_from(from.checked_sub(first)?).ok()?;
        Some(recent.records.iter().skip(skipped).take(limit).cloned().collect())
    }
}

#[async_trait]
impl Log for SqliteLog {
    async fn append(&self, bytes: Bytes) -> Result<u64, LogError> {
        let Some(appends) = &self.appends else {
            return Err(LogError::Unavailable("opened for reading only".to_owned()));
        };
        let (answer, answered) = oneshot::channel();
        appends.try_send(Append { bytes, answer }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => LogError::Unavailable(format!("{WAITING} appends are waiting")),
            mpsc::error::TrySendError::Closed(_) => LogError::Unavailable("the log is closed".to_owned()),
        })?;
        answered.await.unwrap_or_else(|_| Err(LogError::Unknown("the log closed meanwhile".to_owned())))
    }

    async fn read(&self, from: u64, limit: usize, wait: Duration) -> Result<Vec<LogRecord>, LogError> {
        if self.appends.is_none() {
            // Beside an engine the file grows unseen: only the file knows.
            return read_file(&self.readers, from, limit).await;
        }
        let mut end = self.end.clone();
        if *end.borrow_and_update() <= from {
            let waited = tokio::time::timeout(wait, end.wait_for(|end| *end > from)).await;
            if !matches!(waited, Ok(Ok(_))) {
                return Ok(Vec::new());
            }
        }
        if let Some(records) = self.recent(from, limit) {
            return Ok(records);
        }
        read_file(&self.readers, from, limit).await
    }

    async fn end(&self) -> Result<u64, LogError> {
        if self.appends.is_some() {
            return Ok(*self.end.borrow());
        }
        let unavailable = |error: sqlx::Error| LogError::Unavailable(error.to_string());
        let mut connection = self.readers.acquire().await.map_err(unavailable)?;
        end(&mut connection).await.map_err(unavailable)
    }

    async fn identity(&self) -> Result<Uuid, LogError> {
        Ok(self.identity)
    }
}

/// The one writer: takes all that wait, commits them together, then tells.
async fn append_all(
    mut connection: SqliteConnection,
    mut inbox: mpsc::Receiver<Append>,
    mut end: u64,
    recent: Arc<Mutex<Recent>>,
    told: watch::Sender<u64>,
) {
    let mut waiting = Vec::with_capacity(TOGETHER);
    while inbox.recv_many(&mut waiting, TOGETHER).await > 0 {
        let timestamp = now();
        match insert(&mut connection, end, timestamp, &waiting).await {
            Ok(()) => {
                remember(&recent, end, timestamp, &waiting);
                // Whoever hears of an append finds it.
                told.send_replace(end + waiting.len() as u64);
                for append in waiting.drain(..) {
                    let _ = append.answer.send(Ok(end));
                    end += 1;
                }
            }
            Err(error) => {
                // Whether the transaction got through is only known after a fresh start.
                for append in waiting.drain(..) {
                    let _ = append.answer.send(Err(LogError::Unknown(error.to_string())));
                }
                tracing::error!(%error, "the log does not take records any more");
                return;
            }
        }
    }
}

async fn insert(
    connection: &mut SqliteConnection,
    end: u64,
    timestamp: i64,
    appends: &[Append],
) -> Result<(), sqlx::Error> {
    let mut query = QueryBuilder::<Sqlite>::new("insert into records (id, timestamp, bytes) ");
    query.push_values((end..).zip(appends), |mut row, (offset, append)| {
        row.push_bind((offset + 1).cast_signed()).push_bind(timestamp).push_bind(append.bytes.as_ref());
    });
    query.build().execute(connection).await.map(|_| ())
}

fn remember(recent: &Mutex<Recent>, end: u64, timestamp: i64, appends: &[Append]) {
    let mut recent = recent.lock().unwrap_or_else(PoisonError::into_inner);
    for (offset, append) in (end..).zip(appends) {
        recent.bytes += append.bytes.len();
        recent.records.push_back(LogRecord { offset, timestamp, bytes: append.bytes.clone() });
    }
    while recent.bytes > RECENT_BYTES
        && let Some(oldest) = recent.records.pop_front()
    {
        recent.bytes -= oldest.bytes.len();
    }
}

async fn read_file(readers: &SqlitePool, from: u64, limit: usize) -> Result<Vec<LogRecord>, LogError> {
    let rows = sqlx::query("select id, timestamp, bytes from records where id > ? order by id limit ?")
        .bind(from.cast_signed())
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(readers)
        .await
        .map_err(|error| LogError::Unavailable(error.to_string()))?;
    let mut records = Vec::with_capacity(rows.len());
    for (offset, row) in (from..).zip(rows) {
        let read = || Ok::<_, sqlx::Error>((row.try_get::<i64, _>(0)?, row.try_get(1)?, row.try_get::<Vec<u8>, _>(2)?));
        let (id, timestamp, bytes) = read().map_err(|error| LogError::Damaged(error.to_string()))?;
        if id.cast_unsigned() != offset + 1 {
            return Err(LogError::Damaged(format!("offset {} where {offset} was due", id - 1)));
        }
        records.push(LogRecord { offset, timestamp, bytes: bytes.into() });
    }
    Ok(records)
}

/// What was asked for is read back: a build or a file system that cannot sync is no log.
async fn assert_durable(connection: &mut SqliteConnection) -> Result<(), String> {
    let mode: String = pragma(connection, "pragma journal_mode").await?;
    let sync: i64 = pragma(connection, "pragma synchronous").await?;
    if mode == "wal" && sync == 2 {
        return Ok(());
    }
    Err(format!("journal mode {mode}, synchronous {sync}: the log needs wal and 2 (full)"))
}

async fn pragma<T>(connection: &mut SqliteConnection, statement: &'static str) -> Result<T, String>
where
    T: for<'r> sqlx::Decode<'r, Sqlite> + sqlx::Type<Sqlite>,
{
    let row = sqlx::query(statement).fetch_one(connection).await.map_err(|error| error.to_string())?;
    row.try_get(0).map_err(|error| error.to_string())
}

pub(super) async fn identity(connection: &mut SqliteConnection) -> Result<Uuid, sqlx::Error> {
    let found = sqlx::query("select id from identity").fetch_optional(&mut *connection).await?;
    if let Some(row) = found {
        let text: String = row.try_get(0)?;
        return Uuid::parse_str(&text).map_err(|error| sqlx::Error::Decode(error.into()));
    }
    let made = Uuid::new_v4();
    sqlx::query("insert into identity (id) values (?)").bind(made.to_string()).execute(connection).await?;
    Ok(made)
}

async fn end(connection: &mut SqliteConnection) -> Result<u64, sqlx::Error> {
    let row = sqlx::query("select coalesce(max(id), 0) from records").fetch_one(connection).await?;
    row.try_get::<i64, _>(0).map(i64::cast_unsigned)
}

async fn readers(path: &Path) -> Result<SqlitePool, sqlx::Error> {
    let options = options(path, SqliteSynchronous::Full).read_only(true);
    SqlitePoolOptions::new().max_connections(READERS).connect_with(options).await
}

/// The log's own clock, Unix ms.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
