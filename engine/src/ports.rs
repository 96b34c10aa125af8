//! What the engine needs of the world. Each port has an embedded adapter and one for real servers; all pass the same
//! conformance stories. Gateway, allocator, replay and simulator see these and never an adapter.

use async_trait::async_trait;
use bytes::Bytes;
use compact_str::CompactString;
use flashsale_core::{HoldNumber, HoldView, PaymentView, RequestKey};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::record::ItemNotice;

mod cache;
mod money;

pub use cache::{Cache, CacheError, CacheNotice, CacheWrite, STOCK_LASTS, StockPicture};
pub use money::{Amount, PaymentError, Payments, ProviderState};

/// One record as the log gives it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// Where it stands; offsets are contiguous.
    pub offset: u64,
    /// The log's own time of it, Unix ms.
    pub timestamp: i64,
    /// What was appended.
    pub bytes: Bytes,
}

/// Why the log did not do it.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The record may or may not be in the log: never to be reported as "failed".
    #[error("unknown whether the record was appended: {0}")]
    Unknown(String),
    /// The log lost records, is another log, or has a gap: fold nothing (exit 98).
    #[error("the log is not the one that was folded: {0}")]
    Damaged(String),
    /// Not reachable now; nothing was appended.
    #[error("the log is not available: {0}")]
    Unavailable(String),
}

/// The commands log: append, and read from an offset.
#[async_trait]
pub trait Log: Send + Sync {
    /// Appends one record, durably; answers its offset.
    async fn append(&self, bytes: Bytes) -> Result<u64, LogError>;
    /// Records from `from` on, at most `limit`; waits until there is one or `wait` is over (then: none).
    async fn read(&self, from: u64, limit: usize, wait: std::time::Duration) -> Result<Vec<LogRecord>, LogError>;
    /// The offset after the last record; the first record's is 0.
    async fn end(&self) -> Result<u64, LogError>;
    /// The log's own identity: another one means that it was deleted and made again.
    async fn identity(&self) -> Result<Uuid, LogError>;
}

/// What the ledger's `writer` row says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The run whose ledger this is; none before the first commit.
    pub run: Option<Uuid>,
    /// The fencing epoch.
    pub epoch: u64,
    /// The writer that owns the epoch.
    pub writer: Uuid,
    /// The log's generation.
    pub generation: u32,
    /// The offset of the next record to fold.
    pub next_offset: u64,
    /// The state's digest there.
    pub digest: u64,
    /// The audit chain's head there.
    pub chain: [u8; 32],
    /// The log's identity.
    pub log: Uuid,
    /// Hash of the last record folded (offset, timestamp, bytes); zeros before the first.
    pub last_record: [u8; 32],
    /// Everything below is published.
    pub published_through: u64,
    /// Changes with every beat of the active writer.
    pub beat: u64,
}

/// One commit: everything that one transaction writes.
#[derive(Debug, Clone)]
pub struct LedgerBatch {
    /// The run.
    pub run: Uuid,
    /// Fence: my epoch.
    pub epoch: u64,
    /// Fence: me.
    pub writer: Uuid,
    /// The log's generation after the batch.
    pub generation: u32,
    /// Fence: where the row must stand.
    pub first_offset: u64,
    /// Where the row will stand.
    pub next_offset: u64,
    /// Fence: the digest that the row must hold.
    pub digest_before: u64,
    /// The digest that the row will hold.
    pub digest: u64,
    /// The chain's head after it.
    pub chain: [u8; 32],
    /// H(records), a link of the chain.
    pub records_hash: [u8; 32],
    /// Hash of the last record.
    pub last_record: [u8; 32],
    /// The log's identity.
    pub log: Uuid,
    /// Items that changed, as they stood before and as they stand now; a row that is not as before is a mismatch.
    pub items: Vec<ItemChange>,
    /// Holds that changed, as they stand now.
    pub holds: Vec<HoldRow>,
    /// Payments that changed, as they stand now.
    pub payments: Vec<PaymentView>,
    /// Encoded [`Committed`](crate::record::Committed): the outbox.
    pub committed: Bytes,
}

/// An item's row before and after a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ItemChange {
    /// SKU's place in the definition; `None` before: the row is made.
    pub before: Option<ItemNotice>,
    /// After.
    pub after: ItemNotice,
}

/// A hold's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldRow {
    /// Its numbers.
    pub view: HoldView,
    /// Whose, by name; only when the row is made.
    pub name: Option<CompactString>,
    /// The request that made it; only when the row is made.
    pub request: Option<RequestKey>,
    /// Place among confirmed orders (generation, offset, index); when confirmed.
    pub confirmed_at: Option<flashsale_core::Position>,
}

/// How a commit ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitEnd {
    /// All of it.
    Committed,
    /// None of it: the row is another writer's, or stands elsewhere.
    Fenced(Box<Checkpoint>),
    /// None of it: a row was changed by someone else, or a constraint refused. The text names row, expected and found.
    Mismatch(String),
    /// The answer was lost or late; to be resolved by [`Ledger::resolve`], never sent again first.
    Unknown(String),
}

/// Why the ledger did not do it.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Not reachable now.
    #[error("the ledger is not available: {0}")]
    Unavailable(String),
    /// It holds something that cannot be.
    #[error("the ledger is damaged: {0}")]
    Damaged(String),
}

/// The ledger as its writer sees it.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// The `writer` row, made when there is none (epoch 0, offset 0).
    async fn checkpoint(&self) -> Result<Checkpoint, LedgerError>;
    /// Bumps the epoch by compare-and-swap from `seen`; answers the row as it is afterwards, or none when it lost.
    async fn take_over(&self, seen: u64, writer: Uuid) -> Result<Option<Checkpoint>, LedgerError>;
    /// One fenced transaction.
    async fn commit(&self, batch: &LedgerBatch) -> Result<CommitEnd, LedgerError>;
    /// Whether an unknown commit happened, once it can no longer happen.
    async fn resolve(&self, batch: &LedgerBatch) -> Result<CommitEnd, LedgerError>;
    /// Shows that the writer lives; false: fenced.
    async fn beat(&self, epoch: u64, writer: Uuid) -> Result<bool, LedgerError>;
    /// The writer stops in good order: the row names no writer (nil) any more, so that the next need not wait for a
    /// still beat. False when it was not this writer's, or when the adapter cannot say it.
    async fn resign(&self, _epoch: u64, _writer: Uuid) -> Result<bool, LedgerError> {
        Ok(false)
    }
    /// Everything below `offset` is published; never moves back within a generation.
    async fn published(&self, epoch: u64, offset: u64) -> Result<(), LedgerError>;
    /// Keeps a snapshot; older ones beyond the newest three may go. It is megabytes: it takes no connection or lock that
    /// [`Ledger::commit`] waits for.
    async fn save_snapshot(&self, snapshot: &Snapshot) -> Result<(), LedgerError>;
    /// Rewrites the projection rows from the fold, in one fenced transaction (`flashsale ledger repair`).
    async fn rewrite(&self, epoch: u64, writer: Uuid, rows: &LedgerRows) -> Result<bool, LedgerError>;
}

/// A state at an offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The log's generation.
    pub generation: u32,
    /// The offset of the next record to fold.
    pub next_offset: u64,
    /// The state's digest.
    pub digest: u64,
    /// The state, postcard.
    pub state: Bytes,
}

/// One audit row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Offsets `first_offset..next_offset` were folded.
    pub first_offset: u64,
    /// See `first_offset`.
    pub next_offset: u64,
    /// The log's generation.
    pub generation: u32,
    /// The writer's epoch.
    pub epoch: u64,
    /// The state's digest after it.
    pub digest: u64,
    /// H(records).
    pub records_hash: [u8; 32],
    /// H(previous chain, epoch, first and next offset, H(records), digest).
    pub chain: [u8; 32],
    /// Encoded [`Committed`](crate::record::Committed).
    pub committed: Bytes,
    /// When it was committed, by the ledger's clock, Unix ms. Not part of the chain.
    pub committed_at: i64,
}

/// Every projection row, for the audit and for a repair.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LedgerRows {
    /// `inventory`.
    pub items: Vec<ItemNotice>,
    /// `reservations` with their orders and refunds.
    pub holds: Vec<HoldRow>,
    /// `payments`.
    pub payments: Vec<PaymentView>,
}

/// The ledger as everyone else sees it: never on the writer's connection.
#[async_trait]
pub trait History: Send + Sync {
    /// The `writer` row, or none when there is none yet.
    async fn writer(&self) -> Result<Option<Checkpoint>, LedgerError>;
    /// One reservation.
    async fn hold(&self, hold: HoldNumber) -> Result<Option<HoldRow>, LedgerError>;
    /// The reservation that a request was granted.
    async fn request(&self, request: RequestKey) -> Result<Option<HoldRow>, LedgerError>;
    /// Holds of a subject, newest first, at most `limit`.
    async fn subject(&self, name: &str, limit: u32) -> Result<Vec<HoldRow>, LedgerError>;
    /// Payments of a hold.
    async fn payments(&self, hold: HoldNumber) -> Result<Vec<PaymentView>, LedgerError>;
    /// Payments that the provider still has to be told or asked about.
    async fn open_payments(&self) -> Result<Vec<PaymentView>, LedgerError> {
        let rows = self.rows().await?;
        Ok(rows.payments.into_iter().filter(|paid| paid.state.is_open()).collect())
    }
    /// Audit rows of one generation of the log whose `next_offset` is above `from`, in order, at most `limit`.
    async fn audit(&self, generation: u32, from: u64, limit: u32) -> Result<Vec<AuditRow>, LedgerError>;
    /// The newest snapshot at or below `next_offset`.
    async fn snapshot(&self, next_offset: u64) -> Result<Option<Snapshot>, LedgerError>;
    /// All rows, from one consistent read.
    async fn rows(&self) -> Result<LedgerRows, LedgerError>;
    /// The writer's row and all rows of one moment: no commit lies between them. None: nothing was written yet.
    async fn books(&self) -> Result<Option<(Checkpoint, LedgerRows)>, LedgerError>;
    /// Sums of rows against `inventory`, from one consistent read: the reconciler's own SQL.
    async fn sums(&self) -> Result<Sums, LedgerError>;
    /// Whether a hold or an offer stands beyond its deadline at `now` (Unix ms): a nudge for a tick, no more.
    async fn overdue(&self, now: i64) -> Result<bool, LedgerError> {
        use flashsale_core::HoldStatus::{Held, Offered};
        let rows = self.rows().await?;
        Ok(rows.holds.iter().any(|row| matches!(row.view.status, Held | Offered) && row.view.expires_at <= now))
    }
    /// The gate's row: shut since, by whom, why.
    async fn gate(&self) -> Result<Option<Gate>, LedgerError>;
    /// Shuts or opens the gate's row.
    async fn set_gate(&self, gate: Option<&Gate>) -> Result<(), LedgerError>;
}

/// A shut gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// Unix ms.
    pub since: i64,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Shut because an invariant is violated: opening needs a passing audit.
    pub invariant: bool,
}

/// What the reconciler reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sums {
    /// Where the writer stood in the same read.
    pub next_offset: u64,
    /// An item: (inventory's held and sold, rows' held and sold, total).
    pub items: Vec<ItemSums>,
}

/// One item's sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ItemSums {
    /// Item.
    pub item: u16,
    /// `inventory.total`.
    pub total: i64,
    /// `inventory.held`.
    pub held: i64,
    /// `inventory.sold`.
    pub sold: i64,
    /// Rows held or offered.
    pub rows_held: i64,
    /// Rows confirmed.
    pub rows_sold: i64,
}

/// Where committed events go, in order; may repeat, none is missed.
#[async_trait]
pub trait Events: Send + Sync {
    /// Publishes CloudEvents (JSON, one each); returns once they are safe.
    async fn publish(&self, events: &[Bytes]) -> Result<(), EventsError>;
}

/// The events' log did not take them; they are sent again.
#[derive(Debug, thiserror::Error)]
#[error("the events log is not available: {0}")]
pub struct EventsError(pub String);

/// How urgent a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Wake someone.
    Page,
    /// Say it.
    Notice,
}

/// Tells people. Never blocks the sale; an adapter bounds its own queue and drops with a log line.
pub trait Notifier: Send + Sync {
    /// One message; `key` tells repeats of one trouble apart from new ones.
    fn notify(&self, severity: Severity, key: &str, text: &str);
}

/// The wall clock and a monotonic one: a port, so that the simulator owns time.
pub trait Clock: Send + Sync {
    /// Unix ms.
    fn now(&self) -> i64;
    /// Since some fixed moment.
    fn monotonic(&self) -> std::time::Duration;
}
