//! What happens to Kafka while a sale runs on it: a broker that is away for a while, and a log that lost its tail.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cast;
mod servers;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cast::{Heard, Play};
use flashsale::stack::plan::{Kafka, Plan};
use flashsale_engine::adapters::kafka::{Connection, KafkaLog};
use flashsale_engine::ports::Log;
use flashsale_engine::sale::{Names, Services};
use servers::Stack;

/// A broker of the story's own beside the shared servers.
async fn stage() -> Option<(Stack, Services)> {
    tokio::task::spawn_blocking(|| {
        let plan = Plan { kafka: Some(Kafka { brokers: 1 }), ..servers::scratch() };
        let stack = Stack::start(&plan)?;
        let one = |address: &str| vec![address.to_owned()];
        let (postgres, redis) = (one(servers::postgres()?), one(servers::redis()?));
        let kafka = stack.services.kafka.clone();
        let services = Services { postgres, redis, kafka, kafka_client: BTreeMap::new() };
        Some((stack, services))
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_away_loses_nothing_and_fails_nobody() {
    let Some((mut stack, services)) = stage().await else { return };
    let mut play = Play::on(&services);
    let engine = play.enter("all", "engine").await;
    play.open(&engine, &[&engine]).await;
    let at = engine.listen.unwrap();
    let before = play.granted(at, "before").await.reservation();

    stack = tokio::task::spawn_blocking(move || {
        stack.stop("kafka-1");
        stack
    })
    .await
    .unwrap();
    // Perhaps appended, or not taken in: never "failed", and reads go on.
    let mut heard = BTreeMap::new();
    for number in 0..20 {
        let key = format!("away-{number}");
        let answer = play.reserve(at, &key).await.expect("an answer");
        assert!(matches!(answer.status, 202 | 503), "{answer:?}");
        heard.insert(key, answer);
        assert_eq!(play.look(at, "/v1/skus/S-1/availability").await.0, 200);
    }
    assert!(heard.values().any(|answer| answer.status == 503), "it sheds: {heard:?}");
    let stack = tokio::task::spawn_blocking(move || {
        stack.restart("kafka-1");
        stack
    })
    .await
    .unwrap();
    let after = play.granted(at, "after").await.reservation();
    assert_eq!(play.granted(at, "before").await.reservation(), before);
    assert_ne!(before, after);
    let mut granted = vec![before, after];
    for (key, answer) in &heard {
        let again: Heard = play.granted(at, key).await;
        granted.push(again.reservation());
        assert!(answer.reservation().is_empty());
    }
    granted.sort();
    granted.dedup();
    assert_eq!(granted.len(), 22);
    let audit = play.end().await;
    assert_eq!((&audit["granted"], &audit["oversold"]), (&22.into(), &0.into()));
    drop(stack);
}

/// Where a record batch of a segment ends, by its own length.
fn batches(segment: &[u8]) -> Vec<usize> {
    let (mut ends, mut at) = (Vec::new(), 0);
    while at + 12 <= segment.len() {
        let length = u32::from_be_bytes(segment[at + 8..at + 12].try_into().unwrap()) as usize;
        if length == 0 || at + 12 + length > segment.len() {
            break;
        }
        at += 12 + length;
        ends.push(at);
    }
    ends
}

fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).find_map(|path| {
        if path.file_name().is_some_and(|found| found == name) {
            return Some(path);
        }
        path.is_dir().then(|| find(&path, name)).flatten()
    })
}

/// Cuts records off a partition's end while its broker is stopped: what a disk that lied about syncing leaves.
fn cut(home: &Path, partition: &str, records: usize) {
    let folder = find(home, partition).expect("the partition's folder");
    let path = folder.join("00000000000000000000.log");
    let segment = fs::read(&path).unwrap();
    let ends = batches(&segment);
    let keep = ends[ends.len() - 1 - records];
    fs::File::options().write(true).open(&path).unwrap().set_len(keep as u64).unwrap();
    for file in fs::read_dir(&folder).unwrap().flatten().map(|entry| entry.path()) {
        if file.extension().is_some_and(|kind| kind == "index" || kind == "timeindex" || kind == "snapshot") {
            fs::remove_file(file).unwrap();
        }
    }
    // The broker has to look at its segments again.
    let root = folder.parent().unwrap();
    let _ = fs::remove_file(root.join(".kafka_cleanshutdown"));
    for mark in ["recovery-point-offset-checkpoint", "replication-offset-checkpoint"] {
        let _ = fs::remove_file(root.join(mark));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_lost_its_tail_is_not_folded_even_if_it_grew_again() {
    let Some((stack, services)) = stage().await else { return };
    let mut play = Play::on(&services);
    let engine = play.enter("all", "engine").await;
    play.open(&engine, &[&engine]).await;
    for number in 0..5 {
        play.granted(engine.listen.unwrap(), &format!("key-{number}")).await;
    }
    play.signal("engine", rustix::process::Signal::TERM);
    assert!(play.exit("engine").await.success());
    play.audit();

    let commands = Names::of(&play.frozen).commands(0);
    let partition = format!("{commands}-0");
    let mut stack = tokio::task::spawn_blocking(move || {
        let mut stack = stack;
        stack.stop("kafka-1");
        cut(stack.running.folder().path(), &partition, 2);
        stack.restart("kafka-1");
        stack
    })
    .await
    .unwrap();
    assert_eq!(refused(&mut play).await, Some(98), "{}", play.log("engine"));

    // More is appended than was cut: offsets alone would not tell.
    let log = KafkaLog::open(&Connection::new(&services), &commands).unwrap();
    for number in 0..10_u8 {
        append(&log, vec![number; 3]).await;
    }
    assert_eq!(refused(&mut play).await, Some(98), "{}", play.log("engine"));
    stack.kill("kafka-1");
}

async fn append(log: &KafkaLog, bytes: Vec<u8>) {
    let begun = std::time::Instant::now();
    while log.append(bytes.clone().into()).await.is_err() {
        assert!(begun.elapsed() < cast::PATIENCE, "the broker does not come back");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Starts an engine that must not serve; how it ended.
async fn refused(play: &mut Play) -> Option<i32> {
    let begun = std::time::Instant::now();
    loop {
        let code = play.attempt("all", "engine").await.code();
        // The broker may still be looking at its segments.
        if code != Some(69) || begun.elapsed() > cast::PATIENCE {
            return code;
        }
    }
}
