//! The decisions feed: the board first, then everyone who waits for decisions.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flashsale_core::State;
use tokio::sync::mpsc;

use crate::allocator::gauges::Gauges;
use crate::ports::LedgerRows;
use crate::record::Committed;

/// Committed batches that a subscriber may fall behind by; beyond it, it is skipped and its waiters get 202.
const FEED_BATCHES: usize = 4_096;

/// A picture of the sale that is kept by the decisions, in order, before anyone is answered.
pub trait Follow: Send + Sync {
    /// The state that a starting writer rebuilt, before its first batch. `next_offset`: of the first decision to come.
    fn begin(&self, state: &State, generation: u32, next_offset: u64);
    /// The ledger's books at one moment, for a process that is not the writer; what they do not say comes with the next
    /// decision. `next_offset`: of the first decision to come.
    fn load(&self, rows: &LedgerRows, generation: u32, next_offset: u64);
    /// The next committed batch. May repeat one; never leaves one out after [`Follow::begin`].
    fn apply(&self, committed: &Committed);
    /// The writer's own takeover is committed: every earlier writer's decisions lie before it, so that all that anybody
    /// was told has been applied. Only from now on may a "no" be read from the picture.
    fn lead(&self);
}

/// Follows nothing: for tools and tests without gateways.
impl Follow for () {
    fn begin(&self, _state: &State, _generation: u32, _next_offset: u64) {}
    fn load(&self, _rows: &LedgerRows, _generation: u32, _next_offset: u64) {}
    fn apply(&self, _committed: &Committed) {}
    fn lead(&self) {}
}

/// The feed.
pub struct Answers {
    board: Arc<dyn Follow>,
    hall: Mutex<Hall>,
    gauges: Arc<Gauges>,
}

/// Who waits, and for whom.
#[derive(Default)]
struct Hall {
    waiters: Vec<mpsc::Sender<Arc<Committed>>>,
    /// This process has the writer: what other processes' decisions say is not listened to any more.
    leads: bool,
}

impl Answers {
    /// A feed without subscribers.
    #[must_use]
    pub fn new(board: Arc<dyn Follow>, gauges: Arc<Gauges>) -> Self {
        Self { board, hall: Mutex::default(), gauges }
    }

    /// Every batch committed from now on, in order. Who does not keep up misses some: [`Gauges::skipped`].
    #[must_use]
    pub fn subscribe(&self) -> mpsc::Receiver<Arc<Committed>> {
        let (sender, receiver) = mpsc::channel(FEED_BATCHES);
        self.hall().waiters.push(sender);
        receiver
    }

    /// A writer starts in this process: from now on its own decisions count. What it rebuilt; none: nothing is decided yet.
    pub fn begin(&self, state: Option<&State>, generation: u32, next_offset: u64) {
        let mut hall = self.hall();
        hall.leads = true;
        if let Some(state) = state {
            self.board.begin(state, generation, next_offset);
        }
    }

    /// The books that decisions of another process go on from. False: this process has the writer itself.
    #[must_use]
    pub fn load(&self, rows: &LedgerRows, generation: u32, next_offset: u64) -> bool {
        let hall = self.hall();
        if !hall.leads {
            self.board.load(rows, generation, next_offset);
        }
        !hall.leads
    }

    /// Tells a batch that another process committed. False: this process has the writer itself.
    #[must_use]
    pub fn pass_on(&self, committed: &Arc<Committed>) -> bool {
        let mut hall = self.hall();
        if !hall.leads {
            self.board.apply(committed);
            self.tell_waiters(&mut hall, committed);
        }
        !hall.leads
    }

    /// The writer's own takeover is committed and told.
    pub fn lead(&self) {
        self.board.lead();
        self.gauges.seat();
    }

    /// Tells a committed batch: whoever is answered finds the board at least as new as its answer.
    pub fn tell(&self, committed: &Arc<Committed>) {
        self.board.apply(committed);
        self.tell_waiters(&mut self.hall(), committed);
    }

    fn tell_waiters(&self, hall: &mut Hall, committed: &Arc<Committed>) {
        hall.waiters.retain(|waiter| match waiter.try_send(Arc::clone(committed)) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.gauges.skip();
                true
            }
            Err(mpsc::error::TrySendError::Closed(_)) => false,
        });
    }

    fn hall(&self) -> MutexGuard<'_, Hall> {
        self.hall.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(next_offset: u64) -> Arc<Committed> {
        Arc::new(Committed { epoch: 1, next_offset, digest: 0, chain: [0; 32], decisions: Vec::new() })
    }

    #[test]
    fn subscribers_get_every_batch_in_order_and_a_slow_one_stops_nobody() {
        let gauges = Arc::new(Gauges::default());
        let answers = Answers::new(Arc::new(()), Arc::clone(&gauges));
        let (mut reading, slow, gone) = (answers.subscribe(), answers.subscribe(), answers.subscribe());
        drop(gone);
        for offset in 0..=FEED_BATCHES as u64 {
            answers.tell(&batch(offset));
            assert_eq!(reading.try_recv().map(|got| got.next_offset), Ok(offset));
        }
        assert_eq!(gauges.skipped(), 1, "only the slow one missed one");
        drop(slow);
    }
}
