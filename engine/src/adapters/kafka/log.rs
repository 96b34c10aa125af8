//! A log in a topic: one partition, whose order is the order of the sale.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{Semaphore, oneshot};
use uuid::Uuid;

use super::appender::Appender;
use super::reader::{Reader, Request};
use super::{Connection, OpenError};
use crate::audit::chain;
use crate::ports::{Log, LogError, LogRecord};

/// Readers at once, each with its own place: the writer's, and those of an audit, a repair, a late follower.
const READERS: usize = 4;
/// How long the first record of a log may take to come.
const FIRST_WITHIN: Duration = Duration::from_secs(5);

/// A log in a topic.
pub struct KafkaLog {
    connection: Connection,
    topic: String,
    appender: Option<Appender>,
    readers: Mutex<Vec<Arc<Reader>>>,
    places: Semaphore,
    asker: Mutex<Option<Arc<Reader>>>,
}

/// A reader in use; given back also when the reading is dropped half way.
struct InUse(Arc<Reader>);

impl Drop for InUse {
    fn drop(&mut self) {
        self.0.busy.store(false, SeqCst);
    }
}

impl KafkaLog {
    /// Opens an existing topic to append and to read.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub fn open(connection: &Connection, topic: &str) -> Result<Self, OpenError> {
        let appender = Appender::new(connection, topic, Duration::ZERO)?;
        Ok(Self { appender: Some(appender), ..Self::open_reader(connection, topic) })
    }

    /// Opens it to read only.
    #[must_use]
    pub fn open_reader(connection: &Connection, topic: &str) -> Self {
        Self {
            connection: connection.clone(),
            topic: topic.to_owned(),
            appender: None,
            readers: Mutex::default(),
            places: Semaphore::new(READERS),
            asker: Mutex::default(),
        }
    }

    /// The idle reader that stands at `from`; else any idle one, which has to go there; else a new one.
    fn reader(&self, from: u64) -> Result<InUse, LogError> {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = |reader: &&Arc<Reader>| !reader.busy.load(SeqCst);
        let there = readers.iter().filter(idle).find(|reader| reader.next.load(SeqCst) == from).map(Arc::clone);
        let found = match there {
            Some(reader) => reader,
            None if readers.len() < READERS => {
                let made = Arc::new(self.start()?);
                readers.push(Arc::clone(&made));
                made
            }
            None => {
                let spare = readers.iter().find(idle).map(Arc::clone);
                spare.ok_or_else(|| LogError::Unavailable(format!("{READERS} readers are at work")))?
            }
        };
        found.busy.store(true, SeqCst);
        Ok(InUse(found))
    }

    fn start(&self) -> Result<Reader, LogError> {
        Reader::start(&self.connection, &self.topic).map_err(|error| LogError::Unavailable(error.to_string()))
    }
}

#[async_trait]
impl Log for KafkaLog {
    async fn append(&self, bytes: Bytes) -> Result<u64, LogError> {
        match &self.appender {
            Some(appender) => appender.append(None, &bytes).await,
            None => Err(LogError::Unavailable("opened for reading only".to_owned())),
        }
    }

    async fn read(&self, from: u64, limit: usize, wait: Duration) -> Result<Vec<LogRecord>, LogError> {
        let ended = || LogError::Unavailable("the reader has ended".to_owned());
        let _place = self.places.acquire().await.map_err(|_| ended())?;
        let reader = self.reader(from)?;
        let (answer, answered) = oneshot::channel();
        reader.0.ask(Request::Read { from, limit, wait, answer })?;
        answered.await.unwrap_or_else(|_| Err(ended()))
    }

    async fn end(&self) -> Result<u64, LogError> {
        let (answer, answered) = oneshot::channel();
        {
            let mut asker = self.asker.lock().unwrap_or_else(PoisonError::into_inner);
            let reader = match asker.as_ref() {
                Some(reader) => Arc::clone(reader),
                None => Arc::clone(asker.insert(Arc::new(self.start()?))),
            };
            reader.ask(Request::End { answer })?;
        }
        answered.await.unwrap_or_else(|_| Err(LogError::Unavailable("the reader has ended".to_owned())))
    }

    /// The client shows no topic id. So a log is known by its first record: offset, the broker's own time of it, bytes.
    /// A topic that was deleted and made again has another time there, whatever is appended to it. The same first record
    /// over another tail is told apart by the last record folded, which the ledger holds besides; both together are
    /// compared at every start. An empty log has no identity yet: nil, which is no log's that was ever folded.
    async fn identity(&self) -> Result<Uuid, LogError> {
        if self.end().await? == 0 {
            return Ok(Uuid::nil());
        }
        let first = self.read(0, 1, FIRST_WITHIN).await?;
        let first = first.first().ok_or_else(|| LogError::Unavailable("its first record did not come".to_owned()))?;
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&chain::last_record_hash(first)[..16]);
        Ok(Uuid::from_bytes(bytes))
    }
}
