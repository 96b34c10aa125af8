//! One command, one outcome.

use crate::command::{Command, Position, Refused};
use crate::outcome::{Effect, Outcome};
use crate::state::State;

impl State {
    /// Folds one command. `timestamp` is its record's, Unix ms. What changed is appended to `effects`.
    ///
    /// Reads nothing but its arguments: the same log gives the same state, outcomes and effects to whoever folds it.
    /// What cannot be done is refused, by name; nothing panics and nothing is an error.
    pub fn apply(
        &mut self,
        position: Position,
        timestamp: i64,
        command: &Command,
        effects: &mut Vec<Effect>,
    ) -> Outcome {
        self.position = position;
        let moved = self.clock.advance(timestamp, self.frozen(), self.schedule.halt.is_some());
        if moved > 0 {
            self.pace.advance(moved);
        }
        self.end_due(effects);
        match *command {
            Command::Reserve { request, subject, item, wait } => self.reserve(request, subject, item, wait, effects),
            Command::Claim { hold, subject } => self.claim(hold, subject, effects),
            Command::Cancel { hold, subject } => self.cancel(hold, subject, effects),
            Command::PayStart { hold, subject, payment } => self.pay_start(hold, subject, payment, effects),
            Command::Confirm { hold, subject, payment } => self.confirm(hold, subject, payment, effects),
            Command::Captured { payment } => self.captured(payment, effects),
            Command::CaptureFailed { payment } => self.capture_failed(payment, effects),
            Command::Voided { payment } => self.voided(payment, effects),
            Command::RefundPlan { hold, restock } => self.refund_plan(hold, restock, effects),
            Command::RefundSent { hold } => self.refund_sent(hold, effects),
            Command::RefundConfirmed { hold } => self.refund_confirmed(hold, effects),
            Command::Tick => Outcome::Done,
            Command::Takeover { epoch } => {
                self.epoch = self.epoch.max(epoch);
                Outcome::Done
            }
            Command::Tally { ref refusals } => self.tally(refusals),
            Command::Open => self.open(effects),
            Command::Arm { change } => self.once(change, effects, Self::arm),
            Command::Close { change } => self.once(change, effects, Self::close),
            Command::Halt { change, scope, cause } => {
                self.once(change, effects, |state, effects| state.halt_sale(scope, cause, effects))
            }
            Command::Resume { change } => self.once(change, effects, Self::resume),
            Command::Pace { change, units_per_second } => {
                self.once(change, effects, |state, effects| state.set_pace(units_per_second, effects))
            }
            Command::Adjust { change, item, by } => {
                self.once(change, effects, |state, effects| state.adjust(item, by, effects))
            }
            Command::Shortage { change, item, units } => {
                self.once(change, effects, |state, effects| state.set_shortage(item, units, effects))
            }
            Command::Reschedule { change, opens_at } => {
                self.once(change, effects, |state, effects| state.reschedule(opens_at, effects))
            }
            Command::Extend { change, closes_at } => {
                self.once(change, effects, |state, effects| state.extend(closes_at, effects))
            }
        }
    }

    fn tally(&mut self, refusals: &[Refused]) -> Outcome {
        for refused in refusals {
            let count = &mut self.tallied[refused.refusal as usize];
            *count = count.saturating_add(refused.count);
        }
        Outcome::Done
    }
}
