//! Safeguards that a simulator can take away, one at a time, to show that it notices. Without the cargo feature `switches`
//! every one of them stands, and nothing here is compiled but that.

/// A safeguard of the state machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Safeguard {
    /// A unit is granted only if one is free.
    StockCheck,
    /// A request that was granted gets the same reservation again.
    RequestMemory,
    /// A batch that was folded is dropped when it comes again.
    BatchNumbers,
    /// A confirmed hold is confirmed again only to the payment that bought it.
    PaymentId,
}

/// Whether it stands: always.
#[cfg(not(feature = "switches"))]
#[inline(always)]
pub(crate) const fn stands(_safeguard: Safeguard) -> bool {
    true
}

#[cfg(feature = "switches")]
thread_local! {
    static TAKEN: std::cell::Cell<Option<Safeguard>> = const { std::cell::Cell::new(None) };
}

/// Takes one away from every state that this thread folds, and puts all others back.
#[cfg(feature = "switches")]
pub fn take_away(safeguard: Option<Safeguard>) {
    TAKEN.set(safeguard);
}

/// Whether it stands on this thread.
#[cfg(feature = "switches")]
pub(crate) fn stands(safeguard: Safeguard) -> bool {
    TAKEN.get() != Some(safeguard)
}
