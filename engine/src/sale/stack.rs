//! What a sale runs on: who provides the servers, and what each provider needs to know. A file may describe several
//! stacks; `stack.provider` picks one.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::build::secret;
use super::definition::Secret;
use super::read::Reader;

/// What it runs on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stack {
    /// Who provides the servers.
    pub provider: Provider,
    /// The servers that `process` starts.
    pub process: Process,
    /// The servers that `external` finds.
    pub external: External,
}

/// A stack provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// SQLite and in-process parts: nothing to install.
    Embedded,
    /// Servers as processes of this machine.
    Process,
    /// Servers that run already.
    External,
}

/// Servers as processes of this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Streaming standbys beside PostgreSQL's primary.
    pub standbys: u16,
    /// Commits wait for any one of them.
    pub synchronous: bool,
    /// Three masters and three replicas, in place of one server.
    pub redis_cluster: bool,
    /// Kafka's brokers: 1 or 3.
    pub brokers: u16,
}

/// Servers that run already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct External {
    /// `postgres://` URLs, one a server, in no order.
    pub postgres: Vec<Secret>,
    /// `redis://` or `rediss://` URLs, one a server.
    pub redis: Vec<Secret>,
    /// Kafka.
    pub kafka: ExternalKafka,
}

/// Kafka brokers that run already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExternalKafka {
    /// `host:port`.
    pub bootstrap: Vec<String>,
    /// How clients talk to them, by Kafka's own word: `PLAINTEXT`, `SASL_SSL`.
    pub protocol: String,
    /// How clients prove who they are.
    pub login: Option<KafkaLogin>,
    /// A file of certificate authorities; none: the system's.
    pub authorities: Option<PathBuf>,
}

/// How clients prove to Kafka who they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KafkaLogin {
    /// By Kafka's own word: `PLAIN`, `SCRAM-SHA-512`.
    pub mechanism: String,
    /// The user.
    pub username: Secret,
    /// The password.
    pub password: Secret,
}

/// Builds it; complaints are in the reader.
pub(super) fn stack(reader: &mut Reader) -> Stack {
    let provider = match reader.choice("stack.provider") {
        Some("process") => Provider::Process,
        Some("external") => Provider::External,
        _ => Provider::Embedded,
    };
    let stack = Stack { provider, process: process(reader), external: external(reader) };
    if provider == Provider::External {
        let given = [
            ("stack.external.postgres", stack.external.postgres.len(), "[{ env: POSTGRES_URL }]"),
            ("stack.external.redis", stack.external.redis.len(), "[{ env: REDIS_URL }]"),
            ("stack.external.kafka.bootstrap", stack.external.kafka.bootstrap.len(), "[\"kafka-1.example:9092\"]"),
        ];
        for (path, _, example) in given.into_iter().filter(|(_, servers, _)| *servers == 0) {
            if reader.sound(&[path]) && reader.entries(path) == 0 {
                reader.complain(path, format!("provider external has no {path}"), format!("{path}: {example}"));
            }
        }
    }
    stack
}

fn process(reader: &mut Reader) -> Process {
    let brokers = "stack.process.kafka.brokers";
    let process = Process {
        standbys: reader.integer("stack.process.postgres.standbys").unwrap_or_default(),
        synchronous: reader.truth("stack.process.postgres.synchronous"),
        redis_cluster: reader.choice("stack.process.redis.mode") == Some("cluster"),
        brokers: reader.integer(brokers).unwrap_or(1),
    };
    if process.brokers == 2 {
        let message = "two brokers are no majority: one that is lost stops both";
        reader.complain(brokers, message, "1, or 3 to go on when one is lost");
    }
    process
}

fn external(reader: &mut Reader) -> External {
    let urls = |reader: &mut Reader, path: &str| {
        let count = reader.entries(path);
        (0..count).filter_map(|place| secret(reader, &format!("{path}[{place}]"))).collect()
    };
    External {
        postgres: urls(reader, "stack.external.postgres"),
        redis: urls(reader, "stack.external.redis"),
        kafka: kafka(reader),
    }
}

fn kafka(reader: &mut Reader) -> ExternalKafka {
    let path = |key: &str| format!("stack.external.kafka.{key}");
    let count = reader.entries(&path("bootstrap"));
    let bootstrap = (0..count).filter_map(|place| {
        let path = path(&format!("bootstrap[{place}]"));
        reader.expect(&path, |text| host_and_port(text).then(|| text.to_owned()))
    });
    let bootstrap = bootstrap.collect();
    let protocol = reader.choice(&path("protocol")).unwrap_or("PLAINTEXT").to_owned();
    let authorities = reader.text(&path("authorities")).map(PathBuf::from);
    let sasl = protocol.starts_with("SASL");
    let mut word = |key: &str| {
        let path = path(key);
        match reader.value(&path) {
            Some(_) if !sasl => {
                reader.complain(&path, "nobody asks for it", "protocol: SASL_SSL beside it");
                None
            }
            None if sasl => {
                let help = format!("{key}: {{ env: KAFKA_{} }}", key.to_uppercase());
                reader.complain(&path, format!("{protocol} needs a {key}"), help);
                None
            }
            None => None,
            Some(_) => secret(reader, &path),
        }
    };
    let (username, password) = (word("username"), word("password"));
    let mechanism = reader.choice(&path("mechanism")).unwrap_or("SCRAM-SHA-512").to_owned();
    let login = username.zip(password).map(|(username, password)| KafkaLogin { mechanism, username, password });
    ExternalKafka { bootstrap, protocol, login, authorities }
}

fn host_and_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && !host.contains([' ', ',', '/']) && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}
