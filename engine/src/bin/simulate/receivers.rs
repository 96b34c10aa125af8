//! Those who are told: events, cache, people; and the clock of a process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use flashsale_core::HoldNumber;
use flashsale_engine::ports::{
    Cache, CacheError, CacheNotice, CacheWrite, Clock, Events, EventsError, Notifier, Severity, StockPicture,
};
use serde::Deserialize;

use crate::faults::{Fault, Faults};
use crate::sale::NOON;
use crate::sim::{Sim, lock};

/// A process's clock: its wall clock is a little off, its monotonic one is not.
pub struct Watch {
    pub sim: Sim,
    pub off_ms: i64,
}

impl Clock for Watch {
    fn now(&self) -> i64 {
        NOON + self.sim.now_ms() + self.off_ms
    }
    fn monotonic(&self) -> Duration {
        self.sim.now()
    }
}

/// The events' log: type by id.
pub struct Published {
    pub sim: Sim,
    pub faults: Arc<Faults>,
    pub events: Mutex<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Event {
    id: String,
    r#type: String,
}

#[async_trait]
impl Events for Published {
    async fn publish(&self, events: &[Bytes]) -> Result<(), EventsError> {
        self.sim.sleep(self.sim.micros(200, 4_000)).await;
        let away = self.faults.strikes(Fault::EventsAway);
        // A part may be there though the whole failed.
        let taken = if away { self.sim.chance(|chance| chance.below(events.len() as u64 + 1)) } else { u64::MAX };
        for bytes in events.iter().take(usize::try_from(taken).unwrap_or(usize::MAX)) {
            let Ok(event) = serde_json::from_slice::<Event>(bytes) else {
                self.sim.fail(|| "an event is no CloudEvent".to_owned());
                continue;
            };
            let before = lock(&self.events).insert(event.id.clone(), event.r#type.clone());
            if before.as_ref().is_some_and(|before| *before != event.r#type) {
                self.sim.fail(|| format!("event {} was {before:?} and is {} now", event.id, event.r#type));
            }
        }
        if away { Err(EventsError("not taken".into())) } else { Ok(()) }
    }
}

/// The cache, which decides nothing.
pub struct Shelf {
    pub sim: Sim,
    pub faults: Arc<Faults>,
    pub stock: Mutex<BTreeMap<u16, StockPicture>>,
    pub holds: Mutex<BTreeMap<HoldNumber, i64>>,
}

impl Shelf {
    /// Forgets everything.
    pub fn flush(&self) {
        lock(&self.stock).clear();
        lock(&self.holds).clear();
    }
}

#[async_trait]
impl Cache for Shelf {
    async fn write(&self, writes: &[CacheWrite]) -> Result<(), CacheError> {
        self.sim.sleep(self.sim.micros(50, 500)).await;
        if self.faults.strikes(Fault::CacheAway) {
            return Err(CacheError("away".into()));
        }
        for write in writes {
            match write {
                CacheWrite::Stock(picture) => {
                    let mut stock = lock(&self.stock);
                    if stock.get(&picture.item.item).is_none_or(|kept| kept.position() <= picture.position()) {
                        stock.insert(picture.item.item, *picture);
                    }
                }
                CacheWrite::Hold { hold, expires_at, .. } => _ = lock(&self.holds).insert(*hold, *expires_at),
                CacheWrite::Ended { hold, .. } => _ = lock(&self.holds).remove(hold),
                CacheWrite::Product { .. } => {}
            }
        }
        Ok(())
    }
    async fn stock(&self, item: u16) -> Result<Option<StockPicture>, CacheError> {
        Ok(lock(&self.stock).get(&item).copied())
    }
    async fn product(&self, _item: u16) -> Result<Option<Bytes>, CacheError> {
        Ok(None)
    }
    async fn expired(&self) -> Result<CacheNotice, CacheError> {
        loop {
            let now = NOON + self.sim.now_ms();
            let over = lock(&self.holds).iter().find(|(_, at)| **at <= now).map(|(hold, _)| *hold);
            if let Some(hold) = over {
                lock(&self.holds).remove(&hold);
                return Ok(CacheNotice::Expired(hold));
            }
            self.sim.sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Nobody is woken at night by a simulation.
pub struct Pager(pub Sim);

impl Notifier for Pager {
    fn notify(&self, _severity: Severity, key: &str, text: &str) {
        self.0.note(|| format!("page {key}: {text}"));
    }
}
