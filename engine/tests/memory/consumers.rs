//! Those who are told: cache, events and people, in memory.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use flashsale_core::HoldNumber;
use flashsale_engine::ports::{
    Cache, CacheError, CacheNotice, CacheWrite, Clock, Events, EventsError, Notifier, Severity, StockPicture,
};

use super::TestClock;

/// Keeps what it is given, and says when a reservation's time is over.
pub struct MemoryCache {
    pub stock: Mutex<BTreeMap<u16, StockPicture>>,
    pub holds: Mutex<BTreeMap<HoldNumber, i64>>,
    pub away: AtomicBool,
    pub writes: AtomicU64,
    pub reads: AtomicU64,
    clock: TestClock,
}

impl Default for MemoryCache {
    fn default() -> Self {
        Self {
            stock: Mutex::default(),
            holds: Mutex::default(),
            away: AtomicBool::default(),
            writes: AtomicU64::default(),
            reads: AtomicU64::default(),
            clock: TestClock::new(),
        }
    }
}

#[async_trait]
impl Cache for MemoryCache {
    async fn write(&self, writes: &[CacheWrite]) -> Result<(), CacheError> {
        if self.away.load(SeqCst) {
            return Err(CacheError("away".into()));
        }
        for write in writes {
            match write {
                CacheWrite::Stock(picture) => {
                    self.writes.fetch_add(1, SeqCst);
                    let mut stock = self.stock.lock().unwrap();
                    let kept = stock.get(&picture.item.item);
                    if kept.is_none_or(|kept| kept.position() <= picture.position()) {
                        stock.insert(picture.item.item, *picture);
                    }
                }
                CacheWrite::Hold { hold, expires_at, .. } => {
                    _ = self.holds.lock().unwrap().insert(*hold, *expires_at);
                }
                CacheWrite::Ended { hold, .. } => _ = self.holds.lock().unwrap().remove(hold),
                CacheWrite::Product { .. } => {}
            }
        }
        Ok(())
    }
    async fn stock(&self, item: u16) -> Result<Option<StockPicture>, CacheError> {
        self.reads.fetch_add(1, SeqCst);
        if self.away.load(SeqCst) {
            return Err(CacheError("away".into()));
        }
        Ok(self.stock.lock().unwrap().get(&item).copied())
    }
    async fn product(&self, _: u16) -> Result<Option<Bytes>, CacheError> {
        Ok(None)
    }
    async fn expired(&self) -> Result<CacheNotice, CacheError> {
        loop {
            let now = self.clock.now();
            let over = self.holds.lock().unwrap().iter().find(|(_, at)| **at <= now).map(|(hold, _)| *hold);
            if let Some(hold) = over {
                self.holds.lock().unwrap().remove(&hold);
                return Ok(CacheNotice::Expired(hold));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Keeps the events' JSON.
#[derive(Default)]
pub struct MemoryEvents {
    pub published: Mutex<Vec<serde_json::Value>>,
    pub away: AtomicBool,
}

impl MemoryEvents {
    /// Each event's id and type, in order.
    pub fn list(&self) -> Vec<(String, String)> {
        let text = |event: &serde_json::Value, key: &str| event[key].as_str().unwrap().to_owned();
        self.published.lock().unwrap().iter().map(|event| (text(event, "id"), text(event, "type"))).collect()
    }

    pub fn types(&self) -> Vec<String> {
        self.list().into_iter().map(|(_, kind)| kind).collect()
    }
}

#[async_trait]
impl Events for MemoryEvents {
    async fn publish(&self, events: &[Bytes]) -> Result<(), EventsError> {
        if self.away.load(SeqCst) {
            return Err(EventsError("away".into()));
        }
        let read = events.iter().map(|bytes| serde_json::from_slice(bytes).unwrap());
        self.published.lock().unwrap().extend(read);
        Ok(())
    }
}

#[derive(Default)]
pub struct MemoryNotifier(pub Mutex<Vec<(Severity, String, String)>>);

impl Notifier for MemoryNotifier {
    fn notify(&self, severity: Severity, key: &str, text: &str) {
        self.0.lock().unwrap().push((severity, key.into(), text.into()));
    }
}
