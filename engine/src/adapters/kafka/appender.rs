//! The way into a topic: an idempotent producer with a bound of its own, and honest words for what went wrong.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use arc_swap::ArcSwap;
use rdkafka::ClientContext;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use tokio::sync::oneshot;

use super::{Connection, OpenError};
use crate::ports::LogError;

/// Records that may wait for their acknowledgement; beyond it an append is refused as unavailable.
const WAITING: usize = 16_384;

/// What became of a record: its offset, or the client's error.
type Delivered = Result<u64, KafkaError>;

/// Who waits for a delivery.
struct Waiter {
    answer: oneshot::Sender<Delivered>,
    _waiting: Waiting,
}

/// Counted as long as it lives.
struct Waiting(Arc<AtomicUsize>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// Told by the producer's own thread.
struct Deliveries;

impl ClientContext for Deliveries {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "a producer's connection");
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<Waiter>;

    fn delivery(&self, result: &DeliveryResult<'_>, waiter: Box<Waiter>) {
        let told = match result {
            Ok(message) => Ok(u64::try_from(message.offset()).unwrap_or_default()),
            Err((error, _)) => Err(error.clone()),
        };
        // Who no longer waits has been told that it is unknown.
        let _ = waiter.answer.send(told);
    }
}

type Client = ThreadedProducer<Deliveries>;

/// Appends to one topic.
pub(super) struct Appender {
    connection: Connection,
    topic: String,
    linger: Duration,
    client: ArcSwap<Client>,
    waiting: Arc<AtomicUsize>,
}

impl Appender {
    /// Records handed over within `linger` of each other travel together.
    pub(super) fn new(connection: &Connection, topic: &str, linger: Duration) -> Result<Self, OpenError> {
        let client = make(connection, linger).map_err(|error| connection.unavailable(error))?;
        Ok(Self {
            connection: connection.clone(),
            topic: topic.to_owned(),
            linger,
            client: ArcSwap::from_pointee(client),
            waiting: Arc::default(),
        })
    }

    /// Hands a record over, in the order of the calls, and answers its acknowledgement to come.
    pub(super) fn append(
        &self,
        key: Option<&str>,
        bytes: &[u8],
    ) -> impl Future<Output = Result<u64, LogError>> + Send + use<'_> {
        let client = self.client.load_full();
        let handed = self.hand_over(&client, key, bytes);
        async move {
            let delivered = match handed {
                Ok(answered) => answered.await,
                Err(error) => {
                    self.renew(&client);
                    return Err(error);
                }
            };
            match delivered {
                Ok(Ok(offset)) => Ok(offset),
                Ok(Err(error)) => {
                    self.renew(&client);
                    Err(judge(&error))
                }
                Err(_) => Err(LogError::Unknown("the producer ended meanwhile".to_owned())),
            }
        }
    }

    fn hand_over(
        &self,
        client: &Client,
        key: Option<&str>,
        bytes: &[u8],
    ) -> Result<oneshot::Receiver<Delivered>, LogError> {
        let waiting = Waiting(Arc::clone(&self.waiting));
        if self.waiting.fetch_add(1, Relaxed) >= WAITING {
            return Err(LogError::Unavailable(format!("{WAITING} appends are waiting")));
        }
        let (answer, answered) = oneshot::channel();
        let waiter = Box::new(Waiter { answer, _waiting: waiting });
        let record = BaseRecord::with_opaque_to(&self.topic, waiter).partition(0).payload(bytes);
        let record = BaseRecord { key, ..record };
        // Refused by the client itself: the record never left this process.
        client.send(record).map_err(|(error, _)| LogError::Unavailable(error.to_string()))?;
        Ok(answered)
    }

    /// An idempotent producer that met a fatal error takes no record ever again: another one takes its place.
    fn renew(&self, failed: &Arc<Client>) {
        let Some((_, why)) = failed.client().fatal_error() else { return };
        tracing::error!(why, topic = self.topic, "a producer is beyond repair and is replaced");
        match make(&self.connection, self.linger) {
            Ok(client) => {
                let replaced = self.client.compare_and_swap(failed, Arc::new(client));
                let spare = Arc::clone(&replaced);
                // The end of a client waits for its thread: not here.
                std::thread::spawn(move || drop(spare));
            }
            Err(error) => tracing::error!(%error, "and another could not be made"),
        }
    }
}

fn make(connection: &Connection, linger: Duration) -> Result<Client, KafkaError> {
    ThreadedProducer::from_config_and_context(&connection.producer(linger), Deliveries)
}

/// Only what certainly never left the client was not appended; whatever else went wrong, the record may be there.
fn judge(error: &KafkaError) -> LogError {
    match error {
        KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::PurgeQueue) => {
            LogError::Unavailable(error.to_string())
        }
        other => LogError::Unknown(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_never_left_is_refused() {
        let judged = |code| judge(&KafkaError::MessageProduction(code));
        assert!(matches!(judged(RDKafkaErrorCode::PurgeQueue), LogError::Unavailable(_)));
        assert!(matches!(judged(RDKafkaErrorCode::MessageSizeTooLarge), LogError::Unavailable(_)));
        for unknown in [
            RDKafkaErrorCode::MessageTimedOut,
            RDKafkaErrorCode::PurgeInflight,
            RDKafkaErrorCode::NotEnoughReplicasAfterAppend,
            RDKafkaErrorCode::NotEnoughReplicas,
            RDKafkaErrorCode::Fatal,
        ] {
            assert!(matches!(judged(unknown), LogError::Unknown(_)), "{unknown:?}");
        }
    }
}
