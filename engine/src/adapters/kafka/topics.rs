//! Topics are made so that they keep every record, and are refused by name when they would not.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::RDKafkaErrorCode;

use super::OpenError;
use super::connection::{ADMIN, Connection, LARGEST_RECORD};

/// How long a new topic may take until it has a leader.
const LED_WITHIN: Duration = Duration::from_secs(15);
const LOOK: Duration = Duration::from_millis(50);
/// Copies of a record, where there are as many brokers.
const COPIES: usize = 3;

/// What is set on a topic and asserted at every start: the broker stamps the time; nothing is ever deleted; a replica
/// that misses acknowledged records never leads.
const SETTINGS: [(&str, &str); 5] = [
    ("message.timestamp.type", "LogAppendTime"),
    ("retention.ms", "-1"),
    ("retention.bytes", "-1"),
    ("cleanup.policy", "delete"),
    ("unclean.leader.election.enable", "false"),
];
const IN_SYNC: &str = "min.insync.replicas";

type Admin = AdminClient<DefaultClientContext>;

/// How often a record is kept, and on how many replicas it must be before it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Copies {
    replicas: usize,
    in_sync: usize,
}

impl Copies {
    /// With one broker there is no second copy to wait for; with two or more, one replica may be away only where there
    /// are three.
    fn of(brokers: usize) -> Self {
        let replicas = brokers.clamp(1, COPIES);
        Self { replicas, in_sync: replicas.min(2) }
    }
}

/// Makes the topics that are not there yet and checks all of them.
///
/// # Errors
/// When the brokers do not answer, or a topic is not as it must be: which, what was found, what is needed.
pub async fn ensure(connection: &Connection, topics: &[String]) -> Result<(), OpenError> {
    let admin: Admin = connection.client().create().map_err(|error| connection.unavailable(error))?;
    let admin = Arc::new(admin);
    let brokers = brokers(connection, &admin).await?;
    let copies = Copies::of(brokers);
    create(connection, &admin, topics, copies).await?;
    for topic in topics {
        led(connection, &admin, topic, copies).await?;
    }
    let resources: Vec<ResourceSpecifier<'_>> = topics.iter().map(|topic| ResourceSpecifier::Topic(topic)).collect();
    let described =
        admin.describe_configs(&resources, &options()).await.map_err(|error| connection.unavailable(error))?;
    for (topic, found) in topics.iter().zip(described) {
        check(topic, &found.map_err(|error| connection.unavailable(error))?, copies)?;
    }
    Ok(())
}

/// Whether a topic is there.
///
/// # Errors
/// When the brokers do not answer.
pub async fn exists(connection: &Connection, topic: &str) -> Result<bool, OpenError> {
    let admin: Admin = connection.client().create().map_err(|error| connection.unavailable(error))?;
    Ok(partitions(connection, &Arc::new(admin), topic).await?.is_some())
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(ADMIN)).operation_timeout(Some(ADMIN))
}

async fn brokers(connection: &Connection, admin: &Arc<Admin>) -> Result<usize, OpenError> {
    let asked = Arc::clone(admin);
    let metadata = tokio::task::spawn_blocking(move || asked.inner().fetch_metadata(None, ADMIN)).await;
    let metadata = metadata.map_err(|error| connection.unavailable(error))?;
    metadata.map(|metadata| metadata.brokers().len()).map_err(|error| connection.unavailable(error))
}

async fn create(
    connection: &Connection,
    admin: &Arc<Admin>,
    topics: &[String],
    copies: Copies,
) -> Result<(), OpenError> {
    let in_sync = copies.in_sync.to_string();
    let replicas = i32::try_from(copies.replicas).unwrap_or(1);
    let wanted: Vec<NewTopic<'_>> = topics
        .iter()
        .map(|topic| {
            let topic = NewTopic::new(topic, 1, TopicReplication::Fixed(replicas));
            let topic = SETTINGS.iter().fold(topic, |topic, (key, value)| topic.set(key, value));
            topic.set(IN_SYNC, &in_sync).set("max.message.bytes", LARGEST_RECORD)
        })
        .collect();
    let made = admin.create_topics(&wanted, &options()).await.map_err(|error| connection.unavailable(error))?;
    for topic in made {
        match topic {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, error)) => return Err(connection.unavailable(format!("topic {topic} was not made: {error}"))),
        }
    }
    Ok(())
}

/// Replicas of each partition; none: no such topic, or nobody leads it yet.
async fn partitions(connection: &Connection, admin: &Arc<Admin>, topic: &str) -> Result<Option<Vec<usize>>, OpenError> {
    let (asked, name) = (Arc::clone(admin), topic.to_owned());
    let metadata = tokio::task::spawn_blocking(move || asked.inner().fetch_metadata(Some(&name), ADMIN)).await;
    let metadata = metadata.map_err(|error| connection.unavailable(error))?;
    let metadata = metadata.map_err(|error| connection.unavailable(error))?;
    let Some(found) = metadata.topics().first().filter(|found| found.error().is_none()) else { return Ok(None) };
    let led = !found.partitions().is_empty() && found.partitions().iter().all(|one| one.leader() >= 0);
    Ok(led.then(|| found.partitions().iter().map(|one| one.replicas().len()).collect()))
}

/// Waits until somebody leads the topic; its partition and replicas are then as needed.
async fn led(connection: &Connection, admin: &Arc<Admin>, topic: &str, copies: Copies) -> Result<(), OpenError> {
    let begun = Instant::now();
    let partitions = loop {
        if let Some(partitions) = partitions(connection, admin, topic).await? {
            break partitions;
        }
        if begun.elapsed() > LED_WITHIN {
            return Err(connection.unavailable(format!("topic {topic} has no leader")));
        }
        tokio::time::sleep(LOOK).await;
    };
    match partitions.as_slice() {
        [replicas] if *replicas >= copies.replicas => Ok(()),
        [replicas] => Err(unfit(topic, format!("{replicas} replicas; {} are needed", copies.replicas))),
        several => Err(unfit(topic, format!("{} partitions; one is needed: there is one order", several.len()))),
    }
}

fn check(topic: &str, found: &ConfigResource, copies: Copies) -> Result<(), OpenError> {
    let value = |key: &str| found.get(key).and_then(|entry| entry.value.as_deref()).unwrap_or("nothing");
    for (key, needed) in SETTINGS {
        if value(key) != needed {
            return Err(unfit(topic, format!("{key} is {}; {needed} is needed", value(key))));
        }
    }
    if value(IN_SYNC).parse::<usize>().unwrap_or_default() < copies.in_sync {
        return Err(unfit(topic, format!("{IN_SYNC} is {}; {} is needed", value(IN_SYNC), copies.in_sync)));
    }
    Ok(())
}

fn unfit(topic: &str, what: String) -> OpenError {
    OpenError::Unfit { topic: topic.to_owned(), what }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_follow_the_number_of_brokers() {
        assert_eq!(Copies::of(1), Copies { replicas: 1, in_sync: 1 });
        assert_eq!(Copies::of(2), Copies { replicas: 2, in_sync: 2 });
        assert_eq!(Copies::of(3), Copies { replicas: 3, in_sync: 2 });
        assert_eq!(Copies::of(9), Copies { replicas: 3, in_sync: 2 });
    }
}
