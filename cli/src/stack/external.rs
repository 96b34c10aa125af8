//! Servers that run already: found by the addresses that the definition names, and looked at before a sale relies on them.

use std::collections::BTreeMap;
use std::time::Duration;

use flashsale_engine::sale::stack::External;
use flashsale_engine::sale::{Folder, Services};
use flashsale_engine::token::read_secret;
use jiff::Timestamp;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use serde::Serialize;
use sqlx::{Connection, PgConnection};

use super::programs::OLDEST_POSTGRES;
use crate::exit::{Exit, Failure};

/// How long a server may take to answer.
const ASK: Duration = Duration::from_secs(10);
/// How far a server's clock may be from this one, ms.
const CLOCKS: i64 = 2_000;

/// One thing about a server that a sale relies on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Which server: the password of its address is left out.
    pub server: String,
    /// What about it.
    pub what: &'static str,
    /// Whether it is as it must be.
    pub good: bool,
    /// What was found.
    pub found: String,
    /// What is needed.
    pub needed: String,
}

/// Looks at the servers, and writes where they are to the sale's folder.
///
/// # Errors
/// When a secret is missing, or a server is not as a sale needs it: all that is wrong, in one text.
pub async fn provide(folder: &Folder, external: &External) -> Result<(), Failure> {
    let services = services(external).map_err(|error| Failure::new(Exit::Unavailable, error))?;
    let checks = check(&services).await;
    let wrong: Vec<String> = checks
        .iter()
        .filter(|check| !check.good)
        .map(|check| format!("{}: {}: {}; needed: {}", check.server, check.what, check.found, check.needed))
        .collect();
    if !wrong.is_empty() {
        return Err(Failure::new(Exit::Unavailable, format!("the servers do not fit:\n  {}", wrong.join("\n  "))));
    }
    Ok(services.write(&folder.services())?)
}

/// The addresses that the definition names.
fn services(external: &External) -> Result<Services, String> {
    let read = |secret| read_secret(secret).map(|text| text.trim().to_owned());
    let kafka = &external.kafka;
    let mut client = BTreeMap::from([("security.protocol".to_owned(), kafka.protocol.clone())]);
    if let Some(login) = &kafka.login {
        client.insert("sasl.mechanism".to_owned(), login.mechanism.clone());
        client.insert("sasl.username".to_owned(), read(&login.username)?);
        client.insert("sasl.password".to_owned(), read(&login.password)?);
    }
    if kafka.protocol.ends_with("SSL") {
        let authorities = kafka.authorities.as_ref().map_or("probe".to_owned(), |path| path.display().to_string());
        client.insert("ssl.ca.location".to_owned(), authorities);
    }
    Ok(Services {
        postgres: external.postgres.iter().map(read).collect::<Result<_, _>>()?,
        redis: external.redis.iter().map(read).collect::<Result<_, _>>()?,
        kafka: kafka.bootstrap.clone(),
        kafka_client: client,
    })
}

/// Looks at every server: its version, whether it keeps what it acknowledges, its clock.
pub async fn check(services: &Services) -> Vec<Check> {
    let mut checks = Vec::new();
    for url in &services.postgres {
        checks.extend(within(postgres(url, services.postgres.len()), shown("postgres", url)).await);
    }
    for url in &services.redis {
        checks.extend(within(redis(url), shown("redis", url)).await);
    }
    checks.extend(within(kafka(services), format!("kafka {}", services.kafka.join(","))).await);
    checks
}

/// What, whether it is good, what was found, what is needed.
type Finding = (&'static str, bool, String, String);

async fn within(look: impl Future<Output = Result<Vec<Finding>, String>>, server: String) -> Vec<Check> {
    let findings = match tokio::time::timeout(ASK, look).await {
        Ok(Ok(findings)) => findings,
        Ok(Err(error)) => vec![("answer", false, error, "one".to_owned())],
        Err(_) => vec![("answer", false, "none".to_owned(), format!("one within {} s", ASK.as_secs()))],
    };
    let check = |(what, good, found, needed)| Check { server: server.clone(), what, good, found, needed };
    findings.into_iter().map(check).collect()
}

/// A URL without its user and password.
fn shown(kind: &str, url: &str) -> String {
    let address = url.rsplit_once('@').map_or(url, |(_, address)| address);
    format!("{kind} {}", address.split(['?']).next().unwrap_or(address))
}

async fn postgres(url: &str, servers: usize) -> Result<Vec<Finding>, String> {
    let asked = "select current_setting('server_version_num')::int / 10000, current_setting('fsync'),
        current_setting('full_page_writes'), current_setting('synchronous_commit'),
        current_setting('synchronous_standby_names'), pg_is_in_recovery(),
        (extract(epoch from clock_timestamp()) * 1000)::bigint";
    let look = async {
        let mut server = PgConnection::connect(url).await?;
        sqlx::query_as::<_, (i32, String, String, String, String, bool, i64)>(asked).fetch_one(&mut server).await
    };
    let (version, fsync, pages, commit, standbys, in_recovery, now) = look.await.map_err(|error| error.to_string())?;
    let on = |what: &'static str, value: String| (what, value == "on", value, "on".to_owned());
    let durable = ["on", "remote_apply"].contains(&commit.as_str());
    let oldest = i32::try_from(OLDEST_POSTGRES).unwrap_or(i32::MAX);
    let mut findings = vec![
        ("version", version >= oldest, version.to_string(), format!("{OLDEST_POSTGRES} or newer")),
        on("fsync", fsync),
        on("full_page_writes", pages),
        ("synchronous_commit", durable, commit, "on".to_owned()),
        clock(now),
    ];
    if servers > 1 && !in_recovery {
        let needed = "a standby that commits wait for, as several servers are named".to_owned();
        findings.push(("synchronous_standby_names", !standbys.is_empty(), format!("'{standbys}'"), needed));
    }
    Ok(findings)
}

async fn redis(url: &str) -> Result<Vec<Finding>, String> {
    let look = async {
        let client = ::redis::Client::open(url)?;
        let mut server = client.get_multiplexed_async_connection().await?;
        let info: String = ::redis::cmd("INFO").query_async(&mut server).await?;
        let (seconds, micros): (i64, i64) = ::redis::cmd("TIME").query_async(&mut server).await?;
        Ok::<_, ::redis::RedisError>((info, seconds * 1_000 + micros / 1_000))
    };
    let (info, now) = look.await.map_err(|error| error.to_string())?;
    let line =
        |name: &str| info.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("unknown").trim().to_owned();
    let version = line("redis_version:");
    let major: u32 = version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0);
    let policy = line("maxmemory_policy:");
    Ok(vec![
        ("version", major >= 7, version, "7 or newer".to_owned()),
        ("maxmemory-policy", policy == "noeviction", policy, "noeviction".to_owned()),
        clock(now),
    ])
}

fn clock(now: i64) -> Finding {
    let apart = (Timestamp::now().as_millisecond() - now).abs();
    ("clock", apart < CLOCKS, format!("{apart} ms apart"), format!("less than {CLOCKS} ms"))
}

async fn kafka(services: &Services) -> Result<Vec<Finding>, String> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", services.kafka.join(",")).extend(services.kafka_client.clone());
    let admin: AdminClient<DefaultClientContext> = config.create().map_err(|error| error.to_string())?;
    let admin = std::sync::Arc::new(admin);
    let asking = admin.clone();
    let known = tokio::task::spawn_blocking(move || asking.inner().fetch_metadata(None, ASK));
    let known = known.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    let brokers: Vec<i32> = known.brokers().iter().map(rdkafka::metadata::MetadataBroker::id).collect();
    let mut findings = Vec::new();
    for broker in &brokers {
        let (broker, options) = (ResourceSpecifier::Broker(*broker), AdminOptions::new());
        let told = admin.describe_configs([&broker], &options).await.map_err(|error| error.to_string())?;
        let config =
            told.into_iter().next().ok_or("no answer about its settings")?.map_err(|error| error.to_string())?;
        let value = |name: &str| config.get(name).and_then(|entry| entry.value.clone()).unwrap_or_default();
        let unclean = value("unclean.leader.election.enable");
        findings.push(("unclean.leader.election.enable", unclean == "false", unclean, "false".to_owned()));
        if brokers.len() > 1 {
            let in_sync = value("min.insync.replicas");
            let enough = in_sync.parse::<u32>().is_ok_and(|copies| copies >= 2);
            let needed = "2 or more, as there are several brokers".to_owned();
            findings.push(("min.insync.replicas", enough, in_sync, needed));
        }
    }
    Ok(findings)
}
