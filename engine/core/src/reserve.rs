//! The line that grants.

use crate::command::{HoldNumber, ItemIndex};
use crate::key::{RequestKey, SubjectKey};
use crate::outcome::{Effect, Outcome, Refusal};
use crate::state::State;
use crate::switch::{Safeguard, stands};
use crate::view::{HoldStatus, Phase};

impl State {
    /// Reserves one unit, or says why not. A request that was granted gets the same reservation again; a refused one
    /// changed nothing and is decided afresh.
    pub(crate) fn reserve(
        &mut self,
        request: RequestKey,
        subject: SubjectKey,
        item: ItemIndex,
        wait: bool,
        effects: &mut Vec<Effect>,
    ) -> Outcome {
        if let Some(hold) = self.granted(request).filter(|_| stands(Safeguard::RequestMemory)) {
            return self.replay(hold, item);
        }
        match self.decide(subject, item, wait, effects) {
            Ok(hold) => {
                self.remember(request, hold);
                self.granted += 1;
                match self.holds.get(hold as usize).map(crate::hold::Hold::status) {
                    Some(HoldStatus::Waiting) => Outcome::Waiting { hold, replayed: false },
                    _ => self.granted_outcome(hold, false),
                }
            }
            Err(refusal) => {
                self.refused[refusal as usize] += 1;
                Outcome::Refused(refusal)
            }
        }
    }

    fn decide(
        &mut self,
        subject: SubjectKey,
        item: ItemIndex,
        wait: bool,
        effects: &mut Vec<Effect>,
    ) -> Result<HoldNumber, Refusal> {
        match self.phase() {
            Phase::Live => {}
            Phase::Upcoming => return Err(Refusal::NotOpen),
            Phase::Halted => return Err(Refusal::Halted),
            Phase::Closed => return Err(Refusal::Closed),
        }
        let numbers = self.items.get(usize::from(item)).ok_or(Refusal::NotFound)?;
        let checked = stands(Safeguard::StockCheck);
        if numbers.gone() && checked {
            return Err(Refusal::SoldOut);
        }
        let full = numbers.available() == 0 && checked;
        if full && (!wait || numbers.waiting >= numbers.stock) {
            return Err(Refusal::AllHeld);
        }
        if !self.allows(subject, item) {
            return Err(Refusal::LimitReached);
        }
        if full {
            return self.wait(subject, item, effects).ok_or(Refusal::AllHeld);
        }
        if !self.pace.take() {
            return Err(Refusal::Paced);
        }
        self.grant(subject, item, None, effects).ok_or(Refusal::AllHeld)
    }

    fn replay(&self, hold: HoldNumber, item: ItemIndex) -> Outcome {
        match self.holds.get(hold as usize) {
            Some(held) if held.item == item => match held.status() {
                HoldStatus::Waiting | HoldStatus::Offered => Outcome::Waiting { hold, replayed: true },
                _ => self.granted_outcome(hold, true),
            },
            _ => Outcome::Refused(Refusal::IdempotencyMismatch),
        }
    }
}
