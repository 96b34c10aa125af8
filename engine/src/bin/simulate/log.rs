//! The commands log: one list of records, and a line to it for each of its users.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use flashsale_engine::ports::{Log, LogError, LogRecord};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::faults::{Fault, Faults};
use crate::sale::NOON;
use crate::sim::{Sim, lock};

/// When a sender gives a record up.
const LIMIT: Duration = Duration::from_millis(800);
/// The latest that a late or repeated record comes, ms.
const LATE_MS: u64 = 4_000;
/// How far a wrong clock is off, ms.
const HOUR_MS: i64 = 3_600_000;

/// The log itself.
pub struct Records {
    pub sim: Sim,
    pub faults: Arc<Faults>,
    id: Uuid,
    list: Mutex<Vec<LogRecord>>,
    news: Notify,
}

impl Records {
    /// An empty log.
    pub fn new(sim: &Sim, faults: &Arc<Faults>) -> Arc<Self> {
        Arc::new(Self {
            sim: sim.clone(),
            faults: Arc::clone(faults),
            id: Uuid::from_u128(77),
            list: Mutex::default(),
            news: Notify::new(),
        })
    }

    /// Appends now.
    pub fn push(&self, bytes: Bytes) -> u64 {
        let off = if self.faults.strikes(Fault::ClockAhead) {
            HOUR_MS
        } else if self.faults.strikes(Fault::ClockBack) {
            -HOUR_MS
        } else {
            0
        };
        let mut list = lock(&self.list);
        let offset = list.len() as u64;
        list.push(LogRecord { offset, timestamp: NOON + self.sim.now_ms() + off, bytes });
        self.news.notify_waiters();
        offset
    }

    /// How many records there are.
    pub fn end(&self) -> u64 {
        lock(&self.list).len() as u64
    }

    /// Records from an offset on, at most so many.
    pub fn slice(&self, from: u64, limit: usize) -> Vec<LogRecord> {
        let list = lock(&self.list);
        list.iter().skip(usize::try_from(from).unwrap_or(usize::MAX)).take(limit).cloned().collect()
    }

    /// Loses everything from an offset on.
    pub fn cut(&self, end: u64) {
        lock(&self.list).truncate(usize::try_from(end).unwrap_or(usize::MAX));
    }
}

/// A user's line to the log: what is sent over one line arrives in order, as from an idempotent producer.
pub struct Line {
    records: Arc<Records>,
    /// When the last record sent over it arrives.
    arrives: Mutex<Duration>,
}

impl Line {
    /// A line.
    pub fn new(records: &Arc<Records>) -> Arc<Self> {
        Arc::new(Self { records: Arc::clone(records), arrives: Mutex::default() })
    }

    /// How long the next record takes.
    fn way(&self) -> Duration {
        let sim = &self.records.sim;
        let mut arrives = lock(&self.arrives);
        let at = (sim.now() + sim.micros(100, 4_000)).max(*arrives + Duration::from_micros(1));
        *arrives = at;
        at - sim.now()
    }
}

#[async_trait]
impl Log for Line {
    async fn append(&self, bytes: Bytes) -> Result<u64, LogError> {
        let (sim, faults) = (&self.records.sim, &self.records.faults);
        let unknown = || Err(LogError::Unknown("no answer from the log".into()));
        if faults.strikes(Fault::AppendRefused) {
            sim.sleep(sim.millis(1, 20)).await;
            return Err(LogError::Unavailable("it takes no records".into()));
        }
        if faults.strikes(Fault::AppendLost) {
            sim.sleep(LIMIT).await;
            return unknown();
        }
        let (records, copy) = (Arc::clone(&self.records), bytes.clone());
        if faults.strikes(Fault::AppendLate) {
            sim.after(LIMIT + sim.millis(0, LATE_MS), move || _ = records.push(copy));
            sim.sleep(LIMIT).await;
            return unknown();
        }
        if faults.strikes(Fault::AppendTwice) {
            let again = sim.millis(1, LATE_MS);
            let (records, bytes) = (Arc::clone(&self.records), bytes.clone());
            sim.after(self.way() + again, move || _ = records.push(bytes));
        }
        let unheard = faults.strikes(Fault::AppendUnheard);
        let (tell, told) = tokio::sync::oneshot::channel();
        sim.after(self.way(), move || _ = tell.send(records.push(copy)));
        if unheard {
            sim.sleep(LIMIT).await;
            return unknown();
        }
        let offset = told.await;
        sim.sleep(sim.micros(100, 1_500)).await;
        offset.map_err(|_| LogError::Unknown("the line broke".into()))
    }

    async fn read(&self, from: u64, limit: usize, wait: Duration) -> Result<Vec<LogRecord>, LogError> {
        let Records { sim, news, .. } = &*self.records;
        let until = sim.now() + wait;
        loop {
            sim.sleep(sim.micros(50, 600)).await;
            let more = std::pin::pin!(news.notified());
            if from > self.records.end() {
                return Err(LogError::Damaged(format!("it ends before offset {from}")));
            }
            let found = self.records.slice(from, limit);
            let left = until.saturating_sub(sim.now());
            if !found.is_empty() || left.is_zero() || sim.within(left, more).await.is_none() {
                return Ok(found);
            }
        }
    }

    async fn end(&self) -> Result<u64, LogError> {
        self.records.sim.sleep(self.records.sim.micros(50, 600)).await;
        Ok(self.records.end())
    }

    async fn identity(&self) -> Result<Uuid, LogError> {
        Ok(self.records.id)
    }
}
