//! A checked definition: every key has its value, every value is possible.

use std::net::SocketAddr;
use std::time::Duration;

use flashsale_core::Rules;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::stack::Stack;
use crate::ports::Amount;

/// One sale, as defined. Durations serialize as milliseconds in JSON (see `millis`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    /// The sale's name.
    pub sale: String,
    /// When it opens; none: as soon as it is ready.
    pub opens_at: Option<OpensAt>,
    /// An IANA zone that people see beside UTC.
    pub timezone: Option<String>,
    /// From opening to closing.
    #[serde(with = "millis")]
    pub duration: Duration,
    /// At least one; SKUs are unique.
    pub items: Vec<Item>,
    /// How long a hold lasts.
    #[serde(with = "millis")]
    pub hold: Duration,
    /// Units a second, or none.
    pub pace: Option<u32>,
    /// Who gets in.
    pub admission: Admission,
    /// What is promised.
    pub slo: Slo,
    /// What it runs on.
    pub stack: Stack,
    /// The engine's addresses and limits.
    pub engine: Engine,
    /// Who takes the money.
    pub payments: Payments,
    /// A simulated audience.
    pub crowd: Option<Crowd>,
    /// What is written afterwards.
    pub report: Report,
}

/// An opening time: absolute, or relative until it is frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpensAt {
    /// At this moment.
    At(Timestamp),
    /// So long after `up`.
    In(#[serde(with = "millis")] Duration),
}

/// One item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// SKU.
    pub sku: String,
    /// For people; the SKU when absent.
    pub name: String,
    /// Units.
    pub stock: u32,
    /// For one.
    pub price: Amount,
    /// The most a customer may have.
    pub per_customer: u16,
    /// Passed on to storefronts as it is.
    pub metadata: serde_json::Map<String, serde_json::Value>,
}

/// Who gets in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Admission {
    /// When new work is refused to protect what was admitted.
    pub overload: Overload,
}

/// Either limit sheds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Overload {
    /// Commands waiting: warn.
    pub warn: u32,
    /// Commands waiting: 503.
    pub shed: u32,
    /// Age of the oldest waiting command: 503.
    #[serde(with = "millis")]
    pub max_queue_age: Duration,
}

/// What is promised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Slo {
    /// Availability reads.
    pub read: Objective,
    /// Reserve.
    pub write: Objective,
    /// Checkout; its `rps` is none.
    pub checkout: Objective,
    /// Share of answers that are good, 0 to 1.
    pub availability: f64,
}

/// One route's promise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Objective {
    /// 95th percentile.
    #[serde(with = "millis")]
    pub p95: Duration,
    /// A capacity that plan and rehearse check; never a minimum of live traffic.
    pub rps: Option<u32>,
}

/// The engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Engine {
    /// Where shoppers call.
    pub listen: SocketAddr,
    /// Where operators call; loopback only.
    pub operator_listen: SocketAddr,
    /// Gateway threads.
    pub gateways: u16,
    /// How long a reserve waits for its decision before it answers 202.
    #[serde(with = "millis")]
    pub reply_within: Duration,
    /// Origins that browsers may call from; `*` for any.
    pub cors_origins: Vec<String>,
    /// Keys of shoppers' tokens, at most four; none: one is made at `up`.
    pub token_keys: Vec<TokenKey>,
}

/// A key of shoppers' tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenKey {
    /// Key id; tokens must name it.
    pub kid: String,
    /// `HS256` or `EdDSA`.
    pub algorithm: TokenAlgorithm,
    /// The secret (HS256, base64) or the public key (EdDSA, PEM).
    pub key: Secret,
}

/// A token algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokenAlgorithm {
    /// HMAC with SHA-256.
    #[serde(rename = "HS256")]
    Hs256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

/// Where a secret is; never the secret itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Secret {
    /// An environment variable.
    Env(String),
    /// A file.
    File(std::path::PathBuf),
}

/// Who takes the money.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Payments {
    /// Who.
    pub provider: PaymentProvider,
    /// How long a checkout waits before it answers 202.
    #[serde(with = "millis")]
    pub reply_within: Duration,
}

/// A payment provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentProvider {
    /// The built-in one, for trying and for rehearsals.
    Sandbox,
}

/// A simulated audience. Rates are open loop: a stated curve, not "as fast as answers come".
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Crowd {
    /// Same seed, same audience.
    pub seed: u64,
    /// Distinct shoppers to draw from.
    pub shoppers: u32,
    /// Sockets.
    pub connections: u16,
    /// Arrival rates over time; straight lines between the points, none after the last.
    pub arrivals: Vec<Arrival>,
    /// What people do.
    pub people: People,
    /// Labelled bot families, each with its share of the reserves.
    pub bots: Vec<BotFamily>,
}

/// One point of the arrival curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Arrival {
    /// After the opening.
    #[serde(with = "millis")]
    pub at: Duration,
    /// Availability reads a second.
    pub looks: u32,
    /// Reserves a second.
    pub reserves: u32,
}

/// What people do once they hold a unit. Shares are of 1; who neither pays nor cancels walks away.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct People {
    /// Mean time from hold to decision.
    #[serde(with = "millis")]
    pub hesitate: Duration,
    /// Share that pays.
    pub pay: f64,
    /// Share that cancels.
    pub cancel: f64,
    /// Of those who pay, the share whose card is declined at first.
    pub declined: f64,
}

/// A kind of bot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BotFamily {
    /// What it does.
    pub family: BotKind,
    /// Share of all reserves.
    pub share: f64,
    /// Identities it uses.
    pub identities: u32,
}

/// The bot families.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BotKind {
    /// Few identities, perfectly regular, as fast as allowed.
    Hammer,
    /// Many fresh identities, one request each, at the opening.
    Swarm,
    /// Retries the same request with lost replies.
    Retrier,
    /// Holds units and never pays.
    Hoarder,
}

/// What is written afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Formats.
    pub formats: Vec<ReportFormat>,
}

/// A report's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportFormat {
    /// One offline file.
    Html,
    /// Markdown.
    Md,
    /// For programs.
    Json,
}

impl Definition {
    /// The state machine's rules. `opens_at` is the resolved time.
    #[must_use]
    pub fn rules(&self, opens_at: Option<Timestamp>) -> Rules {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Rules {
            items: self
                .items
                .iter()
                .map(|item| flashsale_core::ItemRules { stock: item.stock, per_customer: item.per_customer })
                .collect(),
            hold_ms: u32::try_from(self.hold.as_millis()).unwrap_or(u32::MAX),
            offer_ms: OFFER_MS,
            pace: self.pace,
            opens_at: opens_at.map(Timestamp::as_millisecond),
            duration_ms: millis(self.duration),
        }
    }
}

/// How long a released unit waits for the head of the waitlist, ms.
pub const OFFER_MS: u32 = 20_000;

/// Durations as whole milliseconds.
pub mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes milliseconds.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    /// Reads milliseconds.
    ///
    /// # Errors
    /// The deserializer's.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}
