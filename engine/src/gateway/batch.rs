//! The batcher: the one way into the log. What arrives while the last record is on its way goes together in the next.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::sent::{LOG_AWAY, SentBatches};
use super::shedding::{QUEUE_OLD, Shedding};
use crate::allocator::gauges::{Gauges, Stage};
use crate::ports::{Clock, Log};
use crate::record::{Committed, Entry};
use crate::sale::definition::Overload;
use crate::submit::{Submit, Submitted};

/// Commands that may wait to be put into a record; beyond it: `overloaded`.
pub const WAITING: usize = 16_384;
/// Commands in one record.
const TOGETHER: usize = 1_024;
/// Records on their way at once.
const IN_FLIGHT: usize = 8;
/// The least time between two records.
const GAP: Duration = Duration::from_millis(1);

/// Said at the bounds.
pub const QUEUE_FULL: &str = "the gateway's queue is full";

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
    shedding: Shedding,
    undecided: Arc<Undecided>,
    /// From hand-over to the log's acknowledgement, microseconds.
    pub produce: Arc<Stage>,
}

/// Since when (Unix ms) the oldest batch that was sent waits for its decision; 0: none does.
#[derive(Debug, Default)]
struct Undecided(AtomicI64);

impl Undecided {
    fn age_ms(&self, now: i64) -> u64 {
        match self.0.load(Relaxed) {
            0 => 0,
            since => u64::try_from(now.saturating_sub(since)).unwrap_or_default(),
        }
    }
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
            shedding: Shedding {
                gauges: Arc::clone(&parts.gauges),
                clock: Arc::clone(&parts.clock),
                overload: parts.overload.clone(),
            },
            undecided: Arc::default(),
            produce: Arc::clone(&produce),
        };
        tokio::spawn(Sending::new(parts, produce, Arc::clone(&handle.undecided)).run(waiting));
        handle
    }

    /// Hands a command over; the receiver gets its decision, whenever it comes.
    ///
    /// # Errors
    /// The reason why it was not taken.
    pub fn hand_over(&self, entry: Entry) -> Result<oneshot::Receiver<Submitted>, &'static str> {
        if let Some(reason) = self.shedding.overloaded().or_else(|| self.stuck()) {
            return Err(reason);
        }
        let (answer, answered) = oneshot::channel();
        match self.waiting.try_send(Waiting { entry, answer }) {
            Ok(()) => Ok(answered),
            Err(_) => Err(QUEUE_FULL),
        }
    }

    /// What this sender sent is not decided for too long: the log is away, or whoever decides.
    fn stuck(&self) -> Option<&'static str> {
        let limit = self.shedding.overload.as_ref()?.max_queue_age;
        let age = self.undecided.age_ms(self.shedding.clock.now());
        (u128::from(age) > limit.as_millis()).then_some(QUEUE_OLD)
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

struct Sending {
    log: Arc<dyn Log>,
    feed: mpsc::Receiver<Arc<Committed>>,
    gauges: Arc<Gauges>,
    produce: Arc<Stage>,
    clock: Arc<dyn Clock>,
    sent: SentBatches<oneshot::Sender<Submitted>>,
    /// When each of them was sent (Unix ms), by its number.
    times: VecDeque<(u64, i64)>,
    undecided: Arc<Undecided>,
}

impl Sending {
    fn new(parts: Parts, produce: Arc<Stage>, undecided: Arc<Undecided>) -> Self {
        let Parts { gateway, boot, log, feed, gauges, clock, .. } = parts;
        let sent = SentBatches::new(gateway, boot);
        Self { log, feed, gauges, produce, clock, sent, times: VecDeque::new(), undecided }
    }

    fn show_oldest(&mut self) {
        let oldest = self.sent.oldest();
        while self.times.front().is_some_and(|(number, _)| oldest.is_none_or(|oldest| *number < oldest)) {
            self.times.pop_front();
        }
        self.undecided.0.store(self.times.front().map_or(0, |(_, at)| *at), Relaxed);
    }

    async fn run(mut self, mut waiting: mpsc::Receiver<Waiting>) {
        let mut appends = FuturesUnordered::new();
        let mut next_send = Instant::now();
        let mut taken = Vec::with_capacity(TOGETHER);
        let mut open = true;
        while open || !self.sent.is_empty() {
            self.show_oldest();
            let may_send = open && appends.len() < IN_FLIGHT && self.sent.has_room();
            tokio::select! {
                biased;
                committed = self.feed.recv() => match committed {
                    Some(committed) => self.sent.decided(&committed, answer),
                    None => return,
                },
                Some((number, appended)) = appends.next(), if !appends.is_empty() => match appended {
                    Ok(offset) => self.gauges.appended(offset),
                    Err(error) => self.sent.not_appended(number, &error, answer),
                },
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
        let (entries, answers) = taken.drain(..).map(|waiting| (waiting.entry, waiting.answer)).unzip();
        match self.sent.record(entries, answers) {
            Ok((number, bytes)) => {
                self.times.push_back((number, self.clock.now()));
                Some((number, bytes))
            }
            Err((error, answers)) => {
                tracing::error!(%error, "a batch could not be encoded");
                answers.into_iter().for_each(|waiter| answer(waiter, Submitted::Overloaded(LOG_AWAY)));
                None
            }
        }
    }
}

/// Answers a waiter. Who no longer waits has been told to ask again.
fn answer(waiter: oneshot::Sender<Submitted>, submitted: Submitted) {
    let _ = waiter.send(submitted);
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
