//! The board: what committed decisions say, in memory, for every gateway thread to read without a lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering::Relaxed};

use arc_swap::{ArcSwap, Guard};
use bytes::Bytes;
use flashsale_core::{HoldNumber, HoldStatus, HoldView, ItemIndex, Phase, RequestKey, State, SubjectKey};
use hyper::header::HeaderValue;

use super::answers::Follow;
use crate::allocator::notices::item_notice;
use crate::ports::{Clock, HoldRow, LedgerRows};
use crate::record::{Committed, HoldNotice, ItemNotice};
use crate::sale::Frozen;

/// A flag proves nothing this long after the last picture of every item, ms.
pub const FRESH_MS: i64 = 1_000;

/// What is known of a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HoldCard {
    /// Whose.
    pub subject: SubjectKey,
    /// Of what.
    pub item: ItemIndex,
    /// Where it stands.
    pub status: HoldStatus,
    /// Its deadline, Unix ms.
    pub expires_at: i64,
}

/// An item's numbers with the answer to "is it available?" made ready.
#[derive(Debug)]
pub struct Page {
    /// The numbers.
    pub item: ItemNotice,
    /// The log's generation.
    pub generation: u32,
    /// The offset after the record that they come from.
    pub offset: u64,
    /// The answer's body, JSON.
    pub body: Bytes,
    /// Its entity tag.
    pub etag: HeaderValue,
}

/// What committed decisions say.
pub struct Board {
    skus: Vec<String>,
    pages: Vec<ArcSwap<Page>>,
    holds: papaya::HashMap<HoldNumber, HoldCard>,
    requests: papaya::HashMap<RequestKey, HoldNumber>,
    phase: AtomicU8,
    opens_at: AtomicI64,
    through: AtomicU64,
    leads: AtomicBool,
    pictured: AtomicI64,
    clock: Arc<dyn Clock>,
}

impl Board {
    /// A board that has seen nothing: every item is shown as upcoming, and no flag is fresh.
    #[must_use]
    pub fn new(frozen: &Frozen, clock: Arc<dyn Clock>) -> Self {
        let rules = frozen.definition.rules(frozen.opens_at);
        let state = State::new(rules, frozen.frozen_at.as_millisecond());
        let skus: Vec<String> = frozen.definition.items.iter().map(|item| item.sku.clone()).collect();
        let as_of = frozen.frozen_at.as_millisecond();
        let pages = state
            .items()
            .zip(&skus)
            .map(|(view, sku)| ArcSwap::from_pointee(page(sku, item_notice(view), 0, 0, as_of)))
            .collect();
        Self {
            skus,
            pages,
            holds: papaya::HashMap::new(),
            requests: papaya::HashMap::new(),
            phase: AtomicU8::new(Phase::Upcoming as u8),
            opens_at: AtomicI64::new(frozen.opens_at.map_or(i64::MIN, jiff::Timestamp::as_millisecond)),
            through: AtomicU64::new(0),
            leads: AtomicBool::new(false),
            pictured: AtomicI64::new(i64::MIN),
            clock,
        }
    }

    /// An item's place by its SKU.
    #[must_use]
    pub fn item(&self, sku: &str) -> Option<ItemIndex> {
        // A sale has few items: a scan beats hashing.
        self.skus.iter().position(|known| known == sku).and_then(|place| ItemIndex::try_from(place).ok())
    }

    /// An item's SKU.
    #[must_use]
    pub fn sku(&self, item: ItemIndex) -> Option<&str> {
        self.skus.get(usize::from(item)).map(String::as_str)
    }

    /// An item's newest page.
    #[must_use]
    pub fn page(&self, item: ItemIndex) -> Option<Guard<Arc<Page>>> {
        self.pages.get(usize::from(item)).map(ArcSwap::load)
    }

    /// Every item's newest numbers.
    #[must_use]
    pub fn items(&self) -> Vec<ItemNotice> {
        self.pages.iter().map(|page| page.load().item).collect()
    }

    /// Whether all that anybody was told is on the board: see [`Follow::lead`]. A ledger that was promoted may lack the
    /// last of it until the log has been folded again.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.leads.load(Relaxed)
    }

    /// Whether the pages and the phase may be used to refuse: nothing that was told is missing, and a picture of every
    /// item came within [`FRESH_MS`].
    #[must_use]
    pub fn fresh(&self) -> bool {
        self.leads() && self.now_ms().saturating_sub(self.pictured.load(Relaxed)) < FRESH_MS
    }

    /// The sale's phase.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.phase.load(Relaxed) {
            1 => Phase::Live,
            2 => Phase::Halted,
            3 => Phase::Closed,
            _ => Phase::Upcoming,
        }
    }

    /// The opening time, Unix ms, when there is one.
    #[must_use]
    pub fn opens_at(&self) -> Option<i64> {
        Some(self.opens_at.load(Relaxed)).filter(|at| *at != i64::MIN)
    }

    /// The opening time was changed.
    pub fn set_opens_at(&self, at: Option<i64>) {
        self.opens_at.store(at.unwrap_or(i64::MIN), Relaxed);
    }

    /// One hold.
    #[must_use]
    pub fn hold(&self, hold: HoldNumber) -> Option<HoldCard> {
        self.holds.pin().get(&hold).copied()
    }

    /// The hold that a request was granted.
    #[must_use]
    pub fn granted(&self, request: RequestKey) -> Option<HoldNumber> {
        self.requests.pin().get(&request).copied()
    }

    /// The offset after the last record that is on the board.
    #[must_use]
    pub fn through(&self) -> u64 {
        self.through.load(Relaxed)
    }

    fn put_item(&self, generation: u32, offset: u64, as_of: i64, item: ItemNotice) {
        let place = usize::from(item.item);
        if let (Some(slot), Some(sku)) = (self.pages.get(place), self.skus.get(place)) {
            let known = slot.load();
            if known.item != item || known.offset == 0 {
                slot.store(Arc::new(page(sku, item, generation, offset, as_of)));
            }
        }
    }

    fn put_row(&self, row: &HoldRow) {
        let HoldView { hold, subject, item, status, expires_at, .. } = row.view;
        self.holds.pin().insert(hold, HoldCard { subject, item, status, expires_at });
        if let Some(request) = row.request {
            self.requests.pin().insert(request, hold);
        }
    }

    fn put_hold(&self, notice: &HoldNotice) {
        let card = HoldCard {
            subject: notice.subject,
            item: notice.item,
            status: notice.status,
            expires_at: notice.expires_at,
        };
        self.holds.pin().insert(notice.hold, card);
        if let Some(request) = notice.request {
            self.requests.pin().insert(request, notice.hold);
        }
    }

    fn now_ms(&self) -> i64 {
        i64::try_from(self.clock.monotonic().as_millis()).unwrap_or(i64::MAX)
    }
}

impl Follow for Board {
    fn lead(&self) {
        self.leads.store(true, Relaxed);
    }

    fn begin(&self, state: &State, generation: u32, next_offset: u64) {
        self.leads.store(false, Relaxed);
        let as_of = self.clock.now();
        let holds = self.holds.pin();
        for hold in state.holds() {
            let card =
                HoldCard { subject: hold.subject, item: hold.item, status: hold.status, expires_at: hold.expires_at };
            holds.insert(hold.hold, card);
        }
        let requests = self.requests.pin();
        for (request, hold) in state.requests() {
            requests.insert(request, hold);
        }
        self.set_opens_at(state.opens_at());
        self.phase.store(state.phase() as u8, Relaxed);
        for item in state.items() {
            self.put_item(generation, next_offset, as_of, item_notice(item));
        }
        self.through.store(next_offset, Relaxed);
        self.pictured.store(self.now_ms(), Relaxed);
    }

    fn load(&self, rows: &LedgerRows, generation: u32, next_offset: u64) {
        // The rows know neither phase nor pictures' times: no flag is fresh before the first decision brings both.
        rows.holds.iter().for_each(|row| self.put_row(row));
        for item in &rows.items {
            self.put_item(generation, next_offset, self.clock.now(), *item);
        }
        self.through.store(next_offset, Relaxed);
        self.leads.store(true, Relaxed);
    }

    fn apply(&self, committed: &Committed) {
        let (mut pictured, now) = (false, self.clock.now());
        for decision in &committed.decisions {
            // Grants before flags: whoever sees a flag at a position can find every grant up to it.
            for notice in &decision.holds {
                self.put_hold(notice);
            }
            self.phase.store(decision.phase as u8, Relaxed);
            for item in &decision.items {
                self.put_item(decision.generation, decision.offset + 1, decision.timestamp, *item);
            }
            // A picture that comes late, after an outage or a pause of this process, proves nothing about now.
            let late = now.saturating_sub(decision.timestamp) >= FRESH_MS;
            pictured |= !late && decision.items.len() == self.pages.len();
        }
        self.through.store(committed.next_offset, Relaxed);
        if pictured {
            self.pictured.store(self.now_ms(), Relaxed);
        }
    }
}

pub(crate) fn page(sku: &str, item: ItemNotice, generation: u32, offset: u64, as_of: i64) -> Page {
    let as_of = jiff::Timestamp::from_millisecond(as_of).unwrap_or_default();
    let body = serde_json::json!({
        "sku": sku,
        "available": item.available,
        "held": item.held,
        "sold": item.sold,
        "total": item.stock,
        "status": item.status,
        "as_of": format!("{as_of:.3}"),
    });
    let etag = HeaderValue::from_str(&format!("\"{generation}-{offset}\""))
        .unwrap_or_else(|_| HeaderValue::from_static("\"0\""));
    Page { item, generation, offset, body: Bytes::from(body.to_string()), etag }
}
