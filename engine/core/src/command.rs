//! Everything that can change a sale.

use serde::{Deserialize, Serialize};

use crate::key::{ChangeId, PaymentKey, RequestKey, SubjectKey};

/// A place in [`Rules::items`](crate::Rules::items).
pub type ItemIndex = u16;
/// Holds are numbered from 0 in the order they are granted (or put on the waitlist).
pub type HoldNumber = u32;
/// Payments are numbered from 0 in the order they are started.
pub type PaymentNumber = u32;

/// Where a command stands in the log, over all its generations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    /// Raised when a sale continues on a new log.
    pub generation: u32,
    /// The record.
    pub offset: u64,
    /// The command inside the record.
    pub index: u32,
}

/// One command. Variants are only ever appended: their order is the wire format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Time passes: ends what is due.
    Tick,
    /// A writer took the log over.
    Takeover {
        /** Its fencing epoch. */
        epoch: u64,
    },
    /// Refusals that a gateway gave by itself since its last tally.
    Tally {
        /** Counts by item and refusal. */
        refusals: Vec<Refused>,
    },
    /// The sale may open when its time comes.
    Arm {
        /** Id. */
        change: ChangeId,
    },
    /// The sale opens. Appended by the engine at the opening time.
    Open,
    /// No new reservations; holds may check out until they end.
    Close {
        /** Id. */
        change: ChangeId,
    },
    /// Refuse reserve (and, for [`HaltScope::All`], checkout, while log time stands still).
    Halt {
        /** Id. */
        change: ChangeId,
        /** What stops. */
        scope: HaltScope,
        /** Who stopped it. */
        cause: HaltCause,
    },
    /// Go on after a halt.
    Resume {
        /** Id. */
        change: ChangeId,
    },
    /// Change the pace.
    Pace {
        /** Id. */
        change: ChangeId,
        /** Grants a second; none: no pace. */
        units_per_second: Option<u32>,
    },
    /// Change an item's stock.
    Adjust {
        /** Id. */
        change: ChangeId,
        /** Item. */
        item: ItemIndex,
        /** Units added (or taken, below zero). */
        by: i32,
    },
    /// Units found missing, in all: a number of its own that never breaks the stock check.
    Shortage {
        /** Id. */
        change: ChangeId,
        /** Item. */
        item: ItemIndex,
        /** Units missing in all. */
        units: u32,
    },
    /// Change the opening time, while upcoming.
    Reschedule {
        /** Id. */
        change: ChangeId,
        /** Unix milliseconds. */
        opens_at: i64,
    },
    /// Change the closing time, until closed.
    Extend {
        /** Id. */
        change: ChangeId,
        /** Unix milliseconds. */
        closes_at: i64,
    },
    /// Reserve one unit.
    Reserve {
        /** Request. */
        request: RequestKey,
        /** Who. */
        subject: SubjectKey,
        /** What. */
        item: ItemIndex,
        /** Join the waitlist when all are held. */
        wait: bool,
    },
    /// Turn a waitlist offer into a full hold.
    Claim {
        /** Hold. */
        hold: HoldNumber,
        /** Who. */
        subject: SubjectKey,
    },
    /// Give a hold, an offer or a place in the waitlist back.
    Cancel {
        /** Hold. */
        hold: HoldNumber,
        /** Who. */
        subject: SubjectKey,
    },
    /// A payment attempt begins; appended before the provider hears of it.
    PayStart {
        /** Hold. */
        hold: HoldNumber,
        /** Who. */
        subject: SubjectKey,
        /** Payment. */
        payment: PaymentKey,
    },
    /// The payment is authorized: sell the unit.
    Confirm {
        /** Hold. */
        hold: HoldNumber,
        /** Who. */
        subject: SubjectKey,
        /** Payment. */
        payment: PaymentKey,
    },
    /// The provider captured the money of a confirmed payment.
    Captured {
        /** Payment. */
        payment: PaymentKey,
    },
    /// The provider definitely refused to capture: the order is taken back.
    CaptureFailed {
        /** Payment. */
        payment: PaymentKey,
    },
    /// The provider holds no money for this payment: voided, declined or never authorized.
    Voided {
        /** Payment. */
        payment: PaymentKey,
    },
    /// An order is to be refunded.
    RefundPlan {
        /** Hold. */
        hold: HoldNumber,
        /** The unit goes back on sale. */
        restock: bool,
    },
    /// The provider has been asked.
    RefundSent {
        /** Hold. */
        hold: HoldNumber,
    },
    /// The provider confirmed the refund.
    RefundConfirmed {
        /** Hold. */
        hold: HoldNumber,
    },
}

/// What a halt stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HaltScope {
    /// Reserve and waitlist grants.
    Reserve,
    /// Checkout too; log time stands still, so that open holds lose nothing.
    All,
}

/// Who halted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HaltCause {
    /// A person or a runbook.
    Operator,
    /// A violated invariant; resuming needs a passing audit.
    Invariant,
}

/// Refusals that a gateway answered without asking the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Item.
    pub item: ItemIndex,
    /// Why.
    pub refusal: crate::outcome::Refusal,
    /// How often.
    pub count: u64,
}
