//! What a sale's definition says to the state machine: plain numbers, no names.

use serde::{Deserialize, Serialize};

/// The version of the rules that [`apply`](crate::State::apply) implements. A log made under another is not folded.
pub const RULES_VERSION: u32 = 1;

/// The rules of one sale. Durations are milliseconds of log time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// The items on sale; an [`ItemIndex`](crate::ItemIndex) is a place in this list. At least one.
    pub items: Vec<ItemRules>,
    /// How long a hold lasts. The customer's figure is 120,000.
    pub hold_ms: u32,
    /// How long a released unit waits for the head of the waitlist: 20,000.
    pub offer_ms: u32,
    /// Grants a second, or none for as fast as they come.
    pub pace: Option<u32>,
    /// When the sale opens, in Unix milliseconds; none: as soon as it is armed.
    pub opens_at: Option<i64>,
    /// From opening to closing.
    pub duration_ms: u64,
}

/// The rules of one item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemRules {
    /// Units for sale.
    pub stock: u32,
    /// The most that one customer may hold, have bought and wait for, together.
    pub per_customer: u16,
}
