//! What came of a crowd.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A reservation that somebody was told about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// The reservation.
    pub reservation: String,
    /// Who got it.
    pub label: String,
    /// The last thing that was told about it: `RESERVED`, `CONFIRMED`, `CANCELLED`.
    pub status: String,
}

/// Latencies of one kind of request from its intended start, ms.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Answers.
    pub count: u64,
    /// Median.
    pub p50: f64,
    /// 95th percentile.
    pub p95: f64,
    /// 99th percentile.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

/// What came of a crowd.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Requests that the curve asked for.
    pub asked: u64,
    /// Requests that were sent, within [`Outcome::LATE_MS`] of their moment.
    pub offered: u64,
    /// Requests that were answered.
    pub answered: u64,
    /// Requests whose connection broke.
    pub broken: u64,
    /// Seconds that the storm lasted.
    pub seconds: f64,
    /// Answers by kind of request and status: `reserve 201`.
    pub answers: BTreeMap<String, u64>,
    /// Latencies by kind of request.
    pub latency: BTreeMap<String, Latency>,
    /// Units won, by label.
    pub won: BTreeMap<String, u64>,
    /// Reserves sent, by label.
    pub tried: BTreeMap<String, u64>,
    /// Processor time of the crowd a request, microseconds.
    pub cpu_us: f64,
    /// Every reservation that somebody was told about.
    pub acknowledged: Vec<Acknowledged>,
}

impl Outcome {
    /// A request sent later than this after its moment was not offered at the asked rate, ms.
    pub const LATE_MS: u64 = 100;
    /// The share of requests that may be late before the crowd was too weak.
    pub const WEAK: f64 = 0.02;

    /// Whether the crowd offered what was asked.
    pub fn strong(&self) -> bool {
        #[allow(clippy::cast_precision_loss)]
        let short = self.asked.saturating_sub(self.offered) as f64;
        #[allow(clippy::cast_precision_loss)]
        let most = self.asked as f64 * Self::WEAK;
        short <= most
    }
}
