//! The cache's writer: after the answers, the newest value of each key, never more than one stock write an item in
//! 10 ms. A cache that is away costs the sale nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use flashsale_core::{HoldNumber, HoldStatus, ItemIndex, State};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::allocator::gauges::Gauges;
use crate::allocator::notices::item_notice;
use crate::ports::{Cache, CacheWrite, Clock, StockPicture};
use crate::record::Committed;

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

/// What is to be written: the newest value a key.
#[derive(Debug, Default)]
pub struct Pending {
    stock: BTreeMap<ItemIndex, StockPicture>,
    products: BTreeMap<ItemIndex, Bytes>,
    holds: BTreeMap<HoldNumber, CacheWrite>,
    /// When the oldest of it was committed, on the monotonic clock.
    since: Option<Duration>,
}

impl Pending {
    /// Takes in a committed batch.
    pub fn absorb(&mut self, committed: &Committed, now: Duration) {
        for decision in &committed.decisions {
            let (generation, offset, as_of) = (decision.generation, decision.offset, decision.timestamp);
            for item in &decision.items {
                self.stock.insert(item.item, StockPicture { generation, offset, as_of, item: *item });
            }
            for notice in &decision.holds {
                let (hold, item) = (notice.hold, notice.item);
                let write = match notice.status {
                    HoldStatus::Held | HoldStatus::Offered => {
                        CacheWrite::Hold { hold, item, expires_at: notice.expires_at }
                    }
                    _ => CacheWrite::Ended { hold, item },
                };
                if self.holds.len() < HOLDS_WAITING || self.holds.contains_key(&hold) {
                    self.holds.insert(hold, write);
                }
            }
        }
        if !self.is_empty() {
            self.since.get_or_insert(now);
        }
    }

    /// Takes in what a starting writer rebuilt; `as_of` is Unix ms, `now` the monotonic clock.
    pub fn load(&mut self, state: &State, generation: u32, next_offset: u64, as_of: i64, now: Duration) {
        let offset = next_offset.saturating_sub(1);
        let picture = |item| StockPicture { generation, offset, as_of, item: item_notice(item) };
        self.stock.extend(state.items().map(|item| (item.item, picture(item))));
        let live = state.holds().filter(|hold| matches!(hold.status, HoldStatus::Held | HoldStatus::Offered));
        self.holds.extend(live.take(HOLDS_WAITING).map(|view| {
            let write = CacheWrite::Hold { hold: view.hold, item: view.item, expires_at: view.expires_at };
            (view.hold, write)
        }));
        self.since = Some(now);
    }

    /// Takes in product data, by item.
    pub fn load_products(&mut self, products: &[Bytes]) {
        self.products.extend((0..).zip(products.iter().cloned()));
    }

    /// Everything, oldest keys first; empty afterwards.
    pub fn take(&mut self) -> (Vec<CacheWrite>, Option<Duration>) {
        let stock = std::mem::take(&mut self.stock).into_values().map(CacheWrite::Stock);
        let product = |(item, body)| CacheWrite::Product { item, body };
        let products = std::mem::take(&mut self.products).into_iter().map(product);
        let holds = std::mem::take(&mut self.holds).into_values();
        (stock.chain(products).chain(holds).collect(), self.since.take())
    }

    /// Puts a write back that failed, unless something newer of its key has come.
    pub fn put_back(&mut self, write: CacheWrite) {
        match write {
            CacheWrite::Stock(picture) => _ = self.stock.entry(picture.item.item).or_insert(picture),
            CacheWrite::Hold { hold, .. } | CacheWrite::Ended { hold, .. } if self.holds.len() < HOLDS_WAITING => {
                _ = self.holds.entry(hold).or_insert(write);
            }
            CacheWrite::Product { item, body } => _ = self.products.entry(item).or_insert(body),
            CacheWrite::Hold { .. } | CacheWrite::Ended { .. } => {}
        }
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.stock.is_empty() && self.products.is_empty() && self.holds.is_empty()
    }
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
    pub fn begin(&self, state: &State, generation: u32, next_offset: u64, clock: &dyn Clock) {
        self.with(|pending| pending.load(state, generation, next_offset, clock.now(), clock.monotonic()));
        self.news.notify_one();
    }

    /// Product data, by item.
    pub fn offer_products(&self, products: &[Bytes]) {
        self.with(|pending| pending.load_products(products));
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
        let pause = match cache.write(&writes).await {
            Ok(()) => {
                if failures > 0 {
                    tracing::info!("the cache is back");
                }
                failures = 0;
                gauges.cache_away(None);
                gauges.cache.record_time(clock.monotonic().saturating_sub(since.unwrap_or_default()));
                STOCK_GAP
            }
            Err(error) => {
                if failures == 0 {
                    tracing::warn!(%error, "the cache is behind; the sale goes on");
                    gauges.cache_away(Some(clock.now()));
                }
                queue.with(|pending| writes.into_iter().for_each(|write| pending.put_back(write)));
                failures += 1;
                BACK_OFF[failures.min(BACK_OFF.len()) - 1]
            }
        };
        tokio::select! { () = tokio::time::sleep(pause) => {}, () = stop.cancelled() => return }
    }
}
