//! The cache's writer: after the answers, the newest value of each key, never more than one stock write an item in
//! 10 ms. A cache that is away costs the sale nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use flashsale_core::{HoldNumber, HoldStatus, ItemIndex, State};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::allocator::gauges::Gauges;
use crate::allocator::notices::item_notice;
use crate::ports::{Cache, CacheError, Clock};
use crate::record::{Committed, ItemNotice};

/// An item's stock is written at most once in this time.
pub const STOCK_GAP: Duration = Duration::from_millis(10);
/// Holds whose write waits, at most; beyond it new ones are left out: the sweep covers for their notices.
pub const HOLDS_WAITING: usize = 65_536;
/// Waits after failures.
const BACK_OFF: [Duration; 5] = [
    Duration::from_millis(10),
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
];

/// One write to the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write {
    /// An item's newest numbers, with the position that makes the newest win.
    Stock(u64, ItemNotice),
    /// Keep a reservation until its deadline, Unix ms.
    Hold(HoldNumber, i64),
    /// Forget a reservation.
    Ended(HoldNumber),
}

/// What is to be written: the newest value a key.
#[derive(Debug, Default)]
pub struct Pending {
    stock: BTreeMap<ItemIndex, (u64, ItemNotice)>,
    holds: BTreeMap<HoldNumber, Write>,
    /// When the oldest of it was committed, on the monotonic clock.
    since: Option<Duration>,
}

impl Pending {
    /// Takes in a committed batch.
    pub fn absorb(&mut self, committed: &Committed, now: Duration) {
        for decision in &committed.decisions {
            let position = position(decision.generation, decision.offset);
            for item in &decision.items {
                self.stock.insert(item.item, (position, *item));
            }
            for notice in &decision.holds {
                let write = match notice.status {
                    HoldStatus::Held | HoldStatus::Offered => Write::Hold(notice.hold, notice.expires_at),
                    _ => Write::Ended(notice.hold),
                };
                if self.holds.len() < HOLDS_WAITING || self.holds.contains_key(&notice.hold) {
                    self.holds.insert(notice.hold, write);
                }
            }
        }
        if !self.is_empty() {
            self.since.get_or_insert(now);
        }
    }

    /// Takes in what a starting writer rebuilt.
    pub fn load(&mut self, state: &State, generation: u32, next_offset: u64, now: Duration) {
        let position = position(generation, next_offset.saturating_sub(1));
        self.stock.extend(state.items().map(|item| (item.item, (position, item_notice(item)))));
        let live = state.holds().filter(|hold| matches!(hold.status, HoldStatus::Held | HoldStatus::Offered));
        self.holds.extend(live.take(HOLDS_WAITING).map(|hold| (hold.hold, Write::Hold(hold.hold, hold.expires_at))));
        self.since = Some(now);
    }

    /// Everything, oldest keys first; empty afterwards.
    pub fn take(&mut self) -> (Vec<Write>, Option<Duration>) {
        let stock = std::mem::take(&mut self.stock).into_values().map(|(position, item)| Write::Stock(position, item));
        let holds = std::mem::take(&mut self.holds).into_values();
        (stock.chain(holds).collect(), self.since.take())
    }

    /// Puts a write back that failed, unless something newer of its key has come.
    pub fn put_back(&mut self, write: Write) {
        match write {
            Write::Stock(position, item) => _ = self.stock.entry(item.item).or_insert((position, item)),
            Write::Hold(hold, _) | Write::Ended(hold) if self.holds.len() < HOLDS_WAITING => {
                _ = self.holds.entry(hold).or_insert(write);
            }
            Write::Hold(..) | Write::Ended(_) => {}
        }
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.stock.is_empty() && self.holds.is_empty()
    }
}

/// What makes the newest value win; generations start their offsets anew, so they are its upper part.
fn position(generation: u32, offset: u64) -> u64 {
    u64::from(generation) << 48 | offset
}

/// The queue between the writer and the cache.
#[derive(Debug, Default)]
pub struct Queue {
    pending: Mutex<Pending>,
    news: Notify,
}

impl Queue {
    /// Never waits.
    pub fn offer(&self, committed: &Committed, now: Duration) {
        self.with(|pending| pending.absorb(committed, now));
        self.news.notify_one();
    }

    /// What a starting writer rebuilt.
    pub fn begin(&self, state: &State, generation: u32, next_offset: u64, now: Duration) {
        self.with(|pending| pending.load(state, generation, next_offset, now));
        self.news.notify_one();
    }

    fn with<T>(&self, change: impl FnOnce(&mut Pending) -> T) -> T {
        change(&mut self.pending.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Writes what waits, until stopped.
pub async fn run(
    queue: Arc<Queue>,
    cache: Arc<dyn Cache>,
    clock: Arc<dyn Clock>,
    gauges: Arc<Gauges>,
    stop: CancellationToken,
) {
    let mut failures = 0_usize;
    while !stop.is_cancelled() {
        let (writes, since) = queue.with(Pending::take);
        if writes.is_empty() {
            tokio::select! { () = queue.news.notified() => {}, () = stop.cancelled() => return }
            continue;
        }
        let mut failed = None;
        for write in writes {
            if failed.is_none() {
                failed = put(&*cache, write).await.err();
            }
            if failed.is_some() {
                queue.with(|pending| pending.put_back(write));
            }
        }
        let pause = match failed {
            None => {
                failures = 0;
                gauges.cache.record_time(clock.monotonic().saturating_sub(since.unwrap_or_default()));
                STOCK_GAP
            }
            Some(error) => {
                if failures == 0 {
                    tracing::warn!(%error, "the cache is behind; the sale goes on");
                }
                failures += 1;
                BACK_OFF[failures.min(BACK_OFF.len()) - 1]
            }
        };
        tokio::select! { () = tokio::time::sleep(pause) => {}, () = stop.cancelled() => return }
    }
}

async fn put(cache: &dyn Cache, write: Write) -> Result<(), CacheError> {
    match write {
        Write::Stock(position, item) => cache.put_stock(position, &item).await,
        Write::Hold(hold, expires_at) => cache.put_hold(hold, expires_at).await,
        Write::Ended(hold) => cache.remove_hold(hold).await,
    }
}
