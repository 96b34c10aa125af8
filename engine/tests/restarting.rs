//! A restart replays what came after the newest snapshot and not the sale: over the real files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod memory;

use std::sync::Mutex;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use flashsale_engine::adapters::sqlite::{SqliteLedger, SqliteLog};
use flashsale_engine::allocator::step::Allocator;
use flashsale_engine::allocator::takeover::take_over;
use flashsale_engine::ports::{CommitEnd, Ledger, Log, LogError, LogRecord, Snapshot};
use memory::sale::*;
use uuid::Uuid;

/// Commands in a record, as a busy gateway sends them.
const TOGETHER: u64 = 100;
/// Decisions in all; `FLASHSALE_DECISIONS=1000000` shows the time of a real one.
fn decisions() -> u64 {
    std::env::var("FLASHSALE_DECISIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(20_000)
}

/// Counts the records that are read.
struct Counted(SqliteLog, Mutex<u64>);

#[async_trait]
impl Log for Counted {
    async fn append(&self, bytes: Bytes) -> Result<u64, LogError> {
        self.0.append(bytes).await
    }
    async fn read(&self, from: u64, limit: usize, wait: Duration) -> Result<Vec<LogRecord>, LogError> {
        let records = self.0.read(from, limit, wait).await?;
        *self.1.lock().unwrap() += records.len() as u64;
        Ok(records)
    }
    async fn end(&self) -> Result<u64, LogError> {
        self.0.end().await
    }
    async fn identity(&self) -> Result<Uuid, LogError> {
        self.0.identity().await
    }
}

async fn start(log: &dyn Log, ledger: &SqliteLedger, number: u128) -> Allocator {
    let seen = ledger.checkpoint().await.unwrap();
    take_over(log, ledger, ledger, &claim(number), &seen).await.unwrap().expect("nobody else").0
}

/// Folds and commits everything; keeps a snapshot at the record that `snapshot` names.
async fn work(log: &dyn Log, ledger: &SqliteLedger, writer: &mut Allocator, snapshot: u64) {
    let end = log.end().await.unwrap();
    while writer.next() < end {
        let limit = usize::try_from((end - writer.next()).min(64)).unwrap();
        let prepared = writer.fold(&log.read(writer.next(), limit, Duration::ZERO).await.unwrap()).unwrap().unwrap();
        assert_eq!(ledger.commit(&prepared.batch).await.unwrap(), CommitEnd::Committed);
        let before = prepared.batch.first_offset;
        if (before..writer.next()).contains(&snapshot) {
            let state = writer.state().unwrap();
            let kept = Snapshot {
                generation: 0,
                next_offset: writer.next(),
                digest: state.digest(),
                state: postcard::to_stdvec(state).unwrap().into(),
            };
            ledger.save_snapshot(&kept).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_restart_reads_only_what_came_after_the_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let log = Counted(SqliteLog::open(&folder.path().join("log.db")).await.unwrap(), Mutex::new(0));
    let ledger = SqliteLedger::open(&folder.path().join("ledger.db")).await.unwrap();
    let mut writer = start(&log, &ledger, 1).await;
    log.append(opening().into()).await.unwrap();
    let records = decisions() / TOGETHER;
    let began = Instant::now();
    for number in 1..=records {
        let first = number * TOGETHER;
        let entries = (first..first + TOGETHER).map(|shopper| reserve_of(1, shopper)).collect();
        log.append(batch(0, 9, number, entries).into()).await.unwrap();
    }
    let appended = began.elapsed();
    let snapshot = records - records / 20;
    work(&log, &ledger, &mut writer, snapshot).await;
    let decided = began.elapsed() - appended;
    let row = ledger.checkpoint().await.unwrap();
    drop(ledger);
    let ledger = SqliteLedger::open(&folder.path().join("ledger.db")).await.unwrap();

    *log.1.lock().unwrap() = 0;
    let began = Instant::now();
    let again = start(&log, &ledger, 2).await;
    let read = *log.1.lock().unwrap();
    println!(
        "{} decisions: appended in {appended:?}, decided in {decided:?}, restarted in {:?}",
        decisions(),
        began.elapsed()
    );
    assert_eq!(again.state().unwrap().digest(), row.digest);
    // The tail, the batch around the snapshot, and the first and last record that are always compared.
    assert!(read <= records / 20 + 64 + 8, "{read} of {records} records");
}
