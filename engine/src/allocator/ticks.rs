//! When the writer asks time to pass: pure, on a monotonic clock given to it.

use std::time::Duration;

/// Without a record for this long, the writer appends a tick.
pub const IDLE: Duration = Duration::from_millis(250);
/// The same before the opening and after the end: nothing is held that could end, and a shopper who finds the flags
/// void has the log answer. Log time still follows, because a record moves it by up to a second.
pub const RESTING: Duration = Duration::from_secs(1);
/// Nudges cause at most one tick in this time, and none if something else was appended meanwhile.
pub const NUDGED: Duration = Duration::from_millis(100);
/// A tick that has not come back after this long is taken for lost.
const LOST: Duration = Duration::from_secs(1);

/// Which layers may release a unit whose time is over. All, outside tests that show that each alone does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layers {
    /// The idle tick: exact.
    pub idle_ticks: bool,
    /// The cache's TTL notices.
    pub notices: bool,
    /// The sweep over the ledger's rows.
    pub sweep: bool,
}

impl Default for Layers {
    fn default() -> Self {
        Self { idle_ticks: true, notices: true, sweep: true }
    }
}

/// The tick's state.
#[derive(Debug)]
pub struct Ticks {
    idle: bool,
    after: Duration,
    last_record: Duration,
    on_its_way: Option<Duration>,
    nudged: bool,
}

impl Ticks {
    /// From `now` on.
    #[must_use]
    pub fn new(idle: bool, now: Duration) -> Self {
        Self { idle, after: IDLE, last_record: now, on_its_way: None, nudged: false }
    }

    /// A record was read, whoever appended it: every command ends what is due, so nobody needs a tick.
    pub fn record(&mut self, now: Duration) {
        (self.last_record, self.on_its_way, self.nudged) = (now, None, false);
    }

    /// Whether the sale rests: it has not opened, or it has ended.
    pub fn rest(&mut self, rests: bool) {
        self.after = if rests { RESTING } else { IDLE };
    }

    /// Someone believes that a hold is overdue.
    pub fn nudge(&mut self) {
        self.nudged = true;
    }

    /// Whether to append a tick now. `more_due`: the last command could not end all that was due.
    #[must_use]
    pub fn due(&self, now: Duration, more_due: bool) -> bool {
        if self.on_its_way.is_some_and(|since| now.saturating_sub(since) < LOST) {
            return false;
        }
        let quiet = now.saturating_sub(self.last_record);
        more_due || (self.idle && quiet >= self.after) || (self.nudged && quiet >= NUDGED)
    }

    /// A tick is on its way.
    pub fn appended(&mut self, now: Duration) {
        self.on_its_way = Some(now);
    }

    /// How long nothing can become due by time alone; never zero, so that a loop around it cannot spin.
    #[must_use]
    pub fn wait(&self, now: Duration) -> Duration {
        let at = match self.on_its_way {
            Some(since) => since + LOST,
            None if self.nudged => self.last_record + NUDGED,
            None => self.last_record + self.after,
        };
        at.saturating_sub(now).max(Duration::from_millis(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_quarter_second_without_a_record_asks_for_one_tick() {
        let mut ticks = Ticks::new(true, ms(1_000));
        assert!(!ticks.due(ms(1_249), false));
        assert!(ticks.due(ms(1_250), false));
        ticks.appended(ms(1_250));
        assert!(!ticks.due(ms(1_600), false), "the first is still on its way");
        assert!(ticks.due(ms(2_250), false), "it got lost");
        ticks.record(ms(2_300));
        assert!(!ticks.due(ms(2_549), false));
        assert!(ticks.due(ms(2_550), false));
    }

    #[test]
    fn a_resting_sale_ticks_once_a_second() {
        let mut ticks = Ticks::new(true, ms(0));
        ticks.rest(true);
        assert!(!ticks.due(ms(999), false));
        assert_eq!(ticks.wait(ms(400)), ms(600));
        assert!(ticks.due(ms(1_000), false));
        ticks.rest(false);
        assert!(ticks.due(ms(250), false), "an opening ends the rest at once");
    }

    #[test]
    fn nudges_cause_one_tick_in_100_ms_and_none_if_something_was_appended() {
        let mut ticks = Ticks::new(false, ms(0));
        ticks.nudge();
        assert!(!ticks.due(ms(99), false));
        assert!(ticks.due(ms(100), false));
        ticks.record(ms(100));
        assert!(!ticks.due(ms(10_000), false), "the record did the tick's work");
        ticks.nudge();
        assert!(ticks.due(ms(10_000), false));
    }

    #[test]
    fn a_mass_expiry_goes_on_at_once_but_one_tick_at_a_time() {
        let mut ticks = Ticks::new(true, ms(0));
        assert!(ticks.due(ms(1), true));
        ticks.appended(ms(1));
        assert!(!ticks.due(ms(2), true));
        ticks.record(ms(3));
        assert!(ticks.due(ms(3), true));
    }
}
