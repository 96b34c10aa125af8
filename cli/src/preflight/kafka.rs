//! Kafka brokers online, topic created with correct partitions.

use std::collections::BTreeMap;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

use super::{ASK, EMBEDDED, Finding, Scene, judged, not_applicable};

/// The commands and the decisions are one sequence each.
const PARTITIONS: usize = 1;

pub(super) async fn check(scene: &Scene<'_>) -> Finding {
    let Some(services) = &scene.services else {
        return not_applicable(format!("{EMBEDDED}the log is a file of its own, synced with every record"));
    };
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", services.kafka.join(",")).extend(services.kafka_client.clone());
    let generation = scene.status.writer.generation;
    let topics = [scene.names.commands(generation), scene.names.decisions(), scene.names.events()];
    let asked = tokio::task::spawn_blocking(move || look(&config, &topics)).await;
    match asked.map_err(|error| error.to_string()).and_then(|looked| looked) {
        Err(error) => judged(false, error),
        Ok((good, evidence)) => judged(good, evidence),
    }
}

fn look(config: &ClientConfig, topics: &[String]) -> Result<(bool, String), String> {
    let client: BaseConsumer = config.create().map_err(|error| error.to_string())?;
    let known = client.fetch_metadata(None, ASK).map_err(|error| error.to_string())?;
    let brokers: BTreeMap<i32, String> =
        known.brokers().iter().map(|broker| (broker.id(), format!("{}:{}", broker.host(), broker.port()))).collect();
    let mut good = !brokers.is_empty();
    let mut told = Vec::new();
    for topic in topics {
        let what = topic.rsplit('.').next().unwrap_or(topic);
        let Some(found) = known.topics().iter().find(|found| found.name() == topic) else {
            good = false;
            told.push(format!("{what}: no topic {topic}"));
            continue;
        };
        let led = found.partitions().iter().all(|partition| {
            brokers.contains_key(&partition.leader()) && partition.isr().len() == partition.replicas().len()
        });
        let copies = found.partitions().first().map_or(0, |partition| partition.isr().len());
        good &= led && found.partitions().len() == PARTITIONS;
        let behind = if led { "" } else { " NOT ALL IN STEP" };
        told.push(format!("{what}: {} partition, {copies} copies in step{behind}", found.partitions().len()));
    }
    let addresses: Vec<String> = brokers.into_values().collect();
    Ok((good, format!("{} brokers online ({}); {}", addresses.len(), addresses.join(", "), told.join("; "))))
}
