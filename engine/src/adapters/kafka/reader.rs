//! The way out of a topic: a consumer on a thread of its own that reads from an offset. It never belongs to a group, it
//! never guesses an offset, and after every assignment the record before the first is compared with what it was.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::oneshot;

use super::Connection;
use crate::audit::chain;
use crate::ports::{LogError, LogRecord};

/// How long the brokers may take to say where a topic ends.
const WATERMARKS: Duration = Duration::from_secs(2);
/// A poll that saw nothing is short, so that a fetched record is never waited for.
const LONGEST_POLL: Duration = Duration::from_millis(500);

/// What a reader is asked.
pub(super) enum Request {
    /// Records from an offset on.
    Read { from: u64, limit: usize, wait: Duration, answer: oneshot::Sender<Result<Vec<LogRecord>, LogError>> },
    /// The offset after the last record.
    End { answer: oneshot::Sender<Result<u64, LogError>> },
}

/// A reader's handle: its thread ends with it.
pub(super) struct Reader {
    requests: mpsc::Sender<Request>,
    /// Where it stands: the cheapest offset to ask for next.
    pub(super) next: Arc<AtomicU64>,
    /// Somebody uses it.
    pub(super) busy: Arc<AtomicBool>,
}

impl Reader {
    pub(super) fn start(connection: &Connection, topic: &str) -> std::io::Result<Self> {
        let (requests, inbox) = mpsc::channel();
        let (next, busy) = (Arc::new(AtomicU64::new(u64::MAX)), Arc::new(AtomicBool::new(false)));
        let mut reading = Reading {
            connection: connection.clone(),
            topic: topic.to_owned(),
            consumer: None,
            shown: Arc::clone(&next),
            position: None,
            last: None,
            unproven: None,
        };
        let name = "log-reader".to_owned();
        std::thread::Builder::new().name(name).spawn(move || reading.serve(&inbox))?;
        Ok(Self { requests, next, busy })
    }

    pub(super) fn ask(&self, request: Request) -> Result<(), LogError> {
        self.requests.send(request).map_err(|_| LogError::Unavailable("the reader has ended".to_owned()))
    }
}

/// A record's offset and hash: what makes it the one that was read.
type Proof = (u64, [u8; 32]);

struct Reading {
    connection: Connection,
    topic: String,
    consumer: Option<BaseConsumer>,
    shown: Arc<AtomicU64>,
    /// The next offset that the assignment will bring; none: not assigned, or in doubt.
    position: Option<u64>,
    /// The last record that was handed out.
    last: Option<Proof>,
    /// What the first record of this assignment must be.
    unproven: Option<Proof>,
}

/// Why a reading stopped short.
enum Trouble {
    /// Perhaps only this assignment's: another one is worth a try.
    Stale(String),
    /// The log's own.
    Log(LogError),
}

impl From<LogError> for Trouble {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}

impl Reading {
    fn serve(&mut self, inbox: &mpsc::Receiver<Request>) {
        while let Ok(request) = inbox.recv() {
            match request {
                // Who no longer waits needs no answer: through an outage these would pile up.
                Request::Read { answer, .. } if answer.is_closed() => {}
                Request::End { answer } if answer.is_closed() => {}
                Request::Read { from, limit, wait, answer } => {
                    let read = self.read(from, limit, Instant::now() + wait);
                    // Who no longer waits asks again from the same offset.
                    if answer.send(read).is_err() {
                        self.doubt();
                    }
                    self.shown.store(self.position.unwrap_or(u64::MAX), SeqCst);
                }
                Request::End { answer } => _ = answer.send(self.end()),
            }
        }
    }

    fn doubt(&mut self) {
        self.position = None;
    }

    fn read(&mut self, from: u64, limit: usize, deadline: Instant) -> Result<Vec<LogRecord>, LogError> {
        for fresh in [false, true] {
            match self.attempt(from, limit, deadline) {
                Ok(records) => return Ok(records),
                Err(Trouble::Stale(what)) => {
                    (self.consumer, self.position) = (None, None);
                    if fresh {
                        return Err(LogError::Damaged(what));
                    }
                }
                Err(Trouble::Log(error)) => {
                    (self.consumer, self.position) = (None, None);
                    return Err(error);
                }
            }
        }
        Ok(Vec::new())
    }

    fn attempt(&mut self, from: u64, limit: usize, deadline: Instant) -> Result<Vec<LogRecord>, Trouble> {
        if self.position != Some(from) {
            self.assign(from)?;
        }
        let Some(consumer) = &self.consumer else { return Ok(Vec::new()) };
        let mut records: Vec<LogRecord> = Vec::new();
        while records.len() < limit {
            let left = deadline.saturating_duration_since(Instant::now()).min(LONGEST_POLL);
            let polled = consumer.poll(if records.is_empty() { left } else { Duration::ZERO });
            let message = match polled {
                Some(Ok(message)) => message,
                Some(Err(error)) => match trouble(&error, from) {
                    // What was read before the trouble is sound; the next read meets the trouble again.
                    Some(_) if !records.is_empty() => {
                        self.position = None;
                        break;
                    }
                    Some(trouble) => return Err(trouble),
                    None if records.is_empty() && Instant::now() < deadline => continue,
                    None => break,
                },
                None if records.is_empty() && Instant::now() < deadline => continue,
                None => break,
            };
            let record = record(&message);
            if let Some((offset, hash)) = self.unproven.take() {
                if record.offset != offset || chain::last_record_hash(&record) != hash {
                    return Err(Trouble::Stale(format!("the record at offset {offset} is another than was read")));
                }
                continue;
            }
            let due = from + records.len() as u64;
            if record.offset != due {
                return Err(Trouble::Stale(format!("offset {} where {due} was due", record.offset)));
            }
            records.push(record);
        }
        if let Some(last) = records.last() {
            self.last = Some((last.offset, chain::last_record_hash(last)));
            self.position = self.position.map(|_| last.offset + 1);
        }
        Ok(records)
    }

    /// Stands at `from`; when the record before it was read here, that one comes first and must be the same.
    fn assign(&mut self, from: u64) -> Result<(), LogError> {
        let proof = self.last.filter(|(offset, _)| offset + 1 == from);
        let start = i64::try_from(proof.map_or(from, |(offset, _)| offset)).unwrap_or(i64::MAX);
        let mut partitions = TopicPartitionList::new();
        partitions.add_partition_offset(&self.topic, 0, Offset::Offset(start)).map_err(unavailable)?;
        self.consumer()?.assign(&partitions).map_err(unavailable)?;
        (self.unproven, self.position) = (proof, Some(from));
        Ok(())
    }

    fn consumer(&mut self) -> Result<&BaseConsumer, LogError> {
        let made = match self.consumer.take() {
            Some(consumer) => consumer,
            None => self.connection.reader().create().map_err(unavailable)?,
        };
        Ok(self.consumer.insert(made))
    }

    fn end(&mut self) -> Result<u64, LogError> {
        let topic = self.topic.clone();
        let watermarks = self.consumer()?.fetch_watermarks(&topic, 0, WATERMARKS);
        let (low, high) = watermarks.map_err(unavailable)?;
        if low != 0 {
            return Err(LogError::Damaged(format!("it begins at offset {low}: records before it are gone")));
        }
        Ok(u64::try_from(high).unwrap_or_default())
    }
}

fn unavailable(error: KafkaError) -> LogError {
    LogError::Unavailable(error.to_string())
}

/// What an error of the client means for a reader at `from`; none: it will pass.
fn trouble(error: &KafkaError, from: u64) -> Option<Trouble> {
    let code = error.rdkafka_error_code()?;
    match code {
        RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange => {
            Some(Trouble::Stale(format!("there is no offset {from}: it is shorter than what was read, or was cut")))
        }
        RDKafkaErrorCode::UnknownTopic
        | RDKafkaErrorCode::UnknownTopicOrPartition
        | RDKafkaErrorCode::UnknownPartition
        | RDKafkaErrorCode::UnknownTopicId
        | RDKafkaErrorCode::TopicAuthorizationFailed => Some(Trouble::Log(LogError::Unavailable(error.to_string()))),
        _ => None,
    }
}

fn record(message: &BorrowedMessage<'_>) -> LogRecord {
    LogRecord {
        offset: u64::try_from(message.offset()).unwrap_or_default(),
        timestamp: message.timestamp().to_millis().unwrap_or_default(),
        bytes: Bytes::copy_from_slice(message.payload().unwrap_or_default()),
    }
}
