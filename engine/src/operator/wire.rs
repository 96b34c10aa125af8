//! The operator API's types: the engine answers with them, the CLI and the war room read them.

use std::collections::BTreeMap;

use flashsale_core::{HaltCause, HaltScope, ItemStatus, Phase};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// `GET /v1/status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The sale's name.
    pub sale: String,
    /// The run.
    pub run: Uuid,
    /// A rehearsal.
    pub rehearsal: bool,
    /// The engine's version.
    pub version: String,
    /// The engine's process.
    pub pid: u32,
    /// Whether this process has the writer; a standby shows the sale as it hears of it.
    pub leads: bool,
    /// When this engine started, Unix ms.
    pub started_at: i64,
    /// The engine's clock, Unix ms.
    pub now: i64,
    /// The sale's phase.
    pub phase: Phase,
    /// It may open when its time comes.
    pub armed: bool,
    /// Closed, and nothing is left to end but refunds.
    pub ended: bool,
    /// Unix ms.
    pub opens_at: Option<i64>,
    /// Unix ms.
    pub opened_at: Option<i64>,
    /// Unix ms.
    pub closes_at: Option<i64>,
    /// Unix ms.
    pub closed_at: Option<i64>,
    /// Units a second.
    pub pace: Option<u32>,
    /// What is promised.
    pub slo: SloTargets,
    /// The log's halt.
    pub halt: Option<Halt>,
    /// The engine-local gate, when shut.
    pub gate: Option<crate::ports::Gate>,
    /// Why the writer stopped by itself.
    pub stopped: Option<String>,
    /// Why the ledger confirms no commits just now: gateways answer `overloaded`.
    #[serde(default)]
    pub unconfirmed: Option<String>,
    /// Since when the cache does not take the writer's writes, Unix ms; the sale goes on without it.
    #[serde(default)]
    pub cache_away_since: Option<i64>,
    /// The items, in the definition's order.
    pub items: Vec<ItemStatusLine>,
    /// The writer.
    pub writer: Writer,
    /// Payments that the provider still has to be told or asked about.
    pub open_payments: u64,
    /// Orders sold and not refunded, over all items.
    pub orders: u64,
    /// Their money in the currency's smallest unit.
    pub revenue_minor: i64,
    /// ISO 4217.
    pub currency: String,
}

/// What is promised, as defined.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SloTargets {
    /// Availability reads, 95th percentile, ms.
    pub read_p95_ms: f64,
    /// Reserve, 95th percentile, ms.
    pub write_p95_ms: f64,
    /// Checkout, 95th percentile, ms.
    pub checkout_p95_ms: f64,
    /// Share of answers that are good, 0 to 1.
    pub availability: f64,
}

/// A halt in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halt {
    /// What stopped.
    pub scope: HaltScope,
    /// Who stopped it.
    pub cause: HaltCause,
}

/// One item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemStatusLine {
    /// SKU.
    pub sku: String,
    /// For people.
    pub name: String,
    /// What shoppers see.
    pub status: ItemStatus,
    /// Units.
    pub stock: u32,
    /// Units missing or withdrawn.
    pub shortage: u32,
    /// Units held or offered.
    pub held: u32,
    /// Units sold.
    pub sold: u32,
    /// Places taken in the waitlist.
    pub waiting: u32,
    /// Units that a plain reserve can get.
    pub available: u32,
}

/// The one writer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Writer {
    /// Its fencing epoch.
    pub epoch: u64,
    /// The log's generation.
    pub generation: u32,
    /// The next record to fold.
    pub next_offset: u64,
    /// The log's end.
    pub log_end: u64,
    /// Everything below is published.
    pub published_through: u64,
    /// The state's digest, hexadecimal.
    pub digest: String,
}

/// One event of `GET /v1/stream`, four a second; also a line of `recording.jsonl`, one a second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Frame {
    /// Rising by one; a gap is a lost frame.
    pub number: u64,
    /// The status.
    pub status: Status,
    /// Metrics by their name in `docs/metrics.md`, with labels as in Prometheus: `decisions{outcome="granted"}`.
    pub metrics: BTreeMap<String, f64>,
    /// Things that happened since the last frame, for the timeline.
    pub notes: Vec<Note>,
}

/// A line of the timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Unix ms.
    pub at: i64,
    /// `info`, `warning`, `page`.
    pub level: String,
    /// What happened.
    pub text: String,
}

/// The body of every `POST` that changes the sale.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChangeRequest {
    /// Makes a retry the same change; minted by the client.
    pub id: String,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// What.
    #[serde(flatten)]
    pub change: Change,
}

/// What changes; the route's last part names it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// `POST /v1/arm`
    Arm,
    /// `POST /v1/halt`
    Halt {
        /** Stop checkout too, and freeze log time. */
        #[serde(default)]
        all: bool,
    },
    /// `POST /v1/resume`
    Resume,
    /// `POST /v1/close`
    Close,
    /// `POST /v1/pace`
    Pace {
        /** Units a second, or none. */
        units_per_second: Option<u32>,
    },
    /// `POST /v1/adjust`
    Adjust {
        /** SKU. */
        sku: String,
        /** Units added (or taken). */
        units: Option<i32>,
        /** Units missing in all. */
        shortage: Option<u32>,
    },
    /// `POST /v1/reschedule`
    Reschedule {
        /** Unix ms. */
        opens_at: i64,
    },
    /// `POST /v1/extend`
    Extend {
        /** Unix ms. */
        closes_at: i64,
    },
}

/// The body of `POST /v1/prewarm`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PrewarmRequest {
    /// How long it may take, ms; at most a minute.
    pub within_ms: u64,
}

/// The answer to `POST /v1/prewarm`: what was warmed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Warmed {
    /// Items whose product data was given to the cache.
    pub products: usize,
    /// Statements that the ledger answered.
    pub ledger_reads: usize,
    /// Ticks through the log and the ledger that were decided; each shows every item to the cache.
    pub ticks: usize,
    /// Ticks that were not decided in time.
    pub undecided: usize,
    /// Median time of the first ticks, ms.
    pub first_ms: Option<f64>,
    /// Median time of the last ticks, ms.
    pub last_ms: Option<f64>,
    /// How long all of it took.
    pub seconds: f64,
}

/// The answer to a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// It took effect now; false: it had before.
    pub changed: bool,
    /// Which of its steps happened: `gate shut`, `logged at offset 17`.
    pub steps: Vec<String>,
    /// The log's position, once logged.
    pub offset: Option<u64>,
}
