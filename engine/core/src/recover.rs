//! A state from the ledger's rows, for a log that lost its tail. What rows do not say (the pace, ids of changes, places
//! in queues of equal age) is as an earlier state of the same sale had it, or as it follows from the rows' order.

use crate::command::{HaltCause, HaltScope, HoldNumber, PaymentNumber, Position};
use crate::hold::Hold;
use crate::key::RequestKey;
use crate::outcome::{Outcome, Refusal};
use crate::state::State;
use crate::table::Table;
use crate::view::{HoldStatus, HoldView, PaymentView, Phase};

/// A record whose commands are lost and whose decision is not.
#[derive(Debug, Clone)]
pub struct Passed<'a> {
    /// Where it stood; the index is its last command's.
    pub position: Position,
    /// The broker's time of it, Unix ms.
    pub timestamp: i64,
    /// Log time after it, ms.
    pub log_time: u64,
    /// The writer's epoch.
    pub epoch: u64,
    /// Gateway, boot and number of its batch.
    pub batch: Option<(u32, u64, u64)>,
    /// Requests that it granted.
    pub granted: u64,
    /// Its outcomes, when shoppers asked for them.
    pub outcomes: &'a [Outcome],
    /// Changes of phase in it, in order: from, to.
    pub phases: Vec<(Phase, Phase)>,
}

/// What the ledger's rows say.
#[derive(Debug, Clone, Default)]
pub struct Tables {
    /// Stock, shortage, held, sold and waiting of each item, in order.
    pub items: Vec<[u32; 5]>,
    /// Every hold, in order.
    pub holds: Vec<HoldView>,
    /// Every payment, in order.
    pub payments: Vec<PaymentView>,
    /// Every request that was granted.
    pub requests: Vec<(RequestKey, HoldNumber)>,
}

impl State {
    /// Moves clocks, phase and counts on over a record whose commands are lost. The tables stand until
    /// [`State::adopt`].
    pub fn pass(&mut self, passed: &Passed<'_>) {
        self.position = passed.position;
        self.epoch = self.epoch.max(passed.epoch);
        let (waited, moved) = (passed.timestamp > self.clock.last_timestamp(), passed.log_time > self.clock.now());
        if let Some((scope, _)) = &mut self.schedule.halt {
            // Which halt it is shows in whether log time goes on.
            match (waited, moved) {
                (_, true) => *scope = HaltScope::Reserve,
                (true, false) => *scope = HaltScope::All,
                (false, false) => {}
            }
        }
        self.clock.pass(passed.timestamp, passed.log_time, self.schedule.halt.is_some());
        for (from, to) in &passed.phases {
            self.pass_phase(*from, *to);
        }
        if let Some((gateway, boot, number)) = passed.batch {
            self.batches.accept(gateway, boot, number);
        }
        self.granted += passed.granted;
        for outcome in passed.outcomes {
            if let Outcome::Refused(refusal) = outcome
                && of_a_reserve(*refusal)
            {
                self.refused[*refusal as usize] += 1;
            }
        }
    }

    fn pass_phase(&mut self, from: Phase, to: Phase) {
        let now = self.clock.last_timestamp();
        let schedule = &mut self.schedule;
        if from == Phase::Halted && to != Phase::Closed {
            schedule.halt = None;
        }
        match to {
            Phase::Upcoming => {}
            // The one under which open holds lose nothing, until log time is seen to go on.
            Phase::Halted => schedule.halt = schedule.halt.or(Some((HaltScope::All, HaltCause::Operator))),
            Phase::Closed => schedule.closed_at = Some(now),
            Phase::Live if schedule.opened_at.is_none() => {
                (schedule.armed, schedule.opened_at) = (true, Some(now));
                self.clock.restart();
            }
            Phase::Live => {}
        }
    }

    /// Takes the ledger's rows for the tables. Whether they are whole is for the caller to see: by the digest, and by
    /// [`State::check_all`].
    ///
    /// # Errors
    /// When rows cannot be this sale's: other items, gaps in the numbers, times before the opening.
    pub fn adopt(&mut self, tables: &Tables) -> Result<(), String> {
        if tables.items.len() != self.items.len() {
            return Err(format!("{} rows of items for {} items", tables.items.len(), self.items.len()));
        }
        for (item, [stock, shortage, held, sold, waiting]) in self.items.iter_mut().zip(&tables.items) {
            (item.stock, item.shortage, item.held) = (*stock, *shortage, *held);
            (item.sold, item.waiting) = (*sold, *waiting);
            item.waitlist.clear();
        }
        self.adopt_payments(&tables.payments)?;
        self.adopt_holds(&tables.holds)?;
        for (request, hold) in &tables.requests {
            if (*hold as usize) < self.holds.len() && self.granted(*request).is_none() {
                self.remember(*request, *hold);
            }
        }
        self.digest = self.recount_digest();
        Ok(())
    }

    fn adopt_payments(&mut self, rows: &[PaymentView]) -> Result<(), String> {
        self.payments.clear();
        self.payment_keys.clear();
        self.open_payments.clear();
        self.attempts.clear();
        for (number, row) in (0 as PaymentNumber..).zip(rows) {
            if row.payment != number {
                return Err(format!("payment {} where {number} was due", row.payment));
            }
            self.payments.push(crate::payment::Payment::of(row));
            self.payment_keys.insert(row.key, number);
            if row.state.is_open() {
                self.open_payments.insert(number);
            }
            *self.attempts.entry(row.hold).or_insert(0) += 1;
        }
        Ok(())
    }

    fn adopt_holds(&mut self, rows: &[HoldView]) -> Result<(), String> {
        self.holds.clear();
        self.parents.clear();
        self.refunds.clear();
        (self.allowance, self.requests) = (Table::default(), Table::default());
        self.request_keys.clear();
        self.live = 0;
        let (mut held, mut offered): (Vec<&HoldView>, Vec<&HoldView>) = (Vec::new(), Vec::new());
        for (number, row) in (0 as HoldNumber..).zip(rows) {
            if row.hold != number {
                return Err(format!("hold {} where {number} was due", row.hold));
            }
            let hold = self.hold_of(row)?;
            self.holds.push(hold);
            self.parents.extend(row.parent.map(|parent| (number, parent)));
            self.refunds.extend(row.refund.map(|refund| (number, refund)));
            match row.status {
                HoldStatus::Held => held.push(row),
                HoldStatus::Offered => offered.push(row),
                HoldStatus::Waiting => self.items[usize::from(row.item)].waitlist.push_back(number),
                HoldStatus::Confirmed => {}
                _ => continue,
            }
            self.take_allowance(number, row.subject, row.item);
        }
        self.live = (held.len() + offered.len()) as u64;
        let in_order = |rows: &mut Vec<&HoldView>| rows.sort_by_key(|row| (row.since, row.hold));
        in_order(&mut held);
        in_order(&mut offered);
        self.expiring = held.iter().map(|row| row.hold).collect();
        // Nobody's offer got shorter by what happened to the log.
        let deadline = self.clock.offers() + u64::from(self.rules.offer_ms);
        self.offers = offered.iter().map(|row| (row.hold, deadline)).collect();
        Ok(())
    }

    fn hold_of(&self, row: &HoldView) -> Result<Hold, String> {
        let HoldView { hold, item, status, since, expires_at, .. } = *row;
        if usize::from(item) >= self.items.len() {
            return Err(format!("hold {hold} is of item {item}, which is not there"));
        }
        let age = since.checked_sub(self.clock.at(0)).and_then(|age| u32::try_from(age).ok());
        let age = age.ok_or_else(|| format!("hold {hold} is not of the time since the opening"))?;
        let lasting = match status {
            HoldStatus::Waiting => 0,
            HoldStatus::Offered => self.rules.offer_ms,
            _ => self.rules.hold_ms,
        };
        let planned = i64::try_from(since).ok().and_then(|since| since.checked_add(i64::from(lasting)));
        let drift = planned.and_then(|planned| i32::try_from(expires_at.checked_sub(planned)?).ok());
        let drift = drift.ok_or_else(|| format!("hold {hold} ends at no possible time"))?;
        let mut adopted = Hold::new(row.subject, item, age, drift, status);
        adopted.set_status(status);
        if let Some(payment) = row.payment {
            adopted.set_payment(payment);
        }
        Ok(adopted)
    }
}

/// Refusals that a reserve gets and no other command of a shopper's.
const fn of_a_reserve(refusal: Refusal) -> bool {
    matches!(
        refusal,
        Refusal::SoldOut
            | Refusal::AllHeld
            | Refusal::LimitReached
            | Refusal::NotOpen
            | Refusal::Closed
            | Refusal::Paced
            | Refusal::IdempotencyMismatch
    )
}
