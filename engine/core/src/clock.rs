//! Log time: follows the records' timestamps, never runs backwards, moves by at most a second a record.

use serde::{Deserialize, Serialize};

/// The most that log time moves with one record, ms: a clock that jumps costs no more.
const LONGEST_STEP_MS: i64 = 1_000;

/// The sale's clocks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Clock {
    /// Log time at the opening (before it: at the first record), ms.
    start: u64,
    /// Log time, ms.
    now: u64,
    /// The last record's timestamp, Unix ms.
    last_timestamp: i64,
    /// Time that passes for waitlist offers only: it stands still while the sale is halted.
    offers: u64,
}

impl Clock {
    pub(crate) fn new(timestamp: i64) -> Self {
        let start = u64::try_from(timestamp).unwrap_or(0);
        Self { start, now: start, last_timestamp: timestamp, offers: 0 }
    }

    /// Folds a record's timestamp; answers how far log time moved, ms.
    pub(crate) fn advance(&mut self, timestamp: i64, frozen: bool, offers_stand: bool) -> u64 {
        let step = timestamp.saturating_sub(self.last_timestamp).clamp(0, LONGEST_STEP_MS);
        self.last_timestamp = timestamp;
        if frozen {
            return 0;
        }
        let step = step.unsigned_abs();
        self.now = self.now.saturating_add(step);
        if !offers_stand {
            self.offers = self.offers.saturating_add(step);
        }
        step
    }

    /// Stands where a record whose commands are lost left it.
    pub(crate) fn pass(&mut self, timestamp: i64, log_time: u64, offers_stand: bool) {
        if !offers_stand {
            self.offers = self.offers.saturating_add(log_time.saturating_sub(self.now));
        }
        (self.now, self.last_timestamp) = (log_time, timestamp);
    }

    /// Moments are counted from here on: at the opening, before the first hold.
    pub(crate) const fn restart(&mut self) {
        self.start = self.now;
    }

    pub(crate) const fn now(&self) -> u64 {
        self.now
    }

    pub(crate) const fn offers(&self) -> u64 {
        self.offers
    }

    /// Log time since the opening, ms; saturates after 49 days.
    pub(crate) fn since_start(&self) -> u32 {
        u32::try_from(self.now - self.start).unwrap_or(u32::MAX)
    }

    /// Log time of a moment that [`Self::since_start`] gave.
    pub(crate) fn at(&self, since_start: u32) -> u64 {
        self.start + u64::from(since_start)
    }

    /// What to add to log time to get the broker's time, ms; saturates at 24 days.
    pub(crate) fn drift(&self) -> i32 {
        let now = i64::try_from(self.now).unwrap_or(i64::MAX);
        let drift = self.last_timestamp.saturating_sub(now);
        i32::try_from(drift).unwrap_or(if drift < 0 { i32::MIN } else { i32::MAX })
    }

    pub(crate) const fn last_timestamp(&self) -> i64 {
        self.last_timestamp
    }
}
