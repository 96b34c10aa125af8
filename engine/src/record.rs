//! The bytes of the log: one version byte, then postcard. Variants and fields are only ever appended.

use compact_str::CompactString;
use flashsale_core::{
    Command, HoldChange, HoldNumber, HoldStatus, ItemIndex, ItemStatus, Outcome, Phase, RequestKey, Rules, SubjectKey,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

/// The version byte of records and decisions.
pub const VERSION: u8 = 1;

/// One record of the commands log; folded whole or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// The first record of a log: the state comes from it, never from a file.
    Define(Define),
    /// What arrived at a gateway (or at the writer) while its last record was on its way.
    Batch(Batch),
    /// The first record of a further generation: the ledger's snapshot to go on from.
    Continue(Continue),
}

/// What a sale is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Define {
    /// The run; the ledger holds the same and refuses another.
    pub run: Uuid,
    /// [`flashsale_core::RULES_VERSION`] of the binary that made it; another refuses to fold.
    pub rules_version: u32,
    /// The rules.
    pub rules: Rules,
    /// The resolved definition as JSON, for people and audits.
    pub definition: String,
}

/// A new log for a sale whose old one is damaged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Continue {
    /// The run.
    pub run: Uuid,
    /// The generation that begins, from 1.
    pub generation: u32,
    /// The state's digest.
    pub digest: u64,
    /// The state, postcard.
    pub state: Vec<u8>,
    /// Who approved, and why.
    pub reason: String,
}

/// Who sent a batch, and which of theirs it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BatchId {
    /// The gateway's number; [`BatchId::WRITER`] for the writer's own commands.
    pub gateway: u32,
    /// Random at the gateway's start.
    pub boot: u64,
    /// Rising from 1.
    pub number: u64,
}

impl BatchId {
    /// The gateway number of the writer itself (ticks, open, payments).
    pub const WRITER: u32 = u32::MAX;
    /// The gateway number of the operator API.
    pub const OPERATOR: u32 = u32::MAX - 1;
    /// The gateway number of the settler.
    pub const SETTLER: u32 = u32::MAX - 2;
}

/// A micro-batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Its identity; the fold drops a batch whose number is not above the last of its (gateway, boot).
    pub id: BatchId,
    /// The commands, in order.
    pub entries: Vec<Entry>,
}

/// A command with the words that core has no use for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The command.
    pub command: Command,
    /// For a reserve: the subject (the token's `sub`), for the ledger's row. For a change: "name: reason".
    pub words: CompactString,
}

/// What one record came to. The audit row carries these, so it is the outbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The writer's epoch.
    pub epoch: u64,
    /// The log's generation.
    pub generation: u32,
    /// The record that was folded.
    pub offset: u64,
    /// The broker's time of it, Unix ms.
    pub timestamp: i64,
    /// Log time after it, ms.
    pub log_time: u64,
    /// Whose batch; none for a `Define`, a `Continue` or a record that was rejected as a whole.
    pub batch: Option<BatchId>,
    /// The batch was a repeat and was dropped: its outcomes are empty and its waiters were answered by the first.
    pub repeated: bool,
    /// One outcome a command, in order.
    pub outcomes: Vec<Outcome>,
    /// Every hold that began or moved on, in order: grants, ends, offers. Events and caches follow from these.
    pub holds: Vec<HoldNotice>,
    /// Items: all of them when the record held a tick or a takeover, else those that changed.
    pub items: Vec<ItemNotice>,
    /// The sale's phase after the record.
    pub phase: Phase,
    /// Every change of phase in the record, in order.
    pub sale: Vec<SaleNotice>,
}

/// The sale's phase changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaleNotice {
    /// Index of the command in the record that did it.
    pub index: u32,
    /// The phase before.
    pub from: Phase,
    /// The phase after.
    pub to: Phase,
    /// Who and why, as the command said it: "name: reason".
    pub words: CompactString,
}

/// What one committed batch of records came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Committed {
    /// The writer's epoch.
    pub epoch: u64,
    /// Offset after the last record.
    pub next_offset: u64,
    /// The state's digest after it.
    pub digest: u64,
    /// The audit chain's head after it.
    pub chain: [u8; 32],
    /// One a record, in order.
    pub decisions: Vec<Decision>,
}

/// A hold that began or moved on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldNotice {
    /// Index of the command in the record that did it.
    pub index: u32,
    /// Hold.
    pub hold: HoldNumber,
    /// How.
    pub change: HoldChange,
    /// Where it stands now.
    pub status: HoldStatus,
    /// Of what.
    pub item: ItemIndex,
    /// Whose.
    pub subject: SubjectKey,
    /// The subject's name; present when the hold began.
    pub name: Option<CompactString>,
    /// The request that was granted; present when the hold began by a request.
    pub request: Option<RequestKey>,
    /// Its deadline, Unix ms.
    pub expires_at: i64,
    /// The expired hold it replaces.
    pub parent: Option<HoldNumber>,
}

/// An item's numbers, with the position that makes the newest win.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemNotice {
    /// Item.
    pub item: ItemIndex,
    /// Units, as defined and adjusted.
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
    /// What shoppers see.
    pub status: ItemStatus,
    /// The earliest deadline among its holds, Unix ms.
    pub earliest_deadline: Option<i64>,
}

/// Why bytes are not a record.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DecodeError {
    /// No bytes.
    #[error("empty record")]
    Empty,
    /// Another version.
    #[error("record version {0}, this binary reads {VERSION}")]
    Version(u8),
    /// Not what the version says.
    #[error("malformed record: {0}")]
    Malformed(String),
}

/// Encodes a [`Record`] or [`Committed`].
///
/// # Errors
/// Never for the types of this module: postcard fails only for lengths it cannot know.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, DecodeError> {
    postcard::to_extend(value, vec![VERSION]).map_err(|error| DecodeError::Malformed(error.to_string()))
}

/// Decodes a [`Record`] or [`Committed`].
///
/// # Errors
/// On any byte sequence that [`encode`] did not make; a poison record is folded as a rejection, never as a crash.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    match bytes.split_first() {
        None => Err(DecodeError::Empty),
        Some((&VERSION, rest)) => match postcard::take_from_bytes(rest) {
            Ok((value, [])) => Ok(value),
            Ok((_, left)) => Err(DecodeError::Malformed(format!("{} bytes too many", left.len()))),
            Err(error) => Err(DecodeError::Malformed(error.to_string())),
        },
        Some((&other, _)) => Err(DecodeError::Version(other)),
    }
}
