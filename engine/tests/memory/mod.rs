//! Ports in memory, with the faults that a story asks for. Time is tokio's, so that a paused test owns it.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

pub mod consumers;
pub mod engine;
pub mod random;
pub mod sale;

pub use consumers::{MemoryCache, MemoryEvents, MemoryNotifier};

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use flashsale_core::{HoldNumber, PaymentView, RequestKey};
use flashsale_engine::ports::*;
use flashsale_engine::record::ItemNotice;
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

#[derive(Default, Clone)]
pub struct Tables {
    pub row: Option<Checkpoint>,
    pub items: BTreeMap<u16, ItemNotice>,
    pub holds: BTreeMap<HoldNumber, HoldRow>,
    pub payments: BTreeMap<u32, PaymentView>,
    pub audit: Vec<AuditRow>,
    pub snapshots: Vec<Snapshot>,
    pub gate: Option<Gate>,
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
        self.tables.lock().unwrap().row.clone().unwrap_or_else(|| Checkpoint {
            run: None,
            epoch: 0,
            writer: Uuid::nil(),
            generation: 0,
            next_offset: 0,
            digest: 0,
            chain: [0; 32],
            log: Uuid::nil(),
            last_record: [0; 32],
            published_through: 0,
            beat: 0,
        })
    }

    /// All tables as they are: a standby that stays behind.
    pub fn copy(&self) -> Tables {
        self.tables.lock().unwrap().clone()
    }

    pub fn put_back(&self, tables: Tables) {
        *self.tables.lock().unwrap() = tables;
    }

    pub fn change_row(&self, change: impl FnOnce(&mut Checkpoint)) {
        let mut row = self.row();
        change(&mut row);
        self.tables.lock().unwrap().row = Some(row);
    }

    fn apply(&self, batch: &LedgerBatch) -> CommitEnd {
        let row = self.row();
        let fence = (batch.epoch, batch.writer, batch.first_offset, batch.digest_before);
        if (row.epoch, row.writer, row.next_offset, row.digest) != fence {
            return CommitEnd::Fenced(Box::new(row));
        }
        let mut tables = self.tables.lock().unwrap();
        for change in &batch.items {
            let found = tables.items.get(&change.after.item).copied();
            let numbers = |item: ItemNotice| (item.stock, item.shortage, item.held, item.sold, item.waiting);
            if found.map(numbers) != change.before.map(numbers) {
                return CommitEnd::Mismatch(format!("item {}: {found:?}", change.after.item));
            }
        }
        for change in &batch.items {
            tables.items.insert(change.after.item, change.after);
        }
        for row in &batch.holds {
            let mut row = row.clone();
            if let Some(old) = tables.holds.get(&row.view.hold) {
                row.name = old.name.clone();
                row.request = old.request;
                row.confirmed_at = row.confirmed_at.or(old.confirmed_at);
            }
            tables.holds.insert(row.view.hold, row);
        }
        for payment in &batch.payments {
            tables.payments.insert(payment.payment, *payment);
        }
        tables.audit.push(AuditRow {
            first_offset: batch.first_offset,
            next_offset: batch.next_offset,
            generation: batch.generation,
            epoch: batch.epoch,
            digest: batch.digest,
            records_hash: batch.records_hash,
            chain: batch.chain,
            committed: batch.committed.clone(),
            committed_at: 0,
        });
        let published_through = if row.generation == batch.generation { row.published_through } else { 0 };
        tables.row = Some(Checkpoint {
            run: Some(batch.run),
            generation: batch.generation,
            next_offset: batch.next_offset,
            digest: batch.digest,
            chain: batch.chain,
            log: batch.log,
            last_record: batch.last_record,
            published_through,
            ..row
        });
        CommitEnd::Committed
    }
}

#[async_trait]
impl Ledger for MemoryLedger {
    async fn checkpoint(&self) -> Result<Checkpoint, LedgerError> {
        Ok(self.row())
    }

    async fn take_over(&self, seen: u64, writer: Uuid) -> Result<Option<Checkpoint>, LedgerError> {
        let mut row = self.row();
        if row.epoch != seen {
            return Ok(None);
        }
        (row.epoch, row.writer) = (seen + 1, writer);
        self.tables.lock().unwrap().row = Some(row.clone());
        Ok(Some(row))
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
        let row = self.row();
        let mine = (row.epoch, row.writer) == (batch.epoch, batch.writer);
        if mine && (row.next_offset, row.digest) == (batch.next_offset, batch.digest) {
            return Ok(CommitEnd::Committed);
        }
        Ok(CommitEnd::Fenced(Box::new(row)))
    }

    async fn beat(&self, epoch: u64, writer: Uuid) -> Result<bool, LedgerError> {
        let _connection = self.statement().await;
        let row = self.row();
        let mine = (row.epoch, row.writer) == (epoch, writer);
        if mine {
            self.change_row(|row| row.beat += 1);
        }
        Ok(mine)
    }

    async fn resign(&self, epoch: u64, writer: Uuid) -> Result<bool, LedgerError> {
        let _connection = self.statement().await;
        let row = self.row();
        let mine = (row.epoch, row.writer) == (epoch, writer);
        if mine {
            self.change_row(|row| row.writer = Uuid::nil());
        }
        Ok(mine)
    }

    async fn published(&self, epoch: u64, offset: u64) -> Result<(), LedgerError> {
        let _connection = self.statement().await;
        if self.row().epoch == epoch {
            self.change_row(|row| row.published_through = row.published_through.max(offset));
        }
        Ok(())
    }

    async fn save_snapshot(&self, snapshot: &Snapshot) -> Result<(), LedgerError> {
        let _store = self.snapshot_store.lock().await;
        self.tables.lock().unwrap().snapshots.push(snapshot.clone());
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
        Ok(self.tables.lock().unwrap().holds.values().find(|row| row.request == Some(request)).cloned())
    }
    async fn subject(&self, _name: &str, _limit: u32) -> Result<Vec<HoldRow>, LedgerError> {
        Err(LedgerError::Unavailable("no story here asks for a subject".into()))
    }
    async fn payments(&self, hold: HoldNumber) -> Result<Vec<PaymentView>, LedgerError> {
        Ok(self.tables.lock().unwrap().payments.values().filter(|paid| paid.hold == hold).copied().collect())
    }
    async fn audit(&self, generation: u32, from: u64, limit: u32) -> Result<Vec<AuditRow>, LedgerError> {
        let tables = self.tables.lock().unwrap();
        let wanted = |row: &&AuditRow| row.generation == generation && row.next_offset > from;
        Ok(tables.audit.iter().filter(wanted).take(limit as usize).cloned().collect())
    }
    async fn snapshot(&self, next_offset: u64) -> Result<Option<Snapshot>, LedgerError> {
        let tables = self.tables.lock().unwrap();
        Ok(tables.snapshots.iter().rfind(|kept| kept.next_offset <= next_offset).cloned())
    }
    async fn books(&self) -> Result<Option<(Checkpoint, LedgerRows)>, LedgerError> {
        let rows = self.rows().await?;
        Ok(self.writer().await?.map(|row| (row, rows)))
    }
    async fn rows(&self) -> Result<LedgerRows, LedgerError> {
        let tables = self.tables.lock().unwrap();
        Ok(LedgerRows {
            items: tables.items.values().copied().collect(),
            holds: tables.holds.values().cloned().collect(),
            payments: tables.payments.values().copied().collect(),
        })
    }
    async fn sums(&self) -> Result<Sums, LedgerError> {
        Err(LedgerError::Unavailable("no story here reconciles".into()))
    }
    async fn gate(&self) -> Result<Option<Gate>, LedgerError> {
        Ok(self.tables.lock().unwrap().gate.clone())
    }
    async fn set_gate(&self, gate: Option<&Gate>) -> Result<(), LedgerError> {
        self.tables.lock().unwrap().gate = gate.cloned();
        Ok(())
    }
}
