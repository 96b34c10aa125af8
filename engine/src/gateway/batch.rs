//! The batcher: the one way into the log. What arrives while the last record is on its way goes together in the next.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use flashsale_core::Position;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::allocator::gauges::{Gauges, Stage};
use crate::ports::{Clock, Log, LogError};
use crate::record::{Batch, BatchId, Committed, Decision, Entry, Record, encode};
use crate::sale::definition::Overload;
use crate::submit::{Submit, Submitted};

/// Commands that may wait to be put into a record; beyond it: `overloaded`.
pub const WAITING: usize = 16_384;
/// Commands in one record.
const TOGETHER: usize = 1_024;
/// Records on their way at once.
const IN_FLIGHT: usize = 8;
/// Records whose decision is awaited; beyond it nothing more is appended until decisions come.
const UNDECIDED: usize = 4_096;
/// The least time between two records.
const GAP: Duration = Duration::from_millis(1);

/// Said at the bounds.
pub const QUEUE_FULL: &str = "the gateway's queue is full";
/// Said before this process's writer has taken the log over.
pub const STARTING: &str = "the engine is starting";
/// Said when the ledger is late: its database or the last of its synchronous standbys is away.
pub const LEDGER_UNCONFIRMED: &str = "the ledger confirms no commits";
/// Said when decisions are late.
pub const QUEUE_OLD: &str = "decisions are older than the limit";
/// Said when too many commands wait.
pub const QUEUE_DEEP: &str = "too many commands are waiting";
/// Said when the log does not take records.
pub const LOG_AWAY: &str = "the log is not available";

/// What a batcher needs.
pub struct Parts {
    /// The gateway's number.
    pub gateway: u32,
    /// Random at its start.
    pub boot: u64,
    /// Where records go.
    pub log: Arc<dyn Log>,
    /// Every committed batch, in order.
    pub feed: mpsc::Receiver<Arc<Committed>>,
    /// How deep and old the queue is.
    pub gauges: Arc<Gauges>,
    /// For the queue's age.
    pub clock: Arc<dyn Clock>,
    /// When to refuse; none: never (operators and money go first).
    pub overload: Option<Overload>,
}

/// A handle; clones share the batcher.
#[derive(Clone)]
pub struct Batcher {
    waiting: mpsc::Sender<Waiting>,
    gauges: Arc<Gauges>,
    clock: Arc<dyn Clock>,
    overload: Option<Overload>,
    /// From hand-over to the log's acknowledgement, microseconds.
    pub produce: Arc<Stage>,
}

struct Waiting {
    entry: Entry,
    answer: oneshot::Sender<Submitted>,
}

impl Batcher {
    /// Starts the batcher on the current runtime. It ends when every handle is gone and all it sent is decided, or the
    /// feed has ended.
    #[must_use]
    pub fn start(parts: Parts) -> Self {
        let (sender, waiting) = mpsc::channel(WAITING);
        let produce = Arc::new(Stage::default());
        let handle = Self {
            waiting: sender,
            gauges: Arc::clone(&parts.gauges),
            clock: Arc::clone(&parts.clock),
            overload: parts.overload.clone(),
            produce: Arc::clone(&produce),
        };
        tokio::spawn(Sending::new(parts, produce).run(waiting));
        handle
    }

    /// Why nothing more is taken just now, if so.
    #[must_use]
    pub fn overloaded(&self) -> Option<&'static str> {
        if !self.gauges.seated() {
            return Some(STARTING);
        }
        let overload = self.overload.as_ref()?;
        if self.gauges.unconfirmed.load().is_some() {
            return Some(LEDGER_UNCONFIRMED);
        }
        if u128::from(self.gauges.queue_age_ms(self.clock.now())) > overload.max_queue_age.as_millis() {
            return Some(QUEUE_OLD);
        }
        (self.gauges.queue_depth() > u64::from(overload.shed)).then_some(QUEUE_DEEP)
    }
}

impl Batcher {
    /// Hands a command over; the receiver gets its decision, whenever it comes.
    ///
    /// # Errors
    /// The reason why it was not taken.
    pub fn hand_over(&self, entry: Entry) -> Result<oneshot::Receiver<Submitted>, &'static str> {
        if let Some(reason) = self.overloaded() {
            return Err(reason);
        }
        let (answer, answered) = oneshot::channel();
        match self.waiting.try_send(Waiting { entry, answer }) {
            Ok(()) => Ok(answered),
            Err(_) => Err(QUEUE_FULL),
        }
    }
}

#[async_trait]
impl Submit for Batcher {
    async fn submit(&self, entry: Entry, within: Duration) -> Submitted {
        let answered = match self.hand_over(entry) {
            Ok(answered) => answered,
            Err(reason) => return Submitted::Overloaded(reason),
        };
        match tokio::time::timeout(within, answered).await {
            Ok(Ok(submitted)) => submitted,
            Ok(Err(_)) | Err(_) => Submitted::Pending,
        }
    }
}

/// A record that was sent and not yet decided.
struct Sent {
    number: u64,
    answers: Vec<oneshot::Sender<Submitted>>,
}

/// Answers everybody in a record the same.
fn answer_all(answers: Vec<oneshot::Sender<Submitted>>, submitted: Submitted) {
    for answer in answers {
        // Who no longer waits has been told to ask again.
        let _ = answer.send(submitted);
    }
}

struct Sending {
    gateway: u32,
    boot: u64,
    log: Arc<dyn Log>,
    feed: mpsc::Receiver<Arc<Committed>>,
    gauges: Arc<Gauges>,
    produce: Arc<Stage>,
    number: u64,
    sent: VecDeque<Sent>,
}

impl Sending {
    fn new(parts: Parts, produce: Arc<Stage>) -> Self {
        let Parts { gateway, boot, log, feed, gauges, .. } = parts;
        Self { gateway, boot, log, feed, gauges, produce, number: 0, sent: VecDeque::new() }
    }

    async fn run(mut self, mut waiting: mpsc::Receiver<Waiting>) {
        let mut appends = FuturesUnordered::new();
        let mut next_send = Instant::now();
        let mut taken = Vec::with_capacity(TOGETHER);
        let mut open = true;
        while open || !self.sent.is_empty() {
            let may_send = open && appends.len() < IN_FLIGHT && self.sent.len() < UNDECIDED;
            tokio::select! {
                biased;
                committed = self.feed.recv() => match committed {
                    Some(committed) => self.decided(&committed),
                    None => return,
                },
                Some((number, appended)) = appends.next(), if !appends.is_empty() => self.appended(number, appended),
                count = take(&mut waiting, &mut taken, next_send), if may_send => {
                    open = count > 0;
                    if let Some((number, record)) = self.record(&mut taken) {
                        next_send = Instant::now() + GAP;
                        let (log, produce) = (Arc::clone(&self.log), Arc::clone(&self.produce));
                        appends.push(async move {
                            let begun = Instant::now();
                            let appended = log.append(record).await;
                            produce.record_time(begun.elapsed());
                            (number, appended)
                        });
                    }
                },
            }
        }
    }

    /// Makes a record of what was taken.
    fn record(&mut self, taken: &mut Vec<Waiting>) -> Option<(u64, Bytes)> {
        if taken.is_empty() {
            return None;
        }
        self.number += 1;
        let (entries, answers) = taken.drain(..).map(|waiting| (waiting.entry, waiting.answer)).unzip();
        let id = BatchId { gateway: self.gateway, boot: self.boot, number: self.number };
        match encode(&Record::Batch(Batch { id, entries })) {
            Ok(bytes) => {
                self.sent.push_back(Sent { number: self.number, answers });
                Some((self.number, bytes.into()))
            }
            Err(error) => {
                tracing::error!(%error, "a batch could not be encoded");
                answer_all(answers, Submitted::Overloaded(LOG_AWAY));
                None
            }
        }
    }

    /// The log's acknowledgement. Only a certain "no" is a refusal; everything else may still be decided.
    fn appended(&mut self, number: u64, appended: Result<u64, LogError>) {
        let submitted = match appended {
            Ok(offset) => return self.gauges.appended(offset),
            Err(LogError::Unknown(_)) => Submitted::Pending,
            Err(LogError::Unavailable(_) | LogError::Damaged(_)) => Submitted::Overloaded(LOG_AWAY),
        };
        if let Ok(place) = self.sent.binary_search_by_key(&number, |sent| sent.number)
            && let Some(sent) = self.sent.remove(place)
        {
            answer_all(sent.answers, submitted);
        }
    }

    fn decided(&mut self, committed: &Committed) {
        for decision in &committed.decisions {
            if let Some(id) = decision.batch.filter(|id| (id.gateway, id.boot) == (self.gateway, self.boot)) {
                self.answer(committed, decision, id.number);
            }
        }
    }

    /// Answers a record's waiters; those of records that were skipped are told to ask again.
    fn answer(&mut self, committed: &Committed, decision: &Decision, number: u64) {
        while self.sent.front().is_some_and(|sent| sent.number <= number) {
            let Some(sent) = self.sent.pop_front() else { return };
            if sent.number < number || decision.repeated || decision.outcomes.len() != sent.answers.len() {
                tracing::warn!(number = sent.number, epoch = committed.epoch, "a batch was skipped");
                answer_all(sent.answers, Submitted::Pending);
                continue;
            }
            for ((index, outcome), answer) in (0..).zip(&decision.outcomes).zip(sent.answers) {
                let position = Position { generation: decision.generation, offset: decision.offset, index };
                let _ = answer.send(Submitted::Decided { position, timestamp: decision.timestamp, outcome: *outcome });
            }
        }
    }
}

/// Waits for commands, then for the gap to be over, and takes all that came by then. Zero: every handle is gone.
///
/// Cancel safe: what was taken before the gap stays in `taken`.
async fn take(waiting: &mut mpsc::Receiver<Waiting>, taken: &mut Vec<Waiting>, not_before: Instant) -> usize {
    if taken.is_empty() && waiting.recv_many(taken, TOGETHER).await == 0 {
        return 0;
    }
    if Instant::now() < not_before {
        tokio::time::sleep_until(not_before).await;
    }
    while taken.len() < TOGETHER {
        match waiting.try_recv() {
            Ok(more) => taken.push(more),
            Err(_) => break,
        }
    }
    taken.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::system_clock::SystemClock;
    use crate::ports::LogRecord;

    /// A log that nobody needs.
    struct Nowhere;

    #[async_trait]
    impl Log for Nowhere {
        async fn append(&self, _bytes: Bytes) -> Result<u64, LogError> {
            Err(LogError::Unavailable("nowhere".to_owned()))
        }
        async fn read(&self, _from: u64, _limit: usize, _wait: Duration) -> Result<Vec<LogRecord>, LogError> {
            Ok(Vec::new())
        }
        async fn end(&self) -> Result<u64, LogError> {
            Ok(0)
        }
        async fn identity(&self) -> Result<uuid::Uuid, LogError> {
            Ok(uuid::Uuid::nil())
        }
    }

    #[tokio::test]
    async fn a_ledger_that_confirms_nothing_is_named() {
        let gauges = Arc::new(Gauges::default());
        let batcher = |overload| {
            let (log, clock) = (Arc::new(Nowhere), Arc::new(SystemClock::default()));
            let feed = mpsc::channel(1).1;
            Batcher::start(Parts { gateway: 0, boot: 1, log, feed, gauges: Arc::clone(&gauges), clock, overload })
        };
        let limits = Overload { warn: 1, shed: 10, max_queue_age: Duration::from_secs(1) };
        let (shoppers, operators) = (batcher(Some(limits)), batcher(None));
        assert_eq!(shoppers.overloaded(), Some(STARTING));
        gauges.stand(1, 0, 0, 0, [0; 32]);
        assert_eq!(shoppers.overloaded(), None);
        gauges.unconfirmed.store(Some(Arc::new("no standby".to_owned())));
        assert_eq!(shoppers.overloaded(), Some(LEDGER_UNCONFIRMED));
        assert_eq!(operators.overloaded(), None, "a halt is appended all the same");
        gauges.unconfirmed.store(None);
        assert_eq!(shoppers.overloaded(), None);
    }
}
