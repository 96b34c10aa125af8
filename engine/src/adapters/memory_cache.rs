//! The cache of the embedded stack: advisory copies in this process, with notices when a reservation's time is over.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use flashsale_core::{HoldNumber, ItemIndex};
use tokio::sync::Notify;

use crate::ports::{Cache, CacheError, CacheNotice, CacheWrite, Clock, STOCK_LASTS, StockPicture};

/// Reservations kept; beyond it one more is not taken (the other expiry layers release it).
const MOST_HOLDS: usize = 1 << 20;

/// Stock and reservations in memory.
pub struct MemoryCache<C> {
    clock: C,
    known: Mutex<Known>,
    changed: Notify,
}

#[derive(Default)]
struct Known {
    /// With the moment of the write, on the monotonic clock.
    stock: HashMap<ItemIndex, (Duration, StockPicture)>,
    products: HashMap<ItemIndex, Bytes>,
    deadlines: HashMap<HoldNumber, i64>,
    order: BTreeSet<(i64, HoldNumber)>,
}

impl Known {
    fn take_in(&mut self, write: &CacheWrite, now: Duration) {
        match write {
            CacheWrite::Stock(picture) => {
                let kept = self
                    .stock
                    .get(&picture.item.item)
                    .filter(|(written, _)| now.saturating_sub(*written) < STOCK_LASTS);
                if kept.is_none_or(|(_, newest)| newest.position() <= picture.position()) {
                    self.stock.insert(picture.item.item, (now, *picture));
                }
            }
            CacheWrite::Hold { hold, expires_at, .. } => {
                if self.deadlines.len() >= MOST_HOLDS && !self.deadlines.contains_key(hold) {
                    return;
                }
                if let Some(before) = self.deadlines.insert(*hold, *expires_at) {
                    self.order.remove(&(before, *hold));
                }
                self.order.insert((*expires_at, *hold));
            }
            CacheWrite::Ended { hold, .. } => {
                if let Some(deadline) = self.deadlines.remove(hold) {
                    self.order.remove(&(deadline, *hold));
                }
            }
            CacheWrite::Product { item, body } => _ = self.products.insert(*item, body.clone()),
        }
    }
}

impl<C: Clock> MemoryCache<C> {
    /// An empty cache.
    pub fn new(clock: C) -> Self {
        Self { clock, known: Mutex::default(), changed: Notify::new() }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl<C: Clock> Cache for MemoryCache<C> {
    async fn write(&self, writes: &[CacheWrite]) -> Result<(), CacheError> {
        {
            let now = self.clock.monotonic();
            let mut known = self.known();
            for write in writes {
                known.take_in(write, now);
            }
        }
        self.changed.notify_one();
        Ok(())
    }

    async fn stock(&self, item: ItemIndex) -> Result<Option<StockPicture>, CacheError> {
        let now = self.clock.monotonic();
        let known = self.known();
        let fresh = known.stock.get(&item).filter(|(written, _)| now.saturating_sub(*written) < STOCK_LASTS);
        Ok(fresh.map(|(_, picture)| *picture))
    }

    async fn product(&self, item: ItemIndex) -> Result<Option<Bytes>, CacheError> {
        Ok(self.known().products.get(&item).cloned())
    }

    async fn expired(&self) -> Result<CacheNotice, CacheError> {
        loop {
            let now = self.clock.now();
            let next = {
                let mut known = self.known();
                match known.order.first().copied() {
                    Some((deadline, hold)) if deadline <= now => {
                        known.order.remove(&(deadline, hold));
                        known.deadlines.remove(&hold);
                        return Ok(CacheNotice::Expired(hold));
                    }
                    first => first.map(|(deadline, _)| Duration::from_millis((deadline - now).unsigned_abs())),
                }
            };
            let wait = next.unwrap_or(Duration::from_secs(1));
            let _ = tokio::time::timeout(wait, self.changed.notified()).await;
        }
    }
}
