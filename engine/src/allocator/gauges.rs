//! What the writer shows of itself: counters and histograms that it writes and telemetry reads. Writing costs a few
//! nanoseconds; nothing here decides anything.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use flashsale_core::{HaltCause, HaltScope, Phase, Position, State};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// The longest time that a stage's histogram tells apart, microseconds: a minute.
const LONGEST_US: u64 = 60_000_000;

/// One stage's values since they were last taken: microseconds, or commands for [`Gauges::batch_size`].
#[derive(Debug)]
pub struct Stage(Mutex<Histogram<u64>>);

impl Default for Stage {
    fn default() -> Self {
        Self(Mutex::new(empty()))
    }
}

impl Stage {
    /// Records one value; one beyond the range counts as the longest.
    pub fn record(&self, value: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).saturating_record(value);
    }

    /// Records a time, as microseconds.
    pub fn record_time(&self, time: Duration) {
        self.record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// Adds what was recorded elsewhere.
    pub fn merge(&self, recorded: &Histogram<u64>) {
        // All have the same bounds, so that adding cannot fail.
        let _ = self.0.lock().unwrap_or_else(PoisonError::into_inner).add(recorded);
    }

    /// Everything since the last take, if there is anything. A stage has one reader: what it takes is gone for others.
    pub fn take(&self) -> Option<Histogram<u64>> {
        let mut recorded = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (!recorded.is_empty()).then(|| std::mem::replace(&mut *recorded, empty()))
    }
}

#[allow(clippy::expect_used)] // both figures are constants within the histogram's limits
fn empty() -> Histogram<u64> {
    Histogram::new_with_max(LONGEST_US, 3).expect("a minute in microseconds, three digits")
}

/// A writer without work lets this much time pass between two decisions (the idle tick), and some: only more is age, ms.
const QUIET_MS: i64 = 400;

/// What the state machine says of the sale as a whole, as of a committed batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaleView {
    /// The last command folded.
    pub position: Position,
    /// Log time, ms.
    pub log_time: u64,
    /// Phase.
    pub phase: Phase,
    /// It may open when its time comes.
    pub armed: bool,
    /// Closed, and nothing is left to end but refunds.
    pub ended: bool,
    /// The log's halt.
    pub halt: Option<(HaltScope, HaltCause)>,
    /// Units a second.
    pub pace: Option<u32>,
    /// Unix ms.
    pub opens_at: Option<i64>,
    /// Unix ms.
    pub opened_at: Option<i64>,
    /// Unix ms.
    pub closes_at: Option<i64>,
    /// Unix ms.
    pub closed_at: Option<i64>,
    /// Payments that the provider still has to be told or asked about.
    pub open_payments: u64,
    /// Reserve decisions granted since the run began, replays apart.
    pub granted: u64,
    /// Reserve decisions refused since the run began, in `Refusal::ALL` order.
    pub refused: [u64; 13],
    /// Refusals that gateways gave by themselves, in `Refusal::ALL` order.
    pub tallied: [u64; 13],
}

impl SaleView {
    /// The view of a state.
    #[must_use]
    pub fn of(state: &State) -> Self {
        let (granted, refused) = state.decisions();
        Self {
            position: state.position(),
            log_time: state.log_time(),
            phase: state.phase(),
            armed: state.armed(),
            ended: state.ended(),
            halt: state.halt(),
            pace: state.pace(),
            opens_at: state.opens_at(),
            opened_at: state.opened_at(),
            closes_at: state.closes_at(),
            closed_at: state.closed_at(),
            open_payments: state.open_payments().count() as u64,
            granted,
            refused,
            tallied: state.tallied(),
        }
    }
}

/// The writer's gauges, shared with telemetry, the operator API and admission.
#[derive(Debug, Default)]
pub struct Gauges {
    /// Milliseconds from a record's timestamp to its commit, as microseconds: a value a record.
    pub queue: Stage,
    /// Commands in a batch.
    pub batch_size: Stage,
    /// From the first record of a batch being read to its decisions handed on.
    pub batch: Stage,
    /// From the commit being sent to its answer.
    pub commit: Stage,
    /// From the commit's answer to the decisions being with the board and the waiters' queues.
    pub reply: Stage,
    /// From the commit's answer to the cache holding its stock.
    pub cache: Stage,
    /// The sale as of the last committed batch, at most 50 ms old while batches are committed; none before the first.
    pub sale: ArcSwapOption<SaleView>,
    /// Whether this process has the writer; it never has it again once it lost it, because it ends then.
    leads: watch::Sender<bool>,
    /// Why the writer stopped by itself; none while it works.
    pub stopped: ArcSwapOption<String>,
    /// Why the ledger has not confirmed the batch on its way, once that is late: gateways take nothing more meanwhile.
    pub unconfirmed: ArcSwapOption<String>,
    epoch: AtomicU64,
    generation: AtomicU32,
    next_offset: AtomicU64,
    digest: AtomicU64,
    chain: ArcSwap<[u8; 32]>,
    log_end: AtomicU64,
    published_through: AtomicU64,
    /// Commands read and not committed.
    read_waiting: AtomicU64,
    /// Offset after the last record read.
    read_through: AtomicU64,
    /// Timestamp (Unix ms) of the oldest record read and not committed; 0: none.
    oldest_waiting: AtomicI64,
    /// In a process that is not the writer: when the last decision came (Unix ms; 0: it is the writer), and its age then.
    heard_at: AtomicI64,
    heard_age: AtomicI64,
    /// This process has the writer, which has not committed its own takeover yet.
    opening: AtomicBool,
    /// Commands and records committed since the start: their ratio estimates what unread records hold.
    commands: AtomicU64,
    records: AtomicU64,
    batches: AtomicU64,
    busy_us: AtomicU64,
    /// Decisions not handed to a subscriber because its queue was full.
    skipped: AtomicU64,
    /// Since when the cache does not take writes, Unix ms; 0: it does.
    cache_away_since: AtomicI64,
}

/// Where the writer stands: one row of `writer`, from memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The fencing epoch; 0: not the writer yet.
    pub epoch: u64,
    /// The log's generation.
    pub generation: u32,
    /// The next record to fold.
    pub next_offset: u64,
    /// The state's digest there.
    pub digest: u64,
    /// The audit chain's head there.
    pub chain: [u8; 32],
    /// The log's end, as last seen.
    pub log_end: u64,
    /// Everything below is published.
    pub published_through: u64,
}

impl Gauges {
    /// Where the writer stands. The fields are read one by one: a frame may mix two neighbouring batches.
    #[must_use]
    pub fn standing(&self) -> Standing {
        Standing {
            epoch: self.epoch.load(Relaxed),
            generation: self.generation.load(Relaxed),
            next_offset: self.next_offset.load(Relaxed),
            digest: self.digest.load(Relaxed),
            chain: **self.chain.load(),
            log_end: self.log_end.load(Relaxed).max(self.next_offset.load(Relaxed)),
            published_through: self.published_through.load(Relaxed),
        }
    }

    /// Whether a writer has taken the log over and, where it is this process's, has committed its own takeover. Before
    /// that nothing may be appended: a log's first record defines the sale, and all that earlier writers told lies before
    /// that takeover and is decided again first.
    #[must_use]
    pub fn seated(&self) -> bool {
        self.epoch.load(Relaxed) > 0 && !self.opening.load(Relaxed)
    }

    /// The writer has committed its own takeover.
    pub fn seat(&self) {
        self.opening.store(false, Relaxed);
    }

    /// Commands appended and not decided: those read are counted, those not read yet are estimated by the mean
    /// number of commands in a record.
    #[must_use]
    pub fn queue_depth(&self) -> u64 {
        let unread = self.log_end.load(Relaxed).saturating_sub(self.read_through.load(Relaxed));
        let (commands, records) = (self.commands.load(Relaxed), self.records.load(Relaxed).max(1));
        self.read_waiting.load(Relaxed) + unread * commands.div_ceil(records).max(1)
    }

    /// Age of the oldest record read and not decided, ms; `now` is Unix ms. A process that is not the writer knows the
    /// age of the last decision when it came, and how long none has come since.
    #[must_use]
    pub fn queue_age_ms(&self, now: i64) -> u64 {
        let age = match (self.heard_at.load(Relaxed), self.oldest_waiting.load(Relaxed)) {
            (0, 0) => 0,
            (0, oldest) => now.saturating_sub(oldest),
            (heard, _) => self.heard_age.load(Relaxed).max(now.saturating_sub(heard).saturating_sub(QUIET_MS)),
        };
        u64::try_from(age).unwrap_or_default()
    }

    /// Time spent folding or committing since the start; its growth over a window is the writer's utilisation.
    #[must_use]
    pub fn busy(&self) -> Duration {
        Duration::from_micros(self.busy_us.load(Relaxed))
    }

    /// Batches, records and commands committed since the start.
    #[must_use]
    pub fn committed(&self) -> (u64, u64, u64) {
        (self.batches.load(Relaxed), self.records.load(Relaxed), self.commands.load(Relaxed))
    }

    /// Decisions that were not handed to a subscriber because its queue was full.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped.load(Relaxed)
    }

    /// Since when the cache does not take writes, Unix ms; none while it does.
    #[must_use]
    pub fn cache_away_since(&self) -> Option<i64> {
        Some(self.cache_away_since.load(Relaxed)).filter(|since| *since != 0)
    }

    pub(crate) fn cache_away(&self, since: Option<i64>) {
        self.cache_away_since.store(since.unwrap_or_default(), Relaxed);
    }

    /// Whoever appended a record at `offset` says so, so that the depth counts it.
    pub fn appended(&self, offset: u64) {
        self.log_end.fetch_max(offset + 1, Relaxed);
    }

    /// Where the ledger's row stands now.
    pub fn stand(&self, epoch: u64, generation: u32, next_offset: u64, digest: u64, chain: [u8; 32]) {
        self.epoch.store(epoch, Relaxed);
        if self.generation.swap(generation, Relaxed) != generation {
            self.log_end.store(next_offset, Relaxed);
            self.published_through.store(0, Relaxed);
        }
        self.next_offset.store(next_offset, Relaxed);
        self.digest.store(digest, Relaxed);
        self.chain.store(Arc::new(chain));
    }

    /// A decision of another process came at `now`, `age` ms after its record.
    pub(crate) fn hear(&self, now: i64, age: i64) {
        self.heard_at.store(now, Relaxed);
        self.heard_age.store(age, Relaxed);
    }

    /// This process has the writer: it knows the queue itself, and takes nothing in before [`Gauges::seat`].
    pub fn lead(&self) {
        self.heard_at.store(0, Relaxed);
        self.opening.store(true, Relaxed);
        self.leads.send_replace(true);
    }

    /// Whether this process has the writer.
    #[must_use]
    pub fn leads(&self) -> bool {
        *self.leads.borrow()
    }

    /// Waits until this process has the writer.
    pub async fn leading(&self) {
        // The sender lives as long as these gauges: waiting cannot fail.
        let _ = self.leads.subscribe().wait_for(|leads| *leads).await;
    }

    /// What was read and not committed: up to `through`, so many commands, the oldest of this time (Unix ms).
    pub fn reading(&self, through: u64, waiting_commands: u64, oldest: Option<i64>) {
        self.read_through.store(through, Relaxed);
        self.read_waiting.store(waiting_commands, Relaxed);
        self.oldest_waiting.store(oldest.unwrap_or_default(), Relaxed);
    }

    /// A batch was committed.
    pub fn count_batch(&self, records: u64, commands: u64) {
        self.batches.fetch_add(1, Relaxed);
        self.records.fetch_add(records, Relaxed);
        self.commands.fetch_add(commands, Relaxed);
        self.batch_size.record(commands);
    }

    pub(crate) fn spend(&self, busy: Duration) {
        self.busy_us.fetch_add(u64::try_from(busy.as_micros()).unwrap_or_default(), Relaxed);
    }

    pub(crate) fn published(&self, through: u64) {
        self.published_through.fetch_max(through, Relaxed);
    }

    pub(crate) fn skip(&self) {
        self.skipped.fetch_add(1, Relaxed);
    }

    pub(crate) fn stop(&self, reason: Option<String>) {
        self.stopped.store(reason.map(Arc::new));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_what_was_read_and_estimates_what_was_not() {
        let gauges = Gauges::default();
        gauges.count_batch(2, 9);
        gauges.reading(10, 3, Some(1_000));
        gauges.appended(11);
        assert_eq!(gauges.queue_depth(), 3 + 2 * 5);
        assert_eq!(gauges.queue_age_ms(1_250), 250);
        gauges.reading(12, 0, None);
        assert_eq!((gauges.queue_depth(), gauges.queue_age_ms(9_999)), (0, 0));
    }

    #[test]
    fn a_stage_gives_its_values_once() {
        let stage = Stage::default();
        stage.record_time(Duration::from_millis(2));
        assert_eq!(stage.take().map(|recorded| recorded.len()), Some(1));
        assert_eq!(stage.take(), None);
    }
}
