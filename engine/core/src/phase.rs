//! What operators and the schedule do to the sale as a whole.

use crate::command::{HaltCause, HaltScope, ItemIndex};
use crate::key::ChangeId;
use crate::outcome::{Effect, Outcome, Refusal};
use crate::state::State;

/// Room that is made when the sale opens, for at most so many units: later growth would stall a batch.
const MOST_ROOM: usize = 1 << 20;

impl State {
    /// Makes a change once: its id is remembered when it took effect.
    pub(crate) fn once(
        &mut self,
        change: ChangeId,
        effects: &mut Vec<Effect>,
        make: impl FnOnce(&mut Self, &mut Vec<Effect>) -> Outcome,
    ) -> Outcome {
        if self.changes.made(change) {
            return Outcome::Unchanged;
        }
        let outcome = make(self, effects);
        if outcome == Outcome::Done {
            self.changes.remember(change);
        }
        outcome
    }

    pub(crate) fn arm(&mut self, effects: &mut Vec<Effect>) -> Outcome {
        if self.schedule.closed_at.is_some() {
            return Outcome::Refused(Refusal::Closed);
        }
        if self.schedule.armed {
            return Outcome::Unchanged;
        }
        self.schedule.armed = true;
        effects.push(Effect::Sale);
        Outcome::Done
    }

    /// Opens an armed sale; refused for one that is not, or is closed.
    pub(crate) fn open(&mut self, effects: &mut Vec<Effect>) -> Outcome {
        if self.schedule.closed_at.is_some() {
            return Outcome::Refused(Refusal::Closed);
        }
        if self.schedule.opened_at.is_some() {
            return Outcome::Unchanged;
        }
        if !self.schedule.armed {
            return Outcome::Refused(Refusal::Impossible);
        }
        self.clock.restart();
        self.schedule.opened_at = Some(self.clock.last_timestamp());
        let room = self.items.iter().map(|item| item.stock as usize).sum::<usize>().min(MOST_ROOM);
        self.reserve_room(room);
        self.sale_changed(effects);
        Outcome::Done
    }

    pub(crate) fn close(&mut self, effects: &mut Vec<Effect>) -> Outcome {
        if self.schedule.closed_at.is_some() {
            return Outcome::Unchanged;
        }
        self.schedule.closed_at = Some(self.clock.last_timestamp());
        self.empty_waitlists(effects);
        self.sale_changed(effects);
        Outcome::Done
    }

    /// A further halt can only widen the scope and sharpen the cause.
    pub(crate) fn halt_sale(&mut self, scope: HaltScope, cause: HaltCause, effects: &mut Vec<Effect>) -> Outcome {
        let halt = match self.schedule.halt {
            None => (scope, cause),
            Some((before, why)) => (
                if before == HaltScope::All { before } else { scope },
                if why == HaltCause::Invariant { why } else { cause },
            ),
        };
        if self.schedule.halt == Some(halt) {
            return Outcome::Unchanged;
        }
        self.schedule.halt = Some(halt);
        self.sale_changed(effects);
        Outcome::Done
    }

    pub(crate) fn resume(&mut self, effects: &mut Vec<Effect>) -> Outcome {
        if self.schedule.halt.take().is_none() {
            return Outcome::Unchanged;
        }
        self.offer_everything(effects);
        self.sale_changed(effects);
        Outcome::Done
    }

    pub(crate) fn set_pace(&mut self, rate: Option<u32>, effects: &mut Vec<Effect>) -> Outcome {
        if self.pace.rate() == rate {
            return Outcome::Unchanged;
        }
        if rate == Some(0) {
            return Outcome::Refused(Refusal::Impossible);
        }
        self.pace.set_rate(rate);
        effects.push(Effect::Sale);
        Outcome::Done
    }

    /// Stock never goes below what is held and sold.
    pub(crate) fn adjust(&mut self, item: ItemIndex, by: i32, effects: &mut Vec<Effect>) -> Outcome {
        let Some(numbers) = self.items.get(usize::from(item)) else {
            return Outcome::Refused(Refusal::NotFound);
        };
        let taken = numbers.held + numbers.sold;
        match numbers.stock.checked_add_signed(by).filter(|stock| *stock >= taken) {
            None => Outcome::Refused(Refusal::Impossible),
            Some(stock) if stock == numbers.stock => Outcome::Unchanged,
            Some(stock) => {
                self.change_item(item, effects, |numbers| numbers.stock = stock);
                self.offer_free(item, effects);
                Outcome::Done
            }
        }
    }

    pub(crate) fn set_shortage(&mut self, item: ItemIndex, units: u32, effects: &mut Vec<Effect>) -> Outcome {
        match self.items.get(usize::from(item)) {
            None => Outcome::Refused(Refusal::NotFound),
            Some(numbers) if numbers.shortage == units => Outcome::Unchanged,
            Some(numbers) if units > numbers.stock => Outcome::Refused(Refusal::Impossible),
            Some(_) => {
                self.change_item(item, effects, |numbers| numbers.shortage = units);
                self.offer_free(item, effects);
                Outcome::Done
            }
        }
    }

    pub(crate) fn reschedule(&mut self, opens_at: i64, effects: &mut Vec<Effect>) -> Outcome {
        if self.schedule.opened_at.is_some() || self.schedule.closed_at.is_some() {
            return Outcome::Refused(Refusal::Impossible);
        }
        if self.schedule.opens_at == Some(opens_at) {
            return Outcome::Unchanged;
        }
        self.schedule.opens_at = Some(opens_at);
        effects.push(Effect::Sale);
        Outcome::Done
    }

    pub(crate) fn extend(&mut self, closes_at: i64, effects: &mut Vec<Effect>) -> Outcome {
        let opening = self.schedule.opened_at.or(self.schedule.opens_at).unwrap_or(i64::MIN);
        if self.schedule.closed_at.is_some() {
            return Outcome::Refused(Refusal::Closed);
        }
        if closes_at <= opening || closes_at <= self.clock.last_timestamp() {
            return Outcome::Refused(Refusal::Impossible);
        }
        if self.schedule.closes_at == Some(closes_at) {
            return Outcome::Unchanged;
        }
        self.schedule.closes_at = Some(closes_at);
        effects.push(Effect::Sale);
        Outcome::Done
    }

    fn offer_everything(&mut self, effects: &mut Vec<Effect>) {
        for item in 0..self.items.len() {
            if let Ok(item) = ItemIndex::try_from(item) {
                self.offer_free(item, effects);
            }
        }
    }

    /// The phase shows in every item's status.
    fn sale_changed(&self, effects: &mut Vec<Effect>) {
        effects.push(Effect::Sale);
        let items = (0..self.items.len()).filter_map(|item| ItemIndex::try_from(item).ok());
        effects.extend(items.map(|item| Effect::Item { item }));
    }
}
