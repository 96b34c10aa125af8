//! What a command came to. A refusal is an answer, never an error.

use serde::{Deserialize, Serialize};

use crate::command::{HoldNumber, ItemIndex, PaymentNumber};

/// The answer to one command. Variants are only ever appended: their order is the wire format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It happened.
    Done,
    /// It had happened before; nothing changed.
    Unchanged,
    /// A unit is held.
    Granted {
        /** Hold. */
        hold: HoldNumber,
        /** Its deadline, Unix milliseconds. */
        expires_at: i64,
        /** This request was granted before. */
        replayed: bool,
    },
    /// A place in the waitlist.
    Waiting {
        /** Hold. */
        hold: HoldNumber,
        /** This request was answered so before. */
        replayed: bool,
    },
    /// The payment attempt is open.
    PaymentStarted {
        /** Payment. */
        payment: PaymentNumber,
    },
    /// Sold. The hold is another than asked for when a late payment got a fresh unit.
    Confirmed {
        /** Hold. */
        hold: HoldNumber,
        /** The same payment had confirmed it before. */
        replayed: bool,
    },
    /// The sale does not take this payment: void it.
    VoidPayment {
        /** Why. */
        refusal: Refusal,
    },
    /// No.
    Refused(Refusal),
}

/// Why a command was refused. Variants are only ever appended: their order is the wire format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// Every unit is sold.
    SoldOut,
    /// Every unit is sold or held; some may come back.
    AllHeld,
    /// This customer has as many as one customer may have.
    LimitReached,
    /// The sale has not opened.
    NotOpen,
    /// The sale is closed.
    Closed,
    /// The sale is halted.
    Halted,
    /// Faster than the pace.
    Paced,
    /// No such item, hold, payment or order, or a stranger's.
    NotFound,
    /// The request id was used for another item.
    IdempotencyMismatch,
    /// Another payment bought it.
    AlreadyPaid,
    /// The hold's time is over, or it was given back.
    HoldExpired,
    /// Too many payment attempts on one hold.
    PaymentLimit,
    /// The change cannot be made in the sale's present state.
    Impossible,
}

impl Refusal {
    /// Every refusal, in wire order.
    pub const ALL: [Self; 13] = [
        Self::SoldOut,
        Self::AllHeld,
        Self::LimitReached,
        Self::NotOpen,
        Self::Closed,
        Self::Halted,
        Self::Paced,
        Self::NotFound,
        Self::IdempotencyMismatch,
        Self::AlreadyPaid,
        Self::HoldExpired,
        Self::PaymentLimit,
        Self::Impossible,
    ];

    /// The code that shoppers and operators see.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::SoldOut => "sold_out",
            Self::AllHeld => "all_held",
            Self::LimitReached => "limit_reached",
            Self::NotOpen => "not_open",
            Self::Closed => "closed",
            Self::Halted => "halted",
            Self::Paced => "paced",
            Self::NotFound => "not_found",
            Self::IdempotencyMismatch => "idempotency_mismatch",
            Self::AlreadyPaid => "already_paid",
            Self::HoldExpired => "hold_expired",
            Self::PaymentLimit => "payment_limit",
            Self::Impossible => "impossible",
        }
    }
}

/// What changed, in order: the ledger's rows, the events and the cache all follow from these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// A hold began or moved on.
    Hold {
        /** Hold. */
        hold: HoldNumber,
        /** How. */
        change: HoldChange,
    },
    /// A payment began or moved on.
    Payment {
        /** Payment. */
        payment: PaymentNumber,
    },
    /// An item's numbers changed.
    Item {
        /** Item. */
        item: ItemIndex,
    },
    /// Phase, pace, schedule or arming changed.
    Sale,
}

/// How a hold moved on. Variants are only ever appended: their order is the wire format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldChange {
    /// A unit is held.
    Reserved,
    /// A place in the waitlist.
    Waiting,
    /// A released unit waits for this customer.
    Offered,
    /// The offer became a hold.
    Claimed,
    /// Its time is over.
    Expired,
    /// Given back.
    Cancelled,
    /// Sold.
    Confirmed,
    /// The capture was refused; the order is taken back.
    Failed,
    /// A refund is planned.
    RefundPlanned,
    /// A refund was asked for.
    RefundSent,
    /// The money went back.
    Refunded,
}
