//! The sale again, by other code than the product's: every number is counted anew from a plain list of holds, so slow
//! and so simple that it can be read as the rules. The product's decisions are compared with it, one by one.

mod change;
mod hold;
mod money;

use std::collections::{BTreeMap, BTreeSet};

use flashsale_core::{
    ChangeId, Command, HaltCause, HaltScope, HoldNumber, HoldStatus, Outcome, PaymentKey, PaymentState, Phase,
    RefundState, Refusal, RequestKey, Rules, SubjectKey,
};
use flashsale_engine::ports::LogRecord;
use flashsale_engine::record::{BatchId, Record, decode};

/// A hold as the rules see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    pub subject: SubjectKey,
    pub item: u16,
    pub status: HoldStatus,
    /// Log time at which it was begun, offered or put in line.
    pub since: u64,
    /// The broker's time at that moment less log time.
    drift: i64,
    /// The last thing begun was an offer.
    offered: bool,
    /// When an offer ends, on the clock of offers.
    offer_ends: u64,
    /// Holds end in this order when they are due together.
    begun: u64,
    pub payment: Option<usize>,
    pub refund: Option<(RefundState, bool)>,
    attempts: u32,
}

/// A payment as the rules see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    pub key: PaymentKey,
    pub hold: HoldNumber,
    pub bought: Option<HoldNumber>,
    pub state: PaymentState,
}

#[derive(Debug, Clone)]
struct Item {
    stock: i64,
    shortage: i64,
    per_customer: u64,
}

/// Something that an event must tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happened {
    pub offset: u64,
    pub index: u32,
    pub kind: &'static str,
}

/// What a record came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Came {
    /// It is no batch: nothing changed but the beginning.
    Nothing,
    /// The batch had come before.
    Repeated,
    /// Its commands came to this.
    To(Vec<Outcome>),
}

/// The sale.
#[derive(Debug, Clone)]
pub struct Oracle {
    hold_ms: u64,
    offer_ms: u64,
    items: Vec<Item>,
    pub holds: Vec<Hold>,
    /// Hold and offset by granted request.
    pub requests: BTreeMap<RequestKey, (HoldNumber, u64)>,
    pub payments: Vec<Payment>,
    changes: BTreeSet<ChangeId>,
    batches: BTreeMap<(u32, u64), u64>,
    began: bool,
    now: u64,
    last: i64,
    offers_now: u64,
    pace: Option<u64>,
    tokens: u64,
    armed: bool,
    opened: Option<i64>,
    closed: bool,
    halt: Option<(HaltScope, HaltCause)>,
    opens_at: Option<i64>,
    closes_at: Option<i64>,
    order: u64,
    pub tallied: u64,
    /// The offset of the next record.
    pub next: u64,
    pub happened: Vec<Happened>,
    place: (u64, u32),
}

impl Oracle {
    /// Before the first record.
    pub fn new(rules: &Rules) -> Self {
        let item = |item: &flashsale_core::ItemRules| Item {
            stock: i64::from(item.stock),
            shortage: 0,
            per_customer: u64::from(item.per_customer),
        };
        Self {
            hold_ms: u64::from(rules.hold_ms),
            offer_ms: u64::from(rules.offer_ms),
            items: rules.items.iter().map(item).collect(),
            holds: Vec::new(),
            requests: BTreeMap::new(),
            payments: Vec::new(),
            changes: BTreeSet::new(),
            batches: BTreeMap::new(),
            began: false,
            now: 0,
            last: 0,
            offers_now: 0,
            pace: rules.pace.map(u64::from),
            tokens: 1_000,
            armed: false,
            opened: None,
            closed: false,
            halt: None,
            opens_at: rules.opens_at,
            closes_at: None,
            order: 0,
            tallied: 0,
            next: 0,
            happened: Vec::new(),
            place: (0, 0),
        }
    }

    /// Folds the next record.
    pub fn fold(&mut self, record: &LogRecord) -> Came {
        self.next = record.offset + 1;
        let decoded = decode::<Record>(&record.bytes);
        if !self.began {
            self.began = true;
            (self.now, self.last) = (record.timestamp.unsigned_abs(), record.timestamp);
            return Came::Nothing;
        }
        let Ok(Record::Batch(batch)) = decoded else { return Came::Nothing };
        let BatchId { gateway, boot, number } = batch.id;
        if self.batches.get(&(gateway, boot)).is_some_and(|last| number <= *last) {
            return Came::Repeated;
        }
        self.batches.insert((gateway, boot), number);
        let mut outcomes = Vec::new();
        for (index, entry) in (0..).zip(&batch.entries) {
            self.place = (record.offset, index);
            self.pass(record.timestamp);
            let before = self.phase();
            outcomes.push(self.command(&entry.command));
            self.tell_phase(before);
        }
        Came::To(outcomes)
    }

    fn command(&mut self, command: &Command) -> Outcome {
        match *command {
            Command::Tick | Command::Takeover { .. } => Outcome::Done,
            Command::Tally { ref refusals } => {
                self.tallied += refusals.iter().map(|refused| refused.count).sum::<u64>();
                Outcome::Done
            }
            Command::Open => self.open(),
            Command::Arm { change } => self.once(change, Self::arm),
            Command::Close { change } => self.once(change, Self::close),
            Command::Halt { change, scope, cause } => self.once(change, |sale| sale.halt(scope, cause)),
            Command::Resume { change } => self.once(change, Self::resume),
            Command::Pace { change, units_per_second } => {
                self.once(change, |sale| sale.set_pace(units_per_second.map(u64::from)))
            }
            Command::Adjust { change, item, by } => self.once(change, |sale| sale.adjust(item, i64::from(by))),
            Command::Shortage { change, item, units } => {
                self.once(change, |sale| sale.set_shortage(item, i64::from(units)))
            }
            Command::Reschedule { change, opens_at } => self.once(change, |sale| sale.reschedule(opens_at)),
            Command::Extend { change, closes_at } => self.once(change, |sale| sale.extend(closes_at)),
            Command::Reserve { request, subject, item, wait } => self.reserve(request, subject, item, wait),
            Command::Claim { hold, subject } => self.claim(hold, subject),
            Command::Cancel { hold, subject } => self.cancel(hold, subject),
            Command::PayStart { hold, subject, payment } => self.pay_start(hold, subject, payment),
            Command::Confirm { hold, subject, payment } => self.confirm(hold, subject, payment),
            Command::Captured { payment } => self.captured(payment),
            Command::CaptureFailed { payment } => self.capture_failed(payment),
            Command::Voided { payment } => self.voided(payment),
            Command::RefundPlan { hold, restock } => self.refund_plan(hold, restock),
            Command::RefundSent { hold } => self.refund_sent(hold),
            Command::RefundConfirmed { hold } => self.refund_confirmed(hold),
        }
    }

    /// Time passes with a record, and what is due ends.
    fn pass(&mut self, timestamp: i64) {
        let step = timestamp.saturating_sub(self.last).clamp(0, 1_000).unsigned_abs();
        self.last = timestamp;
        if !self.frozen() {
            self.now += step;
            if self.halt.is_none() {
                self.offers_now += step;
            }
            if let Some(rate) = self.pace {
                self.tokens = (self.tokens + rate * step).min(self.bucket());
            }
        }
        while let Some(due) = self.due() {
            self.end(due, HoldStatus::Expired, "reservation.expired");
        }
    }

    /// The sale's phase: closed outranks halted, halted outranks the rest.
    pub fn phase(&self) -> Phase {
        match (self.closed, self.halt, self.opened) {
            (true, _, _) => Phase::Closed,
            (_, Some(_), _) => Phase::Halted,
            (_, _, Some(_)) => Phase::Live,
            _ => Phase::Upcoming,
        }
    }

    fn frozen(&self) -> bool {
        matches!(self.halt, Some((HaltScope::All, _)))
    }

    fn tell(&mut self, kind: &'static str) {
        let (offset, index) = self.place;
        self.happened.push(Happened { offset, index, kind });
    }

    fn tell_phase(&mut self, before: Phase) {
        let after = self.phase();
        if before != after {
            self.tell(match (before, after) {
                (_, Phase::Closed) => "sale.closed",
                (_, Phase::Halted) => "sale.halted",
                (Phase::Halted, _) => "sale.resumed",
                _ => "sale.opened",
            });
        }
    }

    /// Holds of an item that stand so.
    pub fn count(&self, item: u16, statuses: &[HoldStatus]) -> i64 {
        let holds = self.holds.iter().filter(|hold| hold.item == item && statuses.contains(&hold.status));
        i64::try_from(holds.count()).unwrap_or(i64::MAX)
    }

    /// [stock, shortage, held, sold, waiting] of an item.
    pub fn numbers(&self, item: u16) -> Option<[i64; 5]> {
        let known = self.items.get(usize::from(item))?;
        let held = self.count(item, &[HoldStatus::Held, HoldStatus::Offered]);
        let sold = self.count(item, &[HoldStatus::Confirmed]);
        Some([known.stock, known.shortage, held, sold, self.count(item, &[HoldStatus::Waiting])])
    }

    /// The most that one customer may have of an item.
    pub fn limit(&self, item: u16) -> u64 {
        self.items.get(usize::from(item)).map_or(0, |item| item.per_customer)
    }

    /// How many items there are.
    pub fn items(&self) -> u16 {
        u16::try_from(self.items.len()).unwrap_or(u16::MAX)
    }

    /// Units that nobody has and that are there.
    fn free(&self, item: u16) -> i64 {
        self.numbers(item).map_or(0, |[stock, shortage, held, sold, _]| (stock - shortage - held - sold).max(0))
    }

    /// Units that a plain reserve can get: none while anyone waits.
    pub fn available(&self, item: u16) -> i64 {
        if self.count(item, &[HoldStatus::Waiting]) > 0 { 0 } else { self.free(item) }
    }

    fn once(&mut self, change: ChangeId, make: impl FnOnce(&mut Self) -> Outcome) -> Outcome {
        if self.changes.contains(&change) {
            return Outcome::Unchanged;
        }
        let outcome = make(self);
        if outcome == Outcome::Done {
            self.changes.insert(change);
        }
        outcome
    }
}

const fn no(refusal: Refusal) -> Outcome {
    Outcome::Refused(refusal)
}
