//! What a gateway thread shows of itself.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::routes::{ROUTES, Route};
use crate::allocator::gauges::Stage;

/// Statuses that are counted one by one; others count as the last.
pub const STATUSES: [u16; 20] =
    [200, 201, 202, 204, 304, 400, 401, 402, 404, 405, 408, 409, 410, 413, 422, 429, 431, 500, 503, 599];

/// Counters and latencies of one thread; writing costs nanoseconds and waits for nobody.
#[derive(Debug)]
pub struct GatewayGauges {
    /// Availability and product reads, microseconds.
    pub reads: Stage,
    /// Reserve, microseconds.
    pub writes: Stage,
    /// Checkout, microseconds.
    pub checkouts: Stage,
    /// Open connections.
    pub connections: AtomicU64,
    /// Reads that had to ask the ledger.
    pub ledger_reads: AtomicU64,
    /// Reads that the cache answered.
    pub cache_reads: AtomicU64,
    /// Answers shed or refused with 503 by an operator's halt: planned, so neither good nor bad.
    pub halted: AtomicU64,
    answers: Vec<[AtomicU64; STATUSES.len()]>,
}

impl Default for GatewayGauges {
    fn default() -> Self {
        Self {
            reads: Stage::default(),
            writes: Stage::default(),
            checkouts: Stage::default(),
            connections: AtomicU64::new(0),
            ledger_reads: AtomicU64::new(0),
            cache_reads: AtomicU64::new(0),
            halted: AtomicU64::new(0),
            answers: ROUTES.iter().map(|_| Default::default()).collect(),
        }
    }
}

impl GatewayGauges {
    /// Counts an answer.
    pub fn answered(&self, route: Route, status: u16, took: Duration) {
        let place = ROUTES.iter().position(|line| line.route == route).unwrap_or(0);
        let column = STATUSES.iter().position(|known| *known == status).unwrap_or(STATUSES.len() - 1);
        if let Some(counter) = self.answers.get(place).and_then(|line| line.get(column)) {
            counter.fetch_add(1, Relaxed);
        }
        match route {
            Route::Availability | Route::Products | Route::Product => self.reads.record_time(took),
            Route::Reserve => self.writes.record_time(took),
            Route::Checkout => self.checkouts.record_time(took),
            _ => {}
        }
    }

    /// Everything that only grows, in an order of its own.
    #[must_use]
    pub fn counters(&self) -> Vec<u64> {
        self.growing().map(|counter| counter.load(Relaxed)).collect()
    }

    /// Adds what another process counted, in the order of [`GatewayGauges::counters`], and sets its connections.
    pub fn grow(&self, growth: &[u64], connections: u64) {
        for (counter, more) in self.growing().zip(growth) {
            counter.fetch_add(*more, Relaxed);
        }
        self.connections.store(connections, Relaxed);
    }

    /// Open connections now.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.connections.load(Relaxed)
    }

    fn growing(&self) -> impl Iterator<Item = &AtomicU64> {
        [&self.ledger_reads, &self.cache_reads, &self.halted].into_iter().chain(self.answers.iter().flatten())
    }

    /// Answers so far by (route, status), those that are not zero.
    #[must_use]
    pub fn answers(&self) -> BTreeMap<(&'static str, u16), u64> {
        let mut counts = BTreeMap::new();
        for (line, row) in ROUTES.iter().zip(&self.answers) {
            for (status, counter) in STATUSES.iter().zip(row) {
                let count = counter.load(Relaxed);
                if count > 0 {
                    *counts.entry((name(line.route), *status)).or_insert(0) += count;
                }
            }
        }
        counts
    }
}

/// A route's name in metrics.
#[must_use]
pub const fn name(route: Route) -> &'static str {
    match route {
        Route::Availability => "availability",
        Route::Reserve => "reserve",
        Route::Products | Route::Product => "products",
        Route::Request => "request",
        Route::Reservation => "reservation",
        Route::Cancel => "cancel",
        Route::Claim => "claim",
        Route::Checkout => "checkout",
        Route::OpenApi => "openapi",
        Route::Healthz | Route::Readyz => "health",
    }
}
