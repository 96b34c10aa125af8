//! Ports in memory, with the faults that a story asks for. Time is tokio's, so that a paused test owns it.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

pub mod consumers;
pub mod engine;
pub mod random;
pub mod sale;
/// One ledger in memory, for the stories here and for the simulator.
#[path = "../../src/bin/simulate/tables.rs"]
pub mod tables;

pub use consumers::{MemoryCache, MemoryEvents, MemoryNotifier};
pub use tables::Tables;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use flashsale_core::{HoldNumber, PaymentView, RequestKey};
use flashsale_engine::ports::*;
use tokio::sync::Notify;
use tokio::time::Instant;
use uuid::Uuid;

/// The moment at which every story begins, Unix ms.
pub const NOON: i64 = 1_795_608_000_000;

pub struct TestClock(Instant);

impl TestClock {
    pub fn new() -> Self {
        Self(Instant::now())
    }
}

impl Clock for TestClock {
    fn now(&self) -> i64 {
        NOON + i64::try_from(self.0.elapsed().as_millis()).unwrap()
    }
    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

/// A log in memory; its records' time is the test clock's.
pub struct MemoryLog {
    pub records: Mutex<Vec<LogRecord>>,
    pub id: Mutex<Uuid>,
    /// Takes no record.
    pub away: AtomicBool,
    clock: TestClock,
    news: Notify,
}

impl MemoryLog {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            records: Mutex::default(),
            id: Mutex::new(Uuid::from_u128(77)),
            away: AtomicBool::new(false),
            clock: TestClock::new(),
            news: Notify::new(),
        })
    }

    pub fn push(&self, bytes: impl Into<Bytes>) -> u64 {
        let timestamp = self.clock.now();
        self.push_at(bytes, timestamp)
    }

    pub fn push_at(&self, bytes: impl Into<Bytes>, timestamp: i64) -> u64 {
        let mut records = self.records.lock().unwrap();
        let offset = records.len() as u64;
        records.push(LogRecord { offset, timestamp, bytes: bytes.into() });
        self.news.notify_waiters();
        offset
    }

    pub fn cut(&self, length: usize) {
        self.records.lock().unwrap().truncate(length);
    }

    pub fn all(&self) -> Vec<LogRecord> {
        self.records.lock().unwrap().clone()
    }
}

#[async_trait]
impl Log for MemoryLog {
    async fn append(&self, bytes: Bytes) -> Result<u64, LogError> {
        if self.away.load(SeqCst) {
            return Err(LogError::Unavailable("away".into()));
        }
        Ok(self.push(bytes))
    }

    async fn read(&self, from: u64, limit: usize, wait: Duration) -> Result<Vec<LogRecord>, LogError> {
        let until = Instant::now() + wait;
        loop {
            let news = self.news.notified();
            let found: Vec<_> =
                self.records.lock().unwrap().iter().skip(usize::try_from(from).unwrap()).take(limit).cloned().collect();
            if !found.is_empty() || tokio::time::timeout_at(until, news).await.is_err() {
                return Ok(found);
            }
        }
    }

    async fn end(&self) -> Result<u64, LogError> {
        Ok(self.records.lock().unwrap().len() as u64)
    }

    async fn identity(&self) -> Result<Uuid, LogError> {
        Ok(*self.id.lock().unwrap())
    }
}

/// What happens to a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It happens, the answer is lost.
    AnswerLost,
    /// It does not happen, and no answer says so.
    RequestLost,
    /// The ledger never answers this one, though it happens.
    Hangs,
}

#[derive(Default)]
pub struct MemoryLedger {
    pub tables: Mutex<Tables>,
    pub faults: Mutex<VecDeque<Fault>>,
    pub resolved: AtomicU64,
    /// How long each of the writer's statements takes.
    pub slow: Mutex<Duration>,
    /// Locked: no snapshot is taken. It is nothing that a commit waits for.
    pub snapshot_store: tokio::sync::Mutex<()>,
    /// The one connection that writes: whoever waits for it is served in turn.
    connection: tokio::sync::Mutex<()>,
}

impl MemoryLedger {
    async fn statement(&self) -> tokio::sync::MutexGuard<'_, ()> {
        let connection = self.connection.lock().await;
        let slow = *self.slow.lock().unwrap();
        if !slow.is_zero() {
            tokio::time::sleep(slow).await;
        }
        connection
    }

    pub fn row(&self) -> Checkpoint {
        self.tables.lock().unwrap().row()
    }

    /// All tables as they are: a standby that stays behind.
    pub fn copy(&self) -> Tables {
        self.tables.lock().unwrap().clone()
    }

    pub fn put_back(&self, tables: Tables) {
        *self.tables.lock().unwrap() = tables;
    }

    pub fn change_row(&self, change: impl FnOnce(&mut Checkpoint)) {
        self.tables.lock().unwrap().change_row(change);
    }

    fn apply(&self, batch: &LedgerBatch) -> CommitEnd {
        self.tables.lock().unwrap().commit(batch)
    }
}

#[async_trait]
impl Ledger for MemoryLedger {
    async fn checkpoint(&self) -> Result<Checkpoint, LedgerError> {
        Ok(self.row())
    }

    async fn take_over(&self, seen: u64, writer: Uuid) -> Result<Option<Checkpoint>, LedgerError> {
        Ok(self.tables.lock().unwrap().take_over(seen, writer))
    }

    async fn commit(&self, batch: &LedgerBatch) -> Result<CommitEnd, LedgerError> {
        let _connection = self.statement().await;
        let fault = self.faults.lock().unwrap().pop_front();
        match fault {
            None => Ok(self.apply(batch)),
            Some(Fault::AnswerLost) => {
                self.apply(batch);
                Ok(CommitEnd::Unknown("the answer was lost".into()))
            }
            Some(Fault::RequestLost) => Ok(CommitEnd::Unknown("the request was lost".into())),
            Some(Fault::Hangs) => {
                self.apply(batch);
                std::future::pending().await
            }
        }
    }

    async fn resolve(&self, batch: &LedgerBatch) -> Result<CommitEnd, LedgerError> {
        let _connection = self.statement().await;
        self.resolved.fetch_add(1, SeqCst);
        Ok(self.tables.lock().unwrap().resolve(batch))
    }

    async fn beat(&self, epoch: u64, writer: Uuid) -> Result<bool, LedgerError> {
        let _connection = self.statement().await;
        Ok(self.tables.lock().unwrap().change_own_row(epoch, writer, |row| row.beat += 1))
    }

    async fn resign(&self, epoch: u64, writer: Uuid) -> Result<bool, LedgerError> {
        let _connection = self.statement().await;
        Ok(self.tables.lock().unwrap().change_own_row(epoch, writer, |row| row.writer = Uuid::nil()))
    }

    async fn published(&self, epoch: u64, offset: u64) -> Result<(), LedgerError> {
        let _connection = self.statement().await;
        self.tables.lock().unwrap().published(epoch, offset);
        Ok(())
    }

    async fn save_snapshot(&self, snapshot: &Snapshot) -> Result<(), LedgerError> {
        let _store = self.snapshot_store.lock().await;
        self.tables.lock().unwrap().save_snapshot(snapshot);
        Ok(())
    }

    async fn rewrite(&self, _epoch: u64, _writer: Uuid, _rows: &LedgerRows) -> Result<bool, LedgerError> {
        Err(LedgerError::Unavailable("no story here repairs a ledger".into()))
    }
}

#[async_trait]
impl History for MemoryLedger {
    async fn writer(&self) -> Result<Option<Checkpoint>, LedgerError> {
        Ok(self.tables.lock().unwrap().row.clone())
    }
    async fn hold(&self, hold: HoldNumber) -> Result<Option<HoldRow>, LedgerError> {
        Ok(self.tables.lock().unwrap().holds.get(&hold).cloned())
    }
    async fn request(&self, request: RequestKey) -> Result<Option<HoldRow>, LedgerError> {
        Ok(self.tables.lock().unwrap().request(request))
    }
    async fn subject(&self, _name: &str, _limit: u32) -> Result<Vec<HoldRow>, LedgerError> {
        Err(LedgerError::Unavailable("no story here asks for a subject".into()))
    }
    async fn payments(&self, hold: HoldNumber) -> Result<Vec<PaymentView>, LedgerError> {
        Ok(self.tables.lock().unwrap().payments_of(hold))
    }
    async fn audit(&self, generation: u32, from: u64, limit: u32) -> Result<Vec<AuditRow>, LedgerError> {
        Ok(self.tables.lock().unwrap().audit_from(generation, from, limit))
    }
    async fn snapshot(&self, next_offset: u64) -> Result<Option<Snapshot>, LedgerError> {
        Ok(self.tables.lock().unwrap().snapshot(next_offset))
    }
    async fn books(&self) -> Result<Option<(Checkpoint, LedgerRows)>, LedgerError> {
        let rows = self.rows().await?;
        Ok(self.writer().await?.map(|row| (row, rows)))
    }
    async fn rows(&self) -> Result<LedgerRows, LedgerError> {
        Ok(self.tables.lock().unwrap().rows())
    }
    async fn sums(&self) -> Result<Sums, LedgerError> {
        Ok(self.tables.lock().unwrap().sums())
    }
    async fn gate(&self) -> Result<Option<Gate>, LedgerError> {
        Ok(self.tables.lock().unwrap().gate.clone())
    }
    async fn set_gate(&self, gate: Option<&Gate>) -> Result<(), LedgerError> {
        self.tables.lock().unwrap().gate = gate.cloned();
        Ok(())
    }
}
