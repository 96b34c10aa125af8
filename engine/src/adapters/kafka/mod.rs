//! Kafka: the commands log, the decisions and the events, a topic each, one partition a topic.
//!
//! [`connection`] says how to talk to the brokers; [`topics`] makes topics and refuses those that would lose a record;
//! `appender` is the way in, `reader` the way out; [`log`] and [`events`] put them behind the ports.

mod appender;
pub mod connection;
pub mod events;
pub mod log;
mod reader;
pub mod topics;

pub use connection::Connection;
pub use events::KafkaEvents;
pub use log::KafkaLog;
pub use topics::ensure;

/// Why a topic cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The brokers do not answer, or refuse the client.
    #[error("kafka at {servers}: {why}")]
    Unavailable {
        /** The bootstrap servers. */
        servers: String,
        /** What the client says. */
        why: String,
    },
    /// The topic would lose records, or tell their time wrongly.
    #[error("topic {topic}: {what}")]
    Unfit {
        /** Which. */
        topic: String,
        /** What is found, and what is needed. */
        what: String,
    },
}
