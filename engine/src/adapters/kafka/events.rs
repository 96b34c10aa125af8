//! CloudEvents in a topic, one message each, keyed by what they are about: whoever reads by key has a reservation's
//! events in order.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::try_join_all;
use serde::Deserialize;

use super::appender::Appender;
use super::{Connection, OpenError};
use crate::ports::{Events, EventsError};

/// Events are gathered for this long: off the reply path, messages that travel together cost a quarter.
const LINGER: Duration = Duration::from_millis(50);

/// The events topic.
pub struct KafkaEvents(Appender);

/// The part of an event that is its key.
#[derive(Deserialize)]
struct About<'a> {
    #[serde(borrow)]
    subject: std::borrow::Cow<'a, str>,
}

impl KafkaEvents {
    /// Opens an existing topic, with a producer of its own.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub fn open(connection: &Connection, topic: &str) -> Result<Self, OpenError> {
        Ok(Self(Appender::new(connection, topic, LINGER)?))
    }
}

#[async_trait]
impl Events for KafkaEvents {
    async fn publish(&self, events: &[Bytes]) -> Result<(), EventsError> {
        // All are handed over before the first is waited for, in their order, which the producer keeps.
        let mut sent = Vec::with_capacity(events.len());
        for event in events {
            let about = serde_json::from_slice::<About<'_>>(event).ok();
            sent.push(self.0.append(about.as_ref().map(|about| about.subject.as_ref()), event));
        }
        try_join_all(sent).await.map(drop).map_err(|error| EventsError(error.to_string()))
    }
}
