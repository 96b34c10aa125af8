//! Beginning and ending holds: grants, offers, claims, cancels, and the time that ends them.

use crate::command::{HoldNumber, ItemIndex};
use crate::hold::Hold;
use crate::key::SubjectKey;
use crate::outcome::{Effect, HoldChange, Outcome, Refusal};
use crate::state::State;
use crate::view::{HoldStatus, Phase};

/// The most due holds and offers that end with one command, so that a mass expiry makes no huge batch.
pub const MOST_ENDS: usize = 256;

impl State {
    /// Grants a unit that was seen to be free. None: hold numbers have run out.
    pub(crate) fn grant(
        &mut self,
        subject: SubjectKey,
        item: ItemIndex,
        parent: Option<HoldNumber>,
        effects: &mut Vec<Effect>,
    ) -> Option<HoldNumber> {
        let number = self.add_hold(subject, item, HoldStatus::Held, parent)?;
        self.change_item(item, effects, |numbers| numbers.held += 1);
        self.live += 1;
        self.expiring.push_back(number);
        effects.push(Effect::Hold { hold: number, change: HoldChange::Reserved });
        Some(number)
    }

    /// Puts a customer on the waitlist.
    pub(crate) fn wait(
        &mut self,
        subject: SubjectKey,
        item: ItemIndex,
        effects: &mut Vec<Effect>,
    ) -> Option<HoldNumber> {
        let number = self.add_hold(subject, item, HoldStatus::Waiting, None)?;
        self.change_item(item, effects, |numbers| {
            numbers.waiting += 1;
            numbers.waitlist.push_back(number);
        });
        effects.push(Effect::Hold { hold: number, change: HoldChange::Waiting });
        Some(number)
    }

    /// Turns an offer into a full hold.
    pub(crate) fn claim(&mut self, number: HoldNumber, subject: SubjectKey, effects: &mut Vec<Effect>) -> Outcome {
        match self.status_for(number, subject, effects) {
            None => Outcome::Refused(Refusal::NotFound),
            Some(HoldStatus::Offered) => {
                self.begin_hold(number, HoldChange::Claimed, effects);
                self.granted_outcome(number, false)
            }
            Some(HoldStatus::Held) => self.granted_outcome(number, true),
            Some(HoldStatus::Waiting) => Outcome::Refused(Refusal::AllHeld),
            Some(HoldStatus::Confirmed | HoldStatus::Refunded) => Outcome::Refused(Refusal::AlreadyPaid),
            Some(_) => Outcome::Refused(Refusal::HoldExpired),
        }
    }

    /// Gives a hold, an offer or a place in the waitlist back.
    pub(crate) fn cancel(&mut self, number: HoldNumber, subject: SubjectKey, effects: &mut Vec<Effect>) -> Outcome {
        match self.status_for(number, subject, effects) {
            None => Outcome::Refused(Refusal::NotFound),
            Some(HoldStatus::Cancelled) => Outcome::Unchanged,
            Some(HoldStatus::Held | HoldStatus::Offered | HoldStatus::Waiting) => {
                self.end_hold(number, HoldStatus::Cancelled, HoldChange::Cancelled, effects);
                Outcome::Done
            }
            Some(HoldStatus::Confirmed | HoldStatus::Refunded) => Outcome::Refused(Refusal::AlreadyPaid),
            Some(_) => Outcome::Refused(Refusal::HoldExpired),
        }
    }

    /// Ends what is due at the present log time, at most [`MOST_ENDS`].
    pub(crate) fn end_due(&mut self, effects: &mut Vec<Effect>) {
        self.forget_ended();
        for _ in 0..MOST_ENDS {
            let due = match self.next_due_hold() {
                Some(number) => number,
                None => match self.next_due_offer() {
                    Some(number) => number,
                    None => return,
                },
            };
            self.end_hold(due, HoldStatus::Expired, HoldChange::Expired, effects);
        }
    }

    pub(crate) fn next_due_hold(&self) -> Option<HoldNumber> {
        let now = self.clock.since_start();
        for number in &self.expiring {
            let hold = self.holds.get(*number as usize)?;
            if hold.status() != HoldStatus::Held {
                continue;
            }
            return (hold.since.saturating_add(self.rules.hold_ms) <= now).then_some(*number);
        }
        None
    }

    pub(crate) fn next_due_offer(&self) -> Option<HoldNumber> {
        for (number, deadline) in &self.offers {
            if self.holds.get(*number as usize)?.status() == HoldStatus::Offered {
                return (*deadline <= self.clock.offers()).then_some(*number);
            }
        }
        None
    }

    /// The status of a customer's hold; a stranger's is none. A hold whose time is over ends here at the latest.
    pub(crate) fn status_for(
        &mut self,
        number: HoldNumber,
        subject: SubjectKey,
        effects: &mut Vec<Effect>,
    ) -> Option<HoldStatus> {
        let hold = *self.holds.get(number as usize).filter(|hold| hold.subject == subject)?;
        let overdue = hold.since.saturating_add(self.rules.hold_ms) <= self.clock.since_start();
        if hold.status() == HoldStatus::Held && overdue {
            self.end_hold(number, HoldStatus::Expired, HoldChange::Expired, effects);
            return Some(HoldStatus::Expired);
        }
        Some(hold.status())
    }

    /// Ends a hold, an offer or a wait, once; its unit goes to the waitlist or back on sale.
    pub(crate) fn end_hold(
        &mut self,
        number: HoldNumber,
        status: HoldStatus,
        change: HoldChange,
        effects: &mut Vec<Effect>,
    ) {
        let Some(hold) = self.holds.get(number as usize).copied() else { return };
        let waited = hold.status() == HoldStatus::Waiting;
        self.set_status(number, status);
        self.change_item(hold.item, effects, |numbers| {
            if waited {
                numbers.waiting -= 1;
            } else {
                numbers.held -= 1;
            }
        });
        if !waited {
            self.live -= 1;
        }
        self.give_allowance_back(hold.subject, hold.item);
        effects.push(Effect::Hold { hold: number, change });
        self.forget_ended();
        self.offer_free(hold.item, effects);
    }

    /// Offers free units to the head of the waitlist, unless the sale is halted or closed.
    pub(crate) fn offer_free(&mut self, item: ItemIndex, effects: &mut Vec<Effect>) {
        while self.phase() == Phase::Live {
            let Some(numbers) = self.items.get_mut(usize::from(item)) else { return };
            if numbers.free() == 0 || numbers.waiting == 0 {
                return;
            }
            let Some(number) = numbers.waitlist.pop_front() else { return };
            if self.holds.get(number as usize).is_none_or(|hold| hold.status() != HoldStatus::Waiting) {
                continue;
            }
            self.restart(number, HoldStatus::Offered);
            self.change_item(item, effects, |numbers| {
                numbers.waiting -= 1;
                numbers.held += 1;
            });
            self.live += 1;
            self.offers.push_back((number, self.clock.offers() + u64::from(self.rules.offer_ms)));
            effects.push(Effect::Hold { hold: number, change: HoldChange::Offered });
        }
    }

    /// The waitlist ends with the sale.
    pub(crate) fn empty_waitlists(&mut self, effects: &mut Vec<Effect>) {
        for item in 0..self.items.len() {
            while let Some(number) = self.items[item].waitlist.pop_front() {
                if self.holds.get(number as usize).is_some_and(|hold| hold.status() == HoldStatus::Waiting) {
                    self.end_hold(number, HoldStatus::Cancelled, HoldChange::Cancelled, effects);
                }
            }
        }
    }

    /// A full hold begins for a hold that was offered.
    pub(crate) fn begin_hold(&mut self, number: HoldNumber, change: HoldChange, effects: &mut Vec<Effect>) {
        self.restart(number, HoldStatus::Held);
        self.expiring.push_back(number);
        effects.push(Effect::Hold { hold: number, change });
    }

    pub(crate) fn granted_outcome(&self, number: HoldNumber, replayed: bool) -> Outcome {
        match self.holds.get(number as usize) {
            None => Outcome::Refused(Refusal::NotFound),
            Some(hold) => Outcome::Granted { hold: number, expires_at: self.expires_at(hold), replayed },
        }
    }

    pub(crate) fn set_status(&mut self, number: HoldNumber, status: HoldStatus) {
        self.change_hold(number, |state| {
            if let Some(hold) = state.holds.get_mut(number as usize) {
                hold.set_status(status);
            }
        });
    }

    fn add_hold(
        &mut self,
        subject: SubjectKey,
        item: ItemIndex,
        status: HoldStatus,
        parent: Option<HoldNumber>,
    ) -> Option<HoldNumber> {
        let number = HoldNumber::try_from(self.holds.len()).ok().filter(|number| *number < HoldNumber::MAX)?;
        let (since, drift) = (self.clock.since_start(), self.clock.drift());
        self.change_hold(number, |state| {
            state.holds.push(Hold::new(subject, item, since, drift, status));
            if let Some(parent) = parent {
                state.parents.insert(number, parent);
            }
        });
        self.take_allowance(number, subject, item);
        Some(number)
    }

    fn restart(&mut self, number: HoldNumber, status: HoldStatus) {
        let (since, drift) = (self.clock.since_start(), self.clock.drift());
        self.change_hold(number, |state| {
            if let Some(hold) = state.holds.get_mut(number as usize) {
                hold.since = since;
                hold.drift = drift;
                hold.set_status(status);
            }
        });
    }

    /// Ended holds leave the heads of the queues, so that the next due one is always in front.
    fn forget_ended(&mut self) {
        let live = |holds: &[Hold], number: HoldNumber, status| {
            holds.get(number as usize).is_some_and(|hold| hold.status() == status)
        };
        while self.expiring.front().is_some_and(|number| !live(&self.holds, *number, HoldStatus::Held)) {
            self.expiring.pop_front();
        }
        while self.offers.front().is_some_and(|(number, _)| !live(&self.holds, *number, HoldStatus::Offered)) {
            self.offers.pop_front();
        }
    }
}
