//! The stack's servers as processes: started, found again, killed, stopped. Real servers, each test with its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod servers;
mod stage;

use std::time::{Duration, Instant};

use flashsale::stack::plan::{Kafka, Plan, Postgres, Redis};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::producer::{FutureProducer, FutureRecord};
use servers::{Stack, scratch};
use sqlx::{Connection, Executor, PgConnection};
use stage::{Stage, sale};

/// How long anything may take before the test fails: generous, because machines differ.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);

#[test]
fn one_of_each_starts_and_is_shared() {
    let Some(services) = servers::all() else { return };
    assert_eq!(servers::all().unwrap(), services);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_was_away_finds_its_log() {
    let plan = Plan { postgres: Some(Postgres { standbys: 1, synchronous: true }), ..scratch() };
    let Some(mut stack) = Stack::start(&plan) else { return };
    let mut primary = PgConnection::connect(&stack.services.postgres[0]).await.unwrap();
    let begun = Instant::now();
    // It counts as soon as it has said what it has.
    let waited_for = "select count(*) from pg_stat_replication
        where sync_state = 'quorum' and application_name = 'postgres_standby_1'";
    while sqlx::query_as::<_, (i64,)>(waited_for).fetch_one(&mut primary).await.unwrap().0 == 0 {
        assert!(begun.elapsed() < PATIENCE, "commits do not wait for the standby");
        tokio::time::sleep(LOOK).await;
    }
    for (setting, value) in [("fsync", "on"), ("synchronous_commit", "on"), ("max_connections", "200")] {
        let (found,): (String,) =
            sqlx::query_as("select current_setting($1)").bind(setting).fetch_one(&mut primary).await.unwrap();
        assert_eq!(found, value, "{setting}");
    }
    primary.execute("create table units (number int)").await.unwrap();
    stack.stop("postgres-standby-1");
    primary.execute("set synchronous_commit = local").await.unwrap();
    // Some segments of log, each of which a checkpoint gives back unless a slot keeps it.
    for _ in 0..2 {
        primary.execute("insert into units select generate_series(1, 500000)").await.unwrap();
        primary.execute("checkpoint").await.unwrap();
    }
    stack.restart("postgres-standby-1");
    let url = stack.services.postgres[1].clone();
    let begun = Instant::now();
    loop {
        let seen = async {
            let mut standby = PgConnection::connect(&url).await?;
            sqlx::query_as("select count(*), pg_is_in_recovery() from units").fetch_one(&mut standby).await
        };
        match seen.await {
            Ok((1_000_000_i64, true)) => break,
            other => assert!(begun.elapsed() < PATIENCE, "it did not catch up: {other:?}"),
        }
        tokio::time::sleep(LOOK).await;
    }
    primary.execute("set synchronous_commit = on; insert into units values (0)").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_former_primary_stays_down() {
    let plan = Plan { postgres: Some(Postgres { standbys: 1, synchronous: false }), ..scratch() };
    let Some(mut stack) = Stack::start(&plan) else { return };
    stack.kill("postgres");
    let mut standby = PgConnection::connect(&stack.services.postgres[1]).await.unwrap();
    let (promoted,): (bool,) = sqlx::query_as("select pg_promote()").fetch_one(&mut standby).await.unwrap();
    assert!(promoted);
    let refused = stack.running.restart("postgres").unwrap_err();
    assert_eq!(refused.to_string(), "postgres stays down: postgres-standby-1 was promoted over it");
    stack.stop("postgres-standby-1");
    stack.restart("postgres-standby-1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_has_three_masters_with_a_replica_each() {
    let Some(mut stack) = Stack::start(&Plan { redis: Some(Redis::Cluster), ..scratch() }) else { return };
    let client = redis::cluster::ClusterClient::new(stack.services.redis.clone()).unwrap();
    let mut cluster = client.get_async_connection().await.unwrap();
    for number in 0..100 {
        let _: () = redis::cmd("SET").arg(number).arg(number).query_async(&mut cluster).await.unwrap();
    }
    let one = redis::Client::open(stack.services.redis[0].as_str()).unwrap();
    let mut one = one.get_multiplexed_async_connection().await.unwrap();
    let nodes: String = redis::cmd("CLUSTER").arg("NODES").query_async(&mut one).await.unwrap();
    let role = |word: &str| nodes.lines().filter(|line| line.contains(word)).count();
    assert_eq!((role("master"), role("slave")), (3, 3), "{nodes}");
    let policy: Vec<String> =
        redis::cmd("CONFIG").arg("GET").arg("maxmemory-policy").query_async(&mut one).await.unwrap();
    assert_eq!(policy[1], "noeviction");
    stack.kill("redis-2");
    stack.restart("redis-2");
    let begun = Instant::now();
    loop {
        let info: redis::RedisResult<String> = redis::cmd("CLUSTER").arg("INFO").query_async(&mut one).await;
        let nodes: redis::RedisResult<String> = redis::cmd("CLUSTER").arg("NODES").query_async(&mut one).await;
        let whole = |nodes: &String| nodes.lines().filter(|line| line.contains(" connected")).count() == 6;
        if info.is_ok_and(|info| info.contains("cluster_state:ok")) && nodes.as_ref().is_ok_and(whole) {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "it did not come together again: {nodes:?}");
        tokio::time::sleep(LOOK).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_brokers_go_on_when_one_is_lost() {
    let Some(mut stack) = Stack::start(&Plan { kafka: Some(Kafka { brokers: 3 }), ..scratch() }) else { return };
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", stack.services.kafka.join(",")).set("acks", "all");
    let admin: AdminClient<_> = client.create().unwrap();
    let topic = NewTopic::new("orders", 1, TopicReplication::Fixed(3));
    admin.create_topics([&topic], &AdminOptions::new()).await.unwrap()[0].as_ref().unwrap();
    let producer: FutureProducer = client.create().unwrap();
    let send = || producer.send(FutureRecord::<(), _>::to("orders").payload("one"), PATIENCE);
    let first = send().await.unwrap();
    assert!(first.timestamp.to_millis().is_some(), "the broker stamps it");
    stack.kill("kafka-2");
    assert_eq!(send().await.unwrap().offset, first.offset + 1);
    stack.restart("kafka-2");
    assert_eq!(send().await.unwrap().offset, first.offset + 2);
}

#[test]
fn a_sale_brings_its_servers_up_and_takes_exactly_those_down() {
    let Some(other) = servers::redis() else { return };
    let stage = Stage::new();
    let stack = "stack: { provider: process, process: { postgres: { standbys: 1 } } }\n";
    stage.write("sale.yaml", &sale("1h", "1h", stack));
    stage.expect(0, &["up", "sale.yaml"]);
    let pid = |status: &serde_json::Value, name: &str| {
        let servers = status["servers"].as_array().unwrap();
        servers.iter().find(|server| server["name"] == name).unwrap()["pid"].as_u64()
    };
    let names = ["kafka-1", "postgres", "postgres-standby-1", "redis"];
    let first = stage.wait("up", |status| status["writer"]["epoch"] == 1);
    let pids: Vec<_> = names.iter().map(|name| pid(&first, name).expect(name)).collect();
    let services = std::fs::read_to_string(stage.path().join("state/tiny/services.json")).unwrap();
    stage.expect(0, &["up", "sale.yaml"]);
    let second = stage.wait("up again", |status| status["writer"]["epoch"].as_u64() >= Some(1));
    assert_eq!(pids, names.iter().map(|name| pid(&second, name).unwrap()).collect::<Vec<_>>(), "found, not started");
    for name in ["redis", "postgres"] {
        let killed = pid(&second, name).unwrap();
        std::process::Command::new("kill").args(["-9", &killed.to_string()]).status().unwrap();
        stage.wait(name, |status| pid(status, name).is_some_and(|pid| pid != killed));
    }
    assert!(stage.expect(0, &["logs", "postgres"]).contains("database system"));
    assert!(stage.expect(64, &["logs", "postgres-7"]).contains("postgres-standby-1"));
    assert!(stage.expect(0, &["status"]).contains("kafka-1"));
    stage.expect(0, &["down", "tiny"]);
    for name in names {
        let pid_file = std::fs::File::open(stage.path().join(format!("state/tiny/{name}.pid"))).unwrap();
        pid_file.try_lock().expect("stopped");
    }
    assert!(stage.expect(0, &["audit", "verify", "tiny"]).contains("starting the sale's servers"));
    assert!(std::fs::File::open(stage.path().join("state/tiny/postgres.pid")).unwrap().try_lock().is_ok());
    let mut other = redis::Client::open(other).unwrap().get_connection().unwrap();
    assert_eq!(redis::cmd("PING").query::<String>(&mut other).unwrap(), "PONG", "another's server goes on");
    stage.expect(0, &["up", "sale.yaml"]);
    let again = std::fs::read_to_string(stage.path().join("state/tiny/services.json")).unwrap();
    assert_eq!(again, services, "the same ports and passwords");
    stage.expect(0, &["down", "tiny", "--delete-data", "--confirm", "tiny", "--without-export", "a test"]);
}

#[test]
fn external_servers_are_looked_at_before_a_sale_relies_on_them() {
    let Some(services) = servers::all() else { return };
    let Some(forgetful) = Stack::start(&Plan { redis: Some(Redis::Single), ..scratch() }) else { return };
    let mut redis = redis::Client::open(forgetful.services.redis[0].as_str()).unwrap().get_connection().unwrap();
    redis::cmd("CONFIG").arg("SET").arg("maxmemory-policy").arg("allkeys-lru").query::<()>(&mut redis).unwrap();
    let stage = Stage::new();
    stage.write("pg.url", &services.postgres[0]);
    stage.write("redis.url", &services.redis[0]);
    stage.write("forgetful.url", &forgetful.services.redis[0]);
    let stack = format!(
        "stack:\n  provider: external\n  external:\n    postgres: [ {{ file: pg.url }} ]\n    \
         redis: [ {{ file: redis.url }}, {{ file: forgetful.url }} ]\n    kafka: {{ bootstrap: [ \"{}\" ] }}\n",
        services.kafka[0]
    );
    stage.write("sale.yaml", &sale("1h", "1h", &stack));
    let told = stage.expect(69, &["up", "sale.yaml"]);
    assert!(told.contains("maxmemory-policy: allkeys-lru; needed: noeviction"), "{told}");
    let password = services.redis[0].split([':', '@']).nth(2).unwrap();
    assert!(!told.contains(password), "{told}");
    stage.write("forgetful.url", &services.redis[0]);
    stage.expect(0, &["up", "sale.yaml"]);
    let written = std::fs::read(stage.path().join("state/tiny/services.json")).unwrap();
    let written: flashsale_engine::sale::Services = serde_json::from_slice(&written).unwrap();
    assert_eq!((written.postgres, written.kafka), (services.postgres, services.kafka));
}
