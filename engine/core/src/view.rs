//! Plain pictures of the state, for rows, replies and screens.

use serde::{Deserialize, Serialize};

use crate::command::{HoldNumber, ItemIndex, PaymentNumber};
use crate::key::{PaymentKey, SubjectKey};

/// Where a hold stands. Variants are only ever appended: their order is the wire format and the ledger's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum HoldStatus {
    /// In the waitlist.
    Waiting = 0,
    /// A unit waits for this customer to claim it.
    Offered = 1,
    /// A unit is held.
    Held = 2,
    /// Sold.
    Confirmed = 3,
    /// Given back.
    Cancelled = 4,
    /// Its time is over.
    Expired = 5,
    /// Sold, then taken back because the capture was refused.
    Failed = 6,
    /// Sold, then refunded.
    Refunded = 7,
}

impl HoldStatus {
    /// Every status, in number order.
    pub const ALL: [Self; 8] = [
        Self::Waiting,
        Self::Offered,
        Self::Held,
        Self::Confirmed,
        Self::Cancelled,
        Self::Expired,
        Self::Failed,
        Self::Refunded,
    ];
}

/// How far a refund is. Variants are only ever appended: their order is the ledger's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum RefundState {
    /// Named, nothing sent.
    Planned = 0,
    /// The provider was asked.
    Sent = 1,
    /// The provider confirmed.
    Confirmed = 2,
}

impl RefundState {
    /// Every state, in number order.
    pub const ALL: [Self; 3] = [Self::Planned, Self::Sent, Self::Confirmed];
}

/// Where a payment stands. Variants are only ever appended: their order is the ledger's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum PaymentState {
    /// Begun: the provider may or may not have authorized it.
    Started = 0,
    /// The sale took it: to be captured.
    Confirmed = 1,
    /// The money is the shop's.
    Captured = 2,
    /// The sale did not take it, or the order was taken back: to be voided.
    ToVoid = 3,
    /// No money is held.
    Voided = 4,
}

impl PaymentState {
    /// Every state, in number order.
    pub const ALL: [Self; 5] = [Self::Started, Self::Confirmed, Self::Captured, Self::ToVoid, Self::Voided];

    /// Whether the provider still has to be told or asked something.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Started | Self::Confirmed | Self::ToVoid)
    }
}

/// One hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldView {
    /// Number.
    pub hold: HoldNumber,
    /// Whose.
    pub subject: SubjectKey,
    /// Of what.
    pub item: ItemIndex,
    /// Where it stands.
    pub status: HoldStatus,
    /// Since when it is held, offered or waiting: log time, ms.
    pub since: u64,
    /// When it ends (or ended, by plan), Unix ms; for a waiting one, when it began to wait.
    pub expires_at: i64,
    /// The payment that bought it.
    pub payment: Option<PaymentNumber>,
    /// The expired hold that a late payment replaced by this one.
    pub parent: Option<HoldNumber>,
    /// Its refund.
    pub refund: Option<RefundView>,
}

/// One refund.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundView {
    /// How far.
    pub state: RefundState,
    /// Whether the unit goes back on sale.
    pub restock: bool,
}

/// One payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentView {
    /// Number.
    pub payment: PaymentNumber,
    /// Key; the provider's idempotency key.
    pub key: PaymentKey,
    /// The hold it was started for.
    pub hold: HoldNumber,
    /// The hold that it bought, once confirmed: another than `hold` for a late payment.
    pub bought: Option<HoldNumber>,
    /// Where it stands.
    pub state: PaymentState,
}

/// The sale's phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Not yet open.
    Upcoming,
    /// Open.
    Live,
    /// Stopped for now.
    Halted,
    /// No new reservations; open holds may still check out.
    Closed,
}

/// What shoppers see of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemStatus {
    /// Not yet open.
    Upcoming,
    /// Units are available.
    Live,
    /// None is available, some may come back.
    AllHeld,
    /// All are sold.
    SoldOut,
    /// Stopped for now.
    Halted,
    /// Over.
    Closed,
}

/// One item's numbers. `available` is what a plain reserve can get: zero while anyone waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemView {
    /// Item.
    pub item: ItemIndex,
    /// Units, as defined and adjusted.
    pub stock: u32,
    /// Units of these found missing, or withdrawn by refunds without restock.
    pub shortage: u32,
    /// Units held or offered.
    pub held: u32,
    /// Units sold and not refunded.
    pub sold: u32,
    /// Places taken in the waitlist.
    pub waiting: u32,
    /// Units that a plain reserve can get now.
    pub available: u32,
    /// What shoppers see.
    pub status: ItemStatus,
    /// The earliest deadline among its holds, Unix ms.
    pub earliest_deadline: Option<i64>,
}
