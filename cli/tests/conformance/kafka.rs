//! Kafka: topics of the story's own on one broker.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use flashsale_engine::adapters::kafka::{Connection, KafkaEvents, KafkaLog, OpenError, ensure, topics};
use flashsale_engine::ports::{Events, Log};
use flashsale_engine::sale::Services;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use uuid::Uuid;

use super::logs::LogStack;

const WITHIN: Duration = Duration::from_secs(30);

pub struct Kafka {
    services: Services,
    topic: String,
}

impl Kafka {
    /// None where no server is installed, which the fixture says loudly.
    pub async fn new() -> Option<Self> {
        let kafka = vec![crate::servers::kafka()?.to_owned()];
        let services = Services { postgres: Vec::new(), redis: Vec::new(), kafka, kafka_client: BTreeMap::new() };
        Some(Self { services, topic: format!("conformance.{}", Uuid::new_v4()) })
    }

    pub fn connection(&self) -> Connection {
        Connection::new(&self.services)
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        ClientConfig::new().set("bootstrap.servers", &self.services.kafka[0]).create().unwrap()
    }

    async fn ensure(&self) -> Result<(), OpenError> {
        ensure(&self.connection(), std::slice::from_ref(&self.topic)).await
    }
}

#[async_trait]
impl LogStack for Kafka {
    async fn open(&self) -> Arc<dyn Log> {
        self.ensure().await.unwrap();
        Arc::new(KafkaLog::open(&self.connection(), &self.topic).unwrap())
    }

    async fn open_reader(&self) -> Arc<dyn Log> {
        Arc::new(KafkaLog::open_reader(&self.connection(), &self.topic))
    }

    async fn make_again(&self) {
        self.admin().delete_topics(&[&self.topic], &AdminOptions::new()).await.unwrap();
        let begun = std::time::Instant::now();
        while topics::exists(&self.connection(), &self.topic).await.unwrap() {
            assert!(begun.elapsed() < WITHIN, "the topic is still there");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// A topic that would lose records is refused by its name and the setting, whoever made it.
pub async fn a_topic_that_would_lose_records_is_refused(stack: &Kafka) {
    let sound = [
        ("message.timestamp.type", "LogAppendTime"),
        ("retention.ms", "-1"),
        ("retention.bytes", "-1"),
        ("unclean.leader.election.enable", "false"),
    ];
    let table = [
        ("message.timestamp.type", "CreateTime", 1, "message.timestamp.type"),
        ("retention.ms", "604800000", 1, "retention.ms"),
        ("retention.bytes", "1000000", 1, "retention.bytes"),
        ("cleanup.policy", "compact", 1, "cleanup.policy"),
        ("unclean.leader.election.enable", "true", 1, "unclean.leader.election.enable"),
        ("cleanup.policy", "delete", 2, "2 partitions"),
    ];
    for (key, value, partitions, says) in table {
        let topic = format!("{}.{}", stack.topic, Uuid::new_v4());
        let new = NewTopic::new(&topic, partitions, TopicReplication::Fixed(1));
        let new = sound.iter().filter(|(known, _)| *known != key).fold(new, |new, (key, value)| new.set(key, value));
        stack.admin().create_topics([&new.set(key, value)], &AdminOptions::new()).await.unwrap();
        let refused = ensure(&stack.connection(), std::slice::from_ref(&topic)).await;
        let Err(error @ OpenError::Unfit { .. }) = refused else { panic!("{key}={value}: {refused:?}") };
        assert!(error.to_string().contains(&topic) && error.to_string().contains(says), "{error}");
    }
}

/// Events are one message each, keyed by what they are about, in the order of their publication.
pub async fn an_event_is_a_message_with_its_subject_as_key(stack: &Kafka) {
    stack.ensure().await.unwrap();
    let events = KafkaEvents::open(&stack.connection(), &stack.topic).unwrap();
    let event = |number: u32| format!(r#"{{"specversion":"1.0","id":"{number}","subject":"res-{}"}}"#, number % 3);
    let all: Vec<bytes::Bytes> = (0..100).map(|number| event(number).into()).collect();
    events.publish(&all[..60]).await.unwrap();
    events.publish(&all[60..]).await.unwrap();
    let (server, topic) = (stack.services.kafka[0].clone(), stack.topic.clone());
    let read = tokio::task::spawn_blocking(move || consumed(&server, &topic, 100)).await.unwrap();
    for (number, (key, payload)) in (0..).zip(&read) {
        assert_eq!((key, payload), (&format!("res-{}", number % 3), &event(number)));
    }
}

/// What a consumer that knows nothing of the engine finds.
fn consumed(server: &str, topic: &str, count: usize) -> Vec<(String, String)> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", server)
        .set("group.id", "somebody-else")
        .set("auto.offset.reset", "earliest")
        .create()
        .unwrap();
    consumer.subscribe(&[topic]).unwrap();
    let begun = std::time::Instant::now();
    let mut found = Vec::new();
    while found.len() < count {
        assert!(begun.elapsed() < WITHIN, "{} of {count} messages", found.len());
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
            let text = |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap().to_vec()).unwrap();
            found.push((text(message.key()), text(message.payload())));
        }
    }
    found
}
