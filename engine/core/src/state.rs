//! The sale's tables, and plain pictures of them.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::change::Changes;
use crate::clock::Clock;
use crate::command::{HaltCause, HaltScope, HoldNumber, ItemIndex, PaymentNumber, Position};
use crate::duplicates::Batches;
use crate::hold::Hold;
use crate::item::Item;
use crate::key::{PaymentKey, RawKeys, RequestKey};
use crate::pace::Pace;
use crate::payment::Payment;
use crate::rules::Rules;
use crate::table::Table;
use crate::view::{HoldStatus, HoldView, ItemStatus, ItemView, PaymentView, Phase, RefundView};

/// How many holds at the head of the queue are looked at for an item's earliest deadline.
const LOOK_AHEAD: usize = 256;

/// The whole state of one sale. Two states folded from the same log are equal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    pub(crate) rules: Rules,
    pub(crate) position: Position,
    pub(crate) clock: Clock,
    pub(crate) epoch: u64,
    pub(crate) schedule: Schedule,
    pub(crate) pace: Pace,
    pub(crate) items: Vec<Item>,
    /// Indexed by hold number.
    pub(crate) holds: Vec<Hold>,
    /// The expired hold that a late payment replaced, by the new one. Rare.
    pub(crate) parents: BTreeMap<HoldNumber, HoldNumber>,
    pub(crate) refunds: BTreeMap<HoldNumber, RefundView>,
    /// Grants and places in the waitlist by request; refused requests are not remembered.
    pub(crate) requests: Table,
    /// By hold number; zeros, and not in the table, for a hold that no request began.
    pub(crate) request_keys: Vec<RequestKey>,
    /// Held + bought + waiting, by customer and item.
    pub(crate) allowance: Table,
    /// Holds in the order their time ends: all last equally long. Ended ones are skipped.
    pub(crate) expiring: VecDeque<HoldNumber>,
    /// Offers with their deadline on the offers' clock, in order.
    pub(crate) offers: VecDeque<(HoldNumber, u64)>,
    /// Indexed by payment number.
    pub(crate) payments: Vec<Payment>,
    pub(crate) payment_keys: HashMap<PaymentKey, PaymentNumber, RawKeys>,
    /// Payments that the provider still has to be told or asked about.
    pub(crate) open_payments: BTreeSet<PaymentNumber>,
    /// How many payments were started, by hold.
    pub(crate) attempts: BTreeMap<HoldNumber, u8>,
    /// Holds and offers that are live, over all items.
    pub(crate) live: u64,
    pub(crate) changes: Changes,
    pub(crate) batches: Batches,
    pub(crate) granted: u64,
    pub(crate) refused: [u64; 13],
    pub(crate) tallied: [u64; 13],
    pub(crate) digest: u64,
}

/// When the sale opens and closes, and what stops it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Schedule {
    pub(crate) armed: bool,
    pub(crate) opens_at: Option<i64>,
    pub(crate) opened_at: Option<i64>,
    /// Set by an extension; else opening plus duration.
    pub(crate) closes_at: Option<i64>,
    pub(crate) closed_at: Option<i64>,
    pub(crate) halt: Option<(HaltScope, HaltCause)>,
}

impl State {
    /// The state at the log's first record, whose broker timestamp (Unix ms) is `timestamp`.
    #[must_use]
    pub fn new(rules: Rules, timestamp: i64) -> Self {
        let mut state = Self {
            position: Position::default(),
            clock: Clock::new(timestamp),
            epoch: 0,
            schedule: Schedule {
                armed: false,
                opens_at: rules.opens_at,
                opened_at: None,
                closes_at: None,
                closed_at: None,
                halt: None,
            },
            pace: Pace::new(rules.pace),
            items: rules.items.iter().map(Item::new).collect(),
            holds: Vec::new(),
            parents: BTreeMap::new(),
            refunds: BTreeMap::new(),
            requests: Table::default(),
            request_keys: Vec::new(),
            allowance: Table::default(),
            expiring: VecDeque::new(),
            offers: VecDeque::new(),
            payments: Vec::new(),
            payment_keys: HashMap::default(),
            open_payments: BTreeSet::new(),
            attempts: BTreeMap::new(),
            live: 0,
            changes: Changes::default(),
            batches: Batches::default(),
            granted: 0,
            refused: [0; 13],
            tallied: [0; 13],
            digest: 0,
            rules,
        };
        state.digest = state.recount_digest();
        state
    }

    /// Whether a gateway's batch is new: false when (gateway, boot) had this number or a higher one. Records it.
    pub fn accept_batch(&mut self, gateway: u32, boot: u64, number: u64) -> bool {
        self.batches.accept(gateway, boot, number)
    }

    /// The rules.
    #[must_use]
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// A wrapping sum of a mixed word per hold, item and payment: independent of batches and of map order.
    #[must_use]
    pub const fn digest(&self) -> u64 {
        self.digest
    }

    /// Log time, ms; it starts at the first record's timestamp.
    #[must_use]
    pub const fn log_time(&self) -> u64 {
        self.clock.now()
    }

    /// The last command folded.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.position
    }

    /// The highest epoch whose takeover was folded.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Log time stands still, and checkout with it.
    pub(crate) const fn frozen(&self) -> bool {
        matches!(self.schedule.halt, Some((HaltScope::All, _)))
    }

    /// The phase: closed, else halted, else live, else upcoming.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        let schedule = &self.schedule;
        match (schedule.closed_at, schedule.halt, schedule.opened_at) {
            (Some(_), _, _) => Phase::Closed,
            (_, Some(_), _) => Phase::Halted,
            (_, _, Some(_)) => Phase::Live,
            _ => Phase::Upcoming,
        }
    }

    /// It may open when its time comes.
    #[must_use]
    pub const fn armed(&self) -> bool {
        self.schedule.armed
    }

    /// What is halted, and by whom.
    #[must_use]
    pub const fn halt(&self) -> Option<(HaltScope, HaltCause)> {
        self.schedule.halt
    }

    /// Units a second.
    #[must_use]
    pub const fn pace(&self) -> Option<u32> {
        self.pace.rate()
    }

    /// When it opens, Unix ms; none: as soon as it is armed.
    #[must_use]
    pub const fn opens_at(&self) -> Option<i64> {
        self.schedule.opens_at
    }

    /// When it opened, Unix ms.
    #[must_use]
    pub const fn opened_at(&self) -> Option<i64> {
        self.schedule.opened_at
    }

    /// When it closes by itself, Unix ms; none while that is not known.
    #[must_use]
    pub fn closes_at(&self) -> Option<i64> {
        let duration = i64::try_from(self.rules.duration_ms).unwrap_or(i64::MAX);
        let opening = self.schedule.opened_at.or(self.schedule.opens_at);
        self.schedule.closes_at.or_else(|| opening.map(|at| at.saturating_add(duration)))
    }

    /// When it closed, Unix ms.
    #[must_use]
    pub const fn closed_at(&self) -> Option<i64> {
        self.schedule.closed_at
    }

    /// Closed, no hold or offer live, no payment open: nothing can change but refunds.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.schedule.closed_at.is_some() && self.live == 0 && self.open_payments.is_empty()
    }

    /// One item's numbers.
    #[must_use]
    pub fn item(&self, item: ItemIndex) -> Option<ItemView> {
        let numbers = self.items.get(usize::from(item))?;
        let available = numbers.available();
        let status = match self.phase() {
            Phase::Closed => ItemStatus::Closed,
            Phase::Halted => ItemStatus::Halted,
            Phase::Upcoming => ItemStatus::Upcoming,
            Phase::Live if numbers.gone() => ItemStatus::SoldOut,
            Phase::Live if available == 0 => ItemStatus::AllHeld,
            Phase::Live => ItemStatus::Live,
        };
        Some(ItemView {
            item,
            stock: numbers.stock,
            shortage: numbers.shortage,
            held: numbers.held,
            sold: numbers.sold,
            waiting: numbers.waiting,
            available,
            status,
            earliest_deadline: self.earliest_deadline(item),
        })
    }

    /// Every item's numbers, in order.
    pub fn items(&self) -> impl Iterator<Item = ItemView> + '_ {
        (0..self.items.len()).filter_map(|item| self.item(ItemIndex::try_from(item).ok()?))
    }

    /// One hold.
    #[must_use]
    pub fn hold(&self, hold: HoldNumber) -> Option<HoldView> {
        let held = self.holds.get(hold as usize)?;
        Some(HoldView {
            hold,
            subject: held.subject,
            item: held.item,
            status: held.status(),
            since: self.clock.at(held.since),
            expires_at: self.expires_at(held),
            payment: held.payment(),
            parent: self.parents.get(&hold).copied(),
            refund: self.refunds.get(&hold).copied(),
        })
    }

    /// Every hold, in order.
    pub fn holds(&self) -> impl Iterator<Item = HoldView> + '_ {
        (0..self.holds.len()).filter_map(|hold| self.hold(HoldNumber::try_from(hold).ok()?))
    }

    /// One payment.
    #[must_use]
    pub fn payment(&self, payment: PaymentNumber) -> Option<PaymentView> {
        self.payments.get(payment as usize).map(|paid| paid.view(payment))
    }

    /// One payment by its key.
    #[must_use]
    pub fn payment_by_key(&self, key: PaymentKey) -> Option<PaymentView> {
        self.payment(*self.payment_keys.get(&key)?)
    }

    /// Every payment, in order.
    pub fn payments(&self) -> impl Iterator<Item = PaymentView> + '_ {
        (0_u32..).zip(&self.payments).map(|(number, paid)| paid.view(number))
    }

    /// Payments that the provider still has to be told or asked about.
    pub fn open_payments(&self) -> impl Iterator<Item = PaymentView> + '_ {
        self.open_payments.iter().filter_map(|number| self.payment(*number))
    }

    /// Reserve decisions: granted (replays apart), and refused in [`Refusal::ALL`](crate::Refusal::ALL) order.
    #[must_use]
    pub const fn decisions(&self) -> (u64, [u64; 13]) {
        (self.granted, self.refused)
    }

    /// Refusals that gateways gave by themselves, in [`Refusal::ALL`](crate::Refusal::ALL) order.
    #[must_use]
    pub const fn tallied(&self) -> [u64; 13] {
        self.tallied
    }

    /// Whether a hold or an offer is due at the present log time: more were due than one command ends.
    #[must_use]
    pub fn has_due(&self) -> bool {
        self.next_due_hold().is_some() || self.next_due_offer().is_some()
    }

    /// The frozen part of a hold's deadline, Unix ms: the same for its first answer and every replay.
    pub(crate) fn expires_at(&self, hold: &Hold) -> i64 {
        let lasting = match hold.status() {
            HoldStatus::Waiting => 0,
            _ if hold.was_offered_last() => self.rules.offer_ms,
            _ => self.rules.hold_ms,
        };
        let since = i64::try_from(self.clock.at(hold.since)).unwrap_or(i64::MAX);
        since + i64::from(lasting) + i64::from(hold.drift)
    }

    fn earliest_deadline(&self, item: ItemIndex) -> Option<i64> {
        self.items.get(usize::from(item)).filter(|numbers| numbers.held > 0)?;
        self.expiring
            .iter()
            .take(LOOK_AHEAD)
            .filter_map(|number| self.holds.get(*number as usize))
            .find(|hold| hold.item == item && hold.status() == HoldStatus::Held)
            .map(|hold| self.expires_at(hold))
    }
}
