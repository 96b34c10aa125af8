//! What operators do.

use flashsale_core::{HaltCause, HaltScope, HoldStatus, Outcome, Refusal};

use super::{Oracle, no};

impl Oracle {
    pub(super) fn arm(&mut self) -> Outcome {
        match (self.closed, self.armed) {
            (true, _) => no(Refusal::Closed),
            (_, true) => Outcome::Unchanged,
            _ => {
                self.armed = true;
                Outcome::Done
            }
        }
    }

    pub(super) fn open(&mut self) -> Outcome {
        match (self.closed, self.opened, self.armed) {
            (true, _, _) => no(Refusal::Closed),
            (_, Some(_), _) => Outcome::Unchanged,
            (_, _, false) => no(Refusal::Impossible),
            _ => {
                self.opened = Some(self.last);
                Outcome::Done
            }
        }
    }

    pub(super) fn close(&mut self) -> Outcome {
        if self.closed {
            return Outcome::Unchanged;
        }
        self.closed = true;
        for item in 0..self.items() {
            while let Some(waiting) = self.first_in_line(item) {
                self.end(waiting, HoldStatus::Cancelled, "reservation.cancelled");
            }
        }
        Outcome::Done
    }

    pub(super) fn halt(&mut self, scope: HaltScope, cause: HaltCause) -> Outcome {
        let wider = match self.halt {
            None => (scope, cause),
            Some((before, why)) => (
                if before == HaltScope::All { HaltScope::All } else { scope },
                if why == HaltCause::Invariant { HaltCause::Invariant } else { cause },
            ),
        };
        if self.halt == Some(wider) {
            return Outcome::Unchanged;
        }
        self.halt = Some(wider);
        Outcome::Done
    }

    pub(super) fn resume(&mut self) -> Outcome {
        if self.halt.is_none() {
            return Outcome::Unchanged;
        }
        self.halt = None;
        for item in 0..self.items() {
            self.offer(item);
        }
        Outcome::Done
    }

    pub(super) fn set_pace(&mut self, rate: Option<u64>) -> Outcome {
        if self.pace == rate {
            return Outcome::Unchanged;
        }
        if rate == Some(0) {
            return no(Refusal::Impossible);
        }
        self.pace = rate;
        self.tokens = self.tokens.min(self.bucket());
        Outcome::Done
    }

    /// Thousandths of a unit that the pace's bucket holds: a tenth of a second's, and a unit at least.
    pub(super) fn bucket(&self) -> u64 {
        self.pace.map_or(1_000, |rate| (rate * 100).max(1_000))
    }

    pub(super) fn adjust(&mut self, item: u16, by: i64) -> Outcome {
        let Some([stock, _, held, sold, _]) = self.numbers(item) else { return no(Refusal::NotFound) };
        let after = stock + by;
        if after < held + sold || after > i64::from(u32::MAX) {
            return no(Refusal::Impossible);
        }
        if by == 0 {
            return Outcome::Unchanged;
        }
        self.items[usize::from(item)].stock = after;
        self.offer(item);
        Outcome::Done
    }

    pub(super) fn set_shortage(&mut self, item: u16, units: i64) -> Outcome {
        let Some([stock, shortage, ..]) = self.numbers(item) else { return no(Refusal::NotFound) };
        if shortage == units {
            return Outcome::Unchanged;
        }
        if units > stock {
            return no(Refusal::Impossible);
        }
        self.items[usize::from(item)].shortage = units;
        self.offer(item);
        Outcome::Done
    }

    pub(super) fn reschedule(&mut self, opens_at: i64) -> Outcome {
        if self.opened.is_some() || self.closed {
            return no(Refusal::Impossible);
        }
        if self.opens_at == Some(opens_at) {
            return Outcome::Unchanged;
        }
        self.opens_at = Some(opens_at);
        Outcome::Done
    }

    pub(super) fn extend(&mut self, closes_at: i64) -> Outcome {
        if self.closed {
            return no(Refusal::Closed);
        }
        let opening = self.opened.or(self.opens_at);
        if opening.is_some_and(|at| closes_at <= at) || closes_at <= self.last {
            return no(Refusal::Impossible);
        }
        if self.closes_at == Some(closes_at) {
            return Outcome::Unchanged;
        }
        self.closes_at = Some(closes_at);
        Outcome::Done
    }
}
