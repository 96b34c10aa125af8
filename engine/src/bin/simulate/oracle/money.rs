//! What the sale knows of money.

use flashsale_core::{
    HoldNumber, HoldStatus, Outcome, PaymentKey, PaymentState, Phase, RefundState, Refusal, SubjectKey,
};

use super::{Oracle, Payment, no};

impl Oracle {
    pub(super) fn pay_start(&mut self, number: HoldNumber, subject: SubjectKey, key: PaymentKey) -> Outcome {
        let Some(status) = self.own(number, subject) else { return no(Refusal::NotFound) };
        if let Some(known) = self.payments.iter().position(|paid| paid.key == key) {
            return if self.payments[known].hold == number {
                Outcome::PaymentStarted { payment: u32::try_from(known).unwrap_or(u32::MAX) }
            } else {
                no(Refusal::IdempotencyMismatch)
            };
        }
        if self.frozen() {
            return no(Refusal::Halted);
        }
        match status {
            HoldStatus::Held | HoldStatus::Offered => {}
            HoldStatus::Waiting => return no(Refusal::AllHeld),
            HoldStatus::Confirmed | HoldStatus::Refunded => return no(Refusal::AlreadyPaid),
            _ => return no(Refusal::HoldExpired),
        }
        let Some(hold) = self.holds.get_mut(number as usize).filter(|hold| hold.attempts < 8) else {
            return no(Refusal::PaymentLimit);
        };
        hold.attempts += 1;
        if status == HoldStatus::Offered {
            self.begin(number, HoldStatus::Held);
            self.tell("reservation.claimed");
        }
        self.payments.push(Payment { key, hold: number, bought: None, state: PaymentState::Started });
        Outcome::PaymentStarted { payment: u32::try_from(self.payments.len() - 1).unwrap_or(u32::MAX) }
    }

    pub(super) fn confirm(&mut self, number: HoldNumber, subject: SubjectKey, key: PaymentKey) -> Outcome {
        let Some(status) = self.own(number, subject) else { return no(Refusal::NotFound) };
        let Some(place) = self.payments.iter().position(|paid| paid.key == key && paid.hold == number) else {
            return no(Refusal::NotFound);
        };
        let paid = self.payments[place].clone();
        match (paid.state, paid.bought) {
            (PaymentState::Confirmed | PaymentState::Captured, Some(hold)) => {
                return Outcome::Confirmed { hold, replayed: true };
            }
            (PaymentState::Started, _) => match status {
                HoldStatus::Held | HoldStatus::Offered => return self.sell(number, place),
                HoldStatus::Expired => {
                    let item = self.holds[number as usize].item;
                    if self.phase() == Phase::Live && self.available(item) > 0 && self.allows(subject, item) {
                        let fresh = self.grant(subject, item);
                        return self.sell(fresh, place);
                    }
                }
                _ => {}
            },
            _ => {}
        }
        let paid = &mut self.payments[place];
        (paid.state, paid.bought) = (PaymentState::ToVoid, None);
        let sold = matches!(status, HoldStatus::Confirmed | HoldStatus::Refunded);
        Outcome::VoidPayment { refusal: if sold { Refusal::AlreadyPaid } else { Refusal::HoldExpired } }
    }

    fn sell(&mut self, number: HoldNumber, place: usize) -> Outcome {
        let Some(hold) = self.holds.get_mut(number as usize) else { return no(Refusal::NotFound) };
        hold.status = HoldStatus::Confirmed;
        hold.payment = Some(place);
        self.tell("order.confirmed");
        let paid = &mut self.payments[place];
        (paid.state, paid.bought) = (PaymentState::Confirmed, Some(number));
        Outcome::Confirmed { hold: number, replayed: false }
    }

    pub(super) fn captured(&mut self, key: PaymentKey) -> Outcome {
        match self.payments.iter_mut().find(|paid| paid.key == key) {
            None => no(Refusal::NotFound),
            Some(paid) if paid.state == PaymentState::Captured => Outcome::Unchanged,
            Some(paid) if paid.state == PaymentState::Confirmed => {
                paid.state = PaymentState::Captured;
                Outcome::Done
            }
            Some(_) => no(Refusal::Impossible),
        }
    }

    pub(super) fn capture_failed(&mut self, key: PaymentKey) -> Outcome {
        let Some(paid) = self.payments.iter_mut().find(|paid| paid.key == key) else {
            return no(Refusal::NotFound);
        };
        match (paid.state, paid.bought) {
            (PaymentState::ToVoid | PaymentState::Voided, _) => Outcome::Unchanged,
            (PaymentState::Confirmed, Some(hold)) => {
                paid.state = PaymentState::ToVoid;
                self.take_back(hold, HoldStatus::Failed, "order.failed", true);
                Outcome::Done
            }
            _ => no(Refusal::Impossible),
        }
    }

    pub(super) fn voided(&mut self, key: PaymentKey) -> Outcome {
        match self.payments.iter_mut().find(|paid| paid.key == key) {
            None => no(Refusal::NotFound),
            Some(paid) if paid.state == PaymentState::Voided => Outcome::Unchanged,
            Some(paid) if matches!(paid.state, PaymentState::Started | PaymentState::ToVoid) => {
                paid.state = PaymentState::Voided;
                Outcome::Done
            }
            Some(_) => no(Refusal::Impossible),
        }
    }

    pub(super) fn refund_plan(&mut self, number: HoldNumber, restock: bool) -> Outcome {
        let Some(hold) = self.hold(number) else { return no(Refusal::NotFound) };
        if hold.refund.is_some() {
            return Outcome::Unchanged;
        }
        let captured = hold.payment.is_some_and(|place| self.payments[place].state == PaymentState::Captured);
        if hold.status != HoldStatus::Confirmed || !captured {
            return no(Refusal::Impossible);
        }
        self.holds[number as usize].refund = Some((RefundState::Planned, restock));
        Outcome::Done
    }

    pub(super) fn refund_sent(&mut self, number: HoldNumber) -> Outcome {
        match self.hold(number).and_then(|hold| hold.refund) {
            None => no(Refusal::NotFound),
            Some((RefundState::Planned, restock)) => {
                self.holds[number as usize].refund = Some((RefundState::Sent, restock));
                Outcome::Done
            }
            Some(_) => Outcome::Unchanged,
        }
    }

    pub(super) fn refund_confirmed(&mut self, number: HoldNumber) -> Outcome {
        match self.hold(number).and_then(|hold| hold.refund) {
            None => no(Refusal::NotFound),
            Some((RefundState::Planned, _)) => no(Refusal::Impossible),
            Some((RefundState::Confirmed, _)) => Outcome::Unchanged,
            Some((RefundState::Sent, restock)) => {
                self.holds[number as usize].refund = Some((RefundState::Confirmed, restock));
                self.take_back(number, HoldStatus::Refunded, "order.refunded", restock);
                Outcome::Done
            }
        }
    }

    fn take_back(&mut self, number: HoldNumber, status: HoldStatus, kind: &'static str, restock: bool) {
        let Some(hold) = self.holds.get_mut(number as usize) else { return };
        hold.status = status;
        let item = hold.item;
        if !restock {
            self.items[usize::from(item)].shortage += 1;
        }
        self.tell(kind);
        self.offer(item);
    }
}
