//! The cache of the embedded stack: advisory copies in this process, with notices when a reservation's time is over.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use flashsale_core::HoldNumber;
use tokio::sync::Notify;

use crate::ports::{Cache, CacheError, Clock};
use crate::record::ItemNotice;

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
    stock: HashMap<u16, (u64, ItemNotice)>,
    deadlines: HashMap<HoldNumber, i64>,
    order: BTreeSet<(i64, HoldNumber)>,
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
    async fn put_stock(&self, position: u64, item: &ItemNotice) -> Result<(), CacheError> {
        let mut known = self.known();
        if known.stock.get(&item.item).is_none_or(|(newest, _)| *newest <= position) {
            known.stock.insert(item.item, (position, *item));
        }
        Ok(())
    }

    async fn stock(&self, item: u16) -> Result<Option<ItemNotice>, CacheError> {
        Ok(self.known().stock.get(&item).map(|(_, notice)| *notice))
    }

    async fn put_hold(&self, hold: HoldNumber, expires_at: i64) -> Result<(), CacheError> {
        {
            let mut known = self.known();
            if known.deadlines.len() >= MOST_HOLDS && !known.deadlines.contains_key(&hold) {
                return Err(CacheError(format!("{MOST_HOLDS} reservations are kept already")));
            }
            if let Some(before) = known.deadlines.insert(hold, expires_at) {
                known.order.remove(&(before, hold));
            }
            known.order.insert((expires_at, hold));
        }
        self.changed.notify_one();
        Ok(())
    }

    async fn remove_hold(&self, hold: HoldNumber) -> Result<(), CacheError> {
        let mut known = self.known();
        if let Some(deadline) = known.deadlines.remove(&hold) {
            known.order.remove(&(deadline, hold));
        }
        Ok(())
    }

    async fn expired(&self) -> Result<HoldNumber, CacheError> {
        loop {
            let now = self.clock.now();
            let next = {
                let mut known = self.known();
                match known.order.first().copied() {
                    Some((deadline, hold)) if deadline <= now => {
                        known.order.remove(&(deadline, hold));
                        known.deadlines.remove(&hold);
                        return Ok(hold);
                    }
                    first => first.map(|(deadline, _)| Duration::from_millis((deadline - now).unsigned_abs())),
                }
            };
            let wait = next.unwrap_or(Duration::from_secs(1));
            let _ = tokio::time::timeout(wait, self.changed.notified()).await;
        }
    }
}
