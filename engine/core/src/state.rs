//! The sale's tables. SKELETON: the signatures are the contract; the bodies and fields are to be written.

use serde::{Deserialize, Serialize};

use crate::command::{Command, HoldNumber, ItemIndex, PaymentNumber, Position};
use crate::key::{PaymentKey, RequestKey};
use crate::outcome::{Effect, Outcome};
use crate::rules::Rules;
use crate::view::{HoldView, ItemView, PaymentView, Phase};

/// The whole state of one sale.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    rules: Rules,
}

#[allow(unused_variables, missing_docs, clippy::missing_errors_doc, clippy::unused_self)]
impl State {
    /// The state at the log's first record, whose broker timestamp (Unix ms) is `timestamp`.
    #[must_use]
    pub fn new(rules: Rules, timestamp: i64) -> Self {
        Self { rules }
    }

    /// Folds one command. `timestamp` is its record's, Unix ms. What changed is appended to `effects`.
    pub fn apply(
        &mut self,
        position: Position,
        timestamp: i64,
        command: &Command,
        effects: &mut Vec<Effect>,
    ) -> Outcome {
        Outcome::Done
    }

    /// Whether a gateway's batch is new: false when (gateway, boot) had this number or a higher one. Records it.
    pub fn accept_batch(&mut self, gateway: u32, boot: u64, number: u64) -> bool {
        true
    }

    pub fn rules(&self) -> &Rules {
        &self.rules
    }
    /// A wrapping sum of a mixed word per hold, item and payment.
    pub fn digest(&self) -> u64 {
        0
    }
    /// Log time, ms: starts at the first record's timestamp.
    pub fn log_time(&self) -> u64 {
        0
    }
    pub fn position(&self) -> Position {
        Position::default()
    }
    /// The epoch of the last takeover folded.
    pub fn epoch(&self) -> u64 {
        0
    }
    pub fn phase(&self) -> Phase {
        Phase::Upcoming
    }
    pub fn armed(&self) -> bool {
        false
    }
    pub fn halt(&self) -> Option<(crate::HaltScope, crate::HaltCause)> {
        None
    }
    pub fn pace(&self) -> Option<u32> {
        None
    }
    pub fn opens_at(&self) -> Option<i64> {
        None
    }
    /// When it opened, Unix ms.
    pub fn opened_at(&self) -> Option<i64> {
        None
    }
    /// When it closes by itself, Unix ms; none until it opened or has a fixed opening time.
    pub fn closes_at(&self) -> Option<i64> {
        None
    }
    pub fn closed_at(&self) -> Option<i64> {
        None
    }
    /// Closed, no hold or offer live, no payment open: nothing can change but refunds.
    pub fn ended(&self) -> bool {
        false
    }
    pub fn item(&self, item: ItemIndex) -> Option<ItemView> {
        None
    }
    pub fn items(&self) -> impl Iterator<Item = ItemView> + '_ {
        std::iter::empty()
    }
    pub fn hold(&self, hold: HoldNumber) -> Option<HoldView> {
        None
    }
    pub fn holds(&self) -> impl Iterator<Item = HoldView> + '_ {
        std::iter::empty()
    }
    pub fn payment(&self, payment: PaymentNumber) -> Option<PaymentView> {
        None
    }
    pub fn payment_by_key(&self, key: PaymentKey) -> Option<PaymentView> {
        None
    }
    pub fn payments(&self) -> impl Iterator<Item = PaymentView> + '_ {
        std::iter::empty()
    }
    pub fn open_payments(&self) -> impl Iterator<Item = PaymentView> + '_ {
        std::iter::empty()
    }
    /// The hold that a request was granted, or its place in the waitlist.
    pub fn granted(&self, request: RequestKey) -> Option<HoldNumber> {
        None
    }
    pub fn requests(&self) -> impl Iterator<Item = (RequestKey, HoldNumber)> + '_ {
        std::iter::empty()
    }
    /// Reserve decisions granted (replays apart), and refused by refusal in `Refusal::ALL` order.
    pub fn decisions(&self) -> (u64, [u64; 13]) {
        (0, [0; 13])
    }
    /// Refusals that gateways gave by themselves, in `Refusal::ALL` order.
    pub fn tallied(&self) -> [u64; 13] {
        [0; 13]
    }
    /// Whether any hold, offer or waitlist deadline is due at the present log time (more than one command could end).
    pub fn has_due(&self) -> bool {
        false
    }
    /// I1 over the items: constant time a item, for every batch. The text names what is violated.
    pub fn check(&self) -> Result<(), String> {
        Ok(())
    }
    /// I1, I3, I4 and every table against every other, by recounting. Linear: for tests, simulator, audit.
    pub fn check_all(&self) -> Result<(), String> {
        Ok(())
    }
}
