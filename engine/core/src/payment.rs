//! Payments as the sale sees them: begun, confirmed, captured, voided. The money itself is elsewhere.

use serde::{Deserialize, Serialize};

use crate::command::{HoldNumber, PaymentNumber};
use crate::key::{PaymentKey, SubjectKey};
use crate::outcome::{Effect, HoldChange, Outcome, Refusal};
use crate::state::State;
use crate::switch::{Safeguard, stands};
use crate::view::{HoldStatus, PaymentState, PaymentView, Phase, RefundState, RefundView};

/// The most payment attempts on one hold.
pub const MOST_ATTEMPTS: u8 = 8;

/// One payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Payment {
    key: PaymentKey,
    hold: HoldNumber,
    bought: Option<HoldNumber>,
    state: PaymentState,
}

impl Payment {
    pub(crate) const fn of(row: &PaymentView) -> Self {
        Self { key: row.key, hold: row.hold, bought: row.bought, state: row.state }
    }

    pub(crate) const fn view(&self, payment: PaymentNumber) -> PaymentView {
        PaymentView { payment, key: self.key, hold: self.hold, bought: self.bought, state: self.state }
    }
}

impl State {
    pub(crate) fn pay_start(
        &mut self,
        number: HoldNumber,
        subject: SubjectKey,
        key: PaymentKey,
        effects: &mut Vec<Effect>,
    ) -> Outcome {
        let Some(status) = self.status_for(number, subject, effects) else {
            return Outcome::Refused(Refusal::NotFound);
        };
        if let Some(known) = self.payment_by_key(key) {
            return if known.hold == number {
                Outcome::PaymentStarted { payment: known.payment }
            } else {
                Outcome::Refused(Refusal::IdempotencyMismatch)
            };
        }
        if self.frozen() {
            return Outcome::Refused(Refusal::Halted);
        }
        match status {
            HoldStatus::Held | HoldStatus::Offered => {}
            HoldStatus::Waiting => return Outcome::Refused(Refusal::AllHeld),
            HoldStatus::Confirmed | HoldStatus::Refunded => return Outcome::Refused(Refusal::AlreadyPaid),
            HoldStatus::Cancelled | HoldStatus::Expired | HoldStatus::Failed => {
                return Outcome::Refused(Refusal::HoldExpired);
            }
        }
        let attempts = self.attempts.get(&number).copied().unwrap_or(0);
        let Ok(payment) = PaymentNumber::try_from(self.payments.len()) else {
            return Outcome::Refused(Refusal::PaymentLimit);
        };
        if attempts >= MOST_ATTEMPTS {
            return Outcome::Refused(Refusal::PaymentLimit);
        }
        if status == HoldStatus::Offered {
            self.begin_hold(number, HoldChange::Claimed, effects);
        }
        self.attempts.insert(number, attempts + 1);
        self.payment_keys.insert(key, payment);
        self.payments.push(Payment { key, hold: number, bought: None, state: PaymentState::Started });
        self.open_payments.insert(payment);
        self.count_payment(payment);
        effects.push(Effect::Payment { payment });
        Outcome::PaymentStarted { payment }
    }

    /// Sells the unit to an authorized payment, or says that the payment must be voided.
    pub(crate) fn confirm(
        &mut self,
        number: HoldNumber,
        subject: SubjectKey,
        key: PaymentKey,
        effects: &mut Vec<Effect>,
    ) -> Outcome {
        let Some(status) = self.status_for(number, subject, effects) else {
            return Outcome::Refused(Refusal::NotFound);
        };
        let Some(known) = self.payment_by_key(key).filter(|known| known.hold == number) else {
            return Outcome::Refused(Refusal::NotFound);
        };
        if status == HoldStatus::Confirmed && !stands(Safeguard::PaymentId) {
            return Outcome::Confirmed { hold: number, replayed: true };
        }
        if let (PaymentState::Confirmed | PaymentState::Captured, Some(hold)) = (known.state, known.bought) {
            return Outcome::Confirmed { hold, replayed: true };
        }
        if known.state == PaymentState::Started {
            match status {
                HoldStatus::Held | HoldStatus::Offered => return self.sell(number, known.payment, effects),
                HoldStatus::Expired if self.may_hold_again(number) => {
                    return self.sell_late(number, known.payment, effects);
                }
                _ => {}
            }
        }
        // A voided payment that comes back may have been authorized since: it is voided again.
        self.move_payment(known.payment, PaymentState::ToVoid, None, effects);
        let sold = matches!(status, HoldStatus::Confirmed | HoldStatus::Refunded);
        Outcome::VoidPayment { refusal: if sold { Refusal::AlreadyPaid } else { Refusal::HoldExpired } }
    }

    pub(crate) fn captured(&mut self, key: PaymentKey, effects: &mut Vec<Effect>) -> Outcome {
        let Some(known) = self.payment_by_key(key) else {
            return Outcome::Refused(Refusal::NotFound);
        };
        match known.state {
            PaymentState::Captured => Outcome::Unchanged,
            PaymentState::Confirmed => {
                self.move_payment(known.payment, PaymentState::Captured, known.bought, effects);
                Outcome::Done
            }
            _ => Outcome::Refused(Refusal::Impossible),
        }
    }

    /// Takes the order back; what is still authorized is to be voided.
    pub(crate) fn capture_failed(&mut self, key: PaymentKey, effects: &mut Vec<Effect>) -> Outcome {
        let Some(known) = self.payment_by_key(key) else {
            return Outcome::Refused(Refusal::NotFound);
        };
        match (known.state, known.bought) {
            (PaymentState::ToVoid | PaymentState::Voided, _) => Outcome::Unchanged,
            (PaymentState::Confirmed, Some(hold)) => {
                self.move_payment(known.payment, PaymentState::ToVoid, Some(hold), effects);
                self.unsell(hold, HoldStatus::Failed, HoldChange::Failed, true, effects);
                Outcome::Done
            }
            _ => Outcome::Refused(Refusal::Impossible),
        }
    }

    pub(crate) fn voided(&mut self, key: PaymentKey, effects: &mut Vec<Effect>) -> Outcome {
        let Some(known) = self.payment_by_key(key) else {
            return Outcome::Refused(Refusal::NotFound);
        };
        match known.state {
            PaymentState::Voided => Outcome::Unchanged,
            PaymentState::Started | PaymentState::ToVoid => {
                self.move_payment(known.payment, PaymentState::Voided, known.bought, effects);
                Outcome::Done
            }
            _ => Outcome::Refused(Refusal::Impossible),
        }
    }

    pub(crate) fn refund_plan(&mut self, number: HoldNumber, restock: bool, effects: &mut Vec<Effect>) -> Outcome {
        let Some(hold) = self.hold(number) else {
            return Outcome::Refused(Refusal::NotFound);
        };
        if hold.refund.is_some() {
            return Outcome::Unchanged;
        }
        let paid = hold.payment.and_then(|payment| self.payment(payment));
        if hold.status != HoldStatus::Confirmed || paid.is_none_or(|paid| paid.state != PaymentState::Captured) {
            return Outcome::Refused(Refusal::Impossible);
        }
        self.move_refund(number, RefundView { state: RefundState::Planned, restock }, effects);
        Outcome::Done
    }

    pub(crate) fn refund_sent(&mut self, number: HoldNumber, effects: &mut Vec<Effect>) -> Outcome {
        match self.refunds.get(&number).copied() {
            None => Outcome::Refused(Refusal::NotFound),
            Some(RefundView { state: RefundState::Planned, restock }) => {
                self.move_refund(number, RefundView { state: RefundState::Sent, restock }, effects);
                Outcome::Done
            }
            Some(_) => Outcome::Unchanged,
        }
    }

    pub(crate) fn refund_confirmed(&mut self, number: HoldNumber, effects: &mut Vec<Effect>) -> Outcome {
        match self.refunds.get(&number).copied() {
            None => Outcome::Refused(Refusal::NotFound),
            Some(RefundView { state: RefundState::Planned, .. }) => Outcome::Refused(Refusal::Impossible),
            Some(RefundView { state: RefundState::Confirmed, .. }) => Outcome::Unchanged,
            Some(RefundView { state: RefundState::Sent, restock }) => {
                self.change_hold(number, |state| {
                    state.refunds.insert(number, RefundView { state: RefundState::Confirmed, restock });
                });
                self.unsell(number, HoldStatus::Refunded, HoldChange::Refunded, restock, effects);
                Outcome::Done
            }
        }
    }

    fn sell(&mut self, number: HoldNumber, payment: PaymentNumber, effects: &mut Vec<Effect>) -> Outcome {
        let Some(item) = self.holds.get(number as usize).map(|hold| hold.item) else {
            return Outcome::Refused(Refusal::NotFound);
        };
        self.change_hold(number, |state| {
            if let Some(hold) = state.holds.get_mut(number as usize) {
                hold.set_status(HoldStatus::Confirmed);
                hold.set_payment(payment);
            }
        });
        self.change_item(item, effects, |numbers| {
            numbers.held -= 1;
            numbers.sold += 1;
        });
        self.live -= 1;
        effects.push(Effect::Hold { hold: number, change: HoldChange::Confirmed });
        self.move_payment(payment, PaymentState::Confirmed, Some(number), effects);
        Outcome::Confirmed { hold: number, replayed: false }
    }

    /// Whether a late payment may have a fresh unit: one is free beyond the waitlist and the limit allows it.
    fn may_hold_again(&self, number: HoldNumber) -> bool {
        let Some(hold) = self.holds.get(number as usize) else { return false };
        let Some(numbers) = self.items.get(usize::from(hold.item)) else { return false };
        self.phase() == Phase::Live && numbers.available() > 0 && self.allows(hold.subject, hold.item)
    }

    fn sell_late(&mut self, parent: HoldNumber, payment: PaymentNumber, effects: &mut Vec<Effect>) -> Outcome {
        let Some((subject, item)) = self.holds.get(parent as usize).map(|hold| (hold.subject, hold.item)) else {
            return Outcome::Refused(Refusal::NotFound);
        };
        let Some(number) = self.grant(subject, item, Some(parent), effects) else {
            return Outcome::VoidPayment { refusal: Refusal::HoldExpired };
        };
        self.sell(number, payment, effects)
    }

    /// An order is taken back, before or after its capture.
    fn unsell(
        &mut self,
        number: HoldNumber,
        status: HoldStatus,
        change: HoldChange,
        restock: bool,
        effects: &mut Vec<Effect>,
    ) {
        let Some((subject, item)) = self.holds.get(number as usize).map(|hold| (hold.subject, hold.item)) else {
            return;
        };
        self.set_status(number, status);
        self.change_item(item, effects, |numbers| {
            numbers.sold -= 1;
            if !restock {
                numbers.shortage += 1;
            }
        });
        self.give_allowance_back(subject, item);
        effects.push(Effect::Hold { hold: number, change });
        self.offer_free(item, effects);
    }

    fn move_payment(
        &mut self,
        payment: PaymentNumber,
        state: PaymentState,
        bought: Option<HoldNumber>,
        effects: &mut Vec<Effect>,
    ) {
        self.uncount_payment(payment);
        if let Some(known) = self.payments.get_mut(payment as usize) {
            known.state = state;
            known.bought = bought;
        }
        self.count_payment(payment);
        if state.is_open() {
            self.open_payments.insert(payment);
        } else {
            self.open_payments.remove(&payment);
        }
        effects.push(Effect::Payment { payment });
    }

    fn move_refund(&mut self, number: HoldNumber, refund: RefundView, effects: &mut Vec<Effect>) {
        self.change_hold(number, |state| {
            state.refunds.insert(number, refund);
        });
        let change = match refund.state {
            RefundState::Planned => HoldChange::RefundPlanned,
            RefundState::Sent => HoldChange::RefundSent,
            RefundState::Confirmed => HoldChange::Refunded,
        };
        effects.push(Effect::Hold { hold: number, change });
    }
}
