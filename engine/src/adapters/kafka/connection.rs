//! How to talk to the brokers: the settings that every client shares, and those of a producer and of a reader.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;

use super::OpenError;
use crate::sale::Services;

/// How long the brokers may take for an administrative request.
pub(super) const ADMIN: Duration = Duration::from_secs(10);
/// A record that is not acknowledged by then is given back as unknown.
const DELIVER_WITHIN_MS: &str = "5000";
/// The largest record, bytes: a state that a further generation of the log goes on from.
pub(super) const LARGEST_RECORD: &str = "67108864";
/// The largest answer of a broker, bytes: above the largest record.
const LARGEST_ANSWER: &str = "100000000";
/// The client's own queue, KiB; beyond it an append is refused.
const QUEUE_KIB: &str = "262144";

/// Where the brokers are.
#[derive(Debug, Clone)]
pub struct Connection {
    servers: String,
    settings: BTreeMap<String, String>,
}

impl Connection {
    /// As a provider wrote it.
    #[must_use]
    pub fn new(services: &Services) -> Self {
        Self { servers: services.kafka.join(","), settings: services.kafka_client.clone() }
    }

    /// The bootstrap servers.
    #[must_use]
    pub fn servers(&self) -> &str {
        &self.servers
    }

    /// What every client has. Quick to come back: a broker's restart takes seconds, and a sale waits for it.
    pub(super) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.servers)
            .set("client.id", "flashsale")
            .set("socket.keepalive.enable", "true")
            .set("socket.nagle.disable", "true")
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "1000")
            .set("receive.message.max.bytes", LARGEST_ANSWER)
            .set("log.connection.close", "false");
        for (key, value) in &self.settings {
            config.set(key, value);
        }
        config
    }

    /// A producer whose acknowledged records are on every replica that is in sync, once and in order.
    pub(super) fn producer(&self, linger: Duration) -> ClientConfig {
        let mut config = self.client();
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("message.timeout.ms", DELIVER_WITHIN_MS)
            .set("message.max.bytes", LARGEST_RECORD)
            .set("queue.buffering.max.kbytes", QUEUE_KIB)
            .set("linger.ms", linger.as_millis().to_string());
        config
    }

    /// A reader by offset: no group's opinion, and no guess when an offset is not there.
    pub(super) fn reader(&self) -> ClientConfig {
        let mut config = self.client();
        config
            .set("group.id", "flashsale-by-offset")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("fetch.error.backoff.ms", "50")
            .set("fetch.wait.max.ms", "100")
            .set("queued.max.messages.kbytes", "65536");
        config
    }

    pub(super) fn unavailable(&self, why: impl std::fmt::Display) -> OpenError {
        OpenError::Unavailable { servers: self.servers.clone(), why: why.to_string() }
    }
}
