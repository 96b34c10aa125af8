//! Safeguards that can be taken away, one at a time, to show that the simulator notices: in the simulator's own ports and
//! wiring, or in the core by the cargo feature `switches`, which the product is built without.

use flashsale_core::switch::Safeguard;

/// One safeguard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// The ledger takes every commit for one of the writer that its row names.
    Fence,
    /// A unit is granted whether or not one is free.
    StockCheck,
    /// A request that was granted is decided once more.
    RequestMemory,
    /// A batch that was folded is folded once more.
    BatchNumbers,
    /// The publisher begins at what is committed, not at what the audit rows say is not published yet.
    AuditOutbox,
    /// The ledger gives the hash of whatever record stands in the log for that of the record it folded last.
    LogHash,
    /// Gateways answer from a flag without looking the request's id up.
    LookupBeforeFlag,
    /// A confirmed hold is confirmed to whatever payment asks.
    PaymentId,
}

impl Switch {
    /// Every switch.
    pub const ALL: [Self; 8] = [
        Self::Fence,
        Self::StockCheck,
        Self::RequestMemory,
        Self::BatchNumbers,
        Self::AuditOutbox,
        Self::LogHash,
        Self::LookupBeforeFlag,
        Self::PaymentId,
    ];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fence => "fence",
            Self::StockCheck => "stock-check",
            Self::RequestMemory => "request-memory",
            Self::BatchNumbers => "batch-numbers",
            Self::AuditOutbox => "audit-outbox",
            Self::LogHash => "log-hash",
            Self::LookupBeforeFlag => "lookup-before-flag",
            Self::PaymentId => "payment-id",
        }
    }

    /// The safeguard of the core that it takes away, if it is one of the core's.
    pub const fn of_core(self) -> Option<Safeguard> {
        match self {
            Self::StockCheck => Some(Safeguard::StockCheck),
            Self::RequestMemory => Some(Safeguard::RequestMemory),
            Self::BatchNumbers => Some(Safeguard::BatchNumbers),
            Self::PaymentId => Some(Safeguard::PaymentId),
            Self::Fence | Self::AuditOutbox | Self::LogHash | Self::LookupBeforeFlag => None,
        }
    }

    /// What it takes away.
    pub const fn takes(self) -> &'static str {
        match self {
            Self::Fence => "the ledger's compare-and-swap of epoch, writer, offset and digest",
            Self::StockCheck => "the comparison of a grant with the stock",
            Self::RequestMemory => "the memory of granted request ids",
            Self::BatchNumbers => "the memory of folded batch numbers",
            Self::AuditOutbox => "publishing from the audit rows what a crash left",
            Self::LogHash => "the hash of the last folded record",
            Self::LookupBeforeFlag => "the look-up of a request's id before a flag answers it",
            Self::PaymentId => "the payment's id in confirm",
        }
    }
}
