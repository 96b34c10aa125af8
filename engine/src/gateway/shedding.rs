//! When a sender takes nothing more: decisions are late, too many commands wait, or no writer is there yet.

use std::sync::Arc;

use crate::allocator::gauges::Gauges;
use crate::ports::Clock;
use crate::sale::definition::Overload;

/// Said before this process's writer has taken the log over.
pub const STARTING: &str = "the engine is starting";
/// Said when the ledger is late: its database or the last of its synchronous standbys is away.
pub const LEDGER_UNCONFIRMED: &str = "the ledger confirms no commits";
/// Said when decisions are late.
pub const QUEUE_OLD: &str = "decisions are older than the limit";
/// Said when too many commands wait.
pub const QUEUE_DEEP: &str = "too many commands are waiting";

/// What it is judged by.
#[derive(Clone)]
pub struct Shedding {
    /// How deep and old the queue is.
    pub gauges: Arc<Gauges>,
    /// For the queue's age.
    pub clock: Arc<dyn Clock>,
    /// When to refuse; none: never (operators and money go first).
    pub overload: Option<Overload>,
}

impl Shedding {
    /// Why nothing more is taken just now, if so.
    #[must_use]
    pub fn overloaded(&self) -> Option<&'static str> {
        if !self.gauges.seated() {
            return Some(STARTING);
        }
        let overload = self.overload.as_ref()?;
        if self.gauges.unconfirmed.load().is_some() {
            return Some(LEDGER_UNCONFIRMED);
        }
        if u128::from(self.gauges.queue_age_ms(self.clock.now())) > overload.max_queue_age.as_millis() {
            return Some(QUEUE_OLD);
        }
        (self.gauges.queue_depth() > u64::from(overload.shed)).then_some(QUEUE_DEEP)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::adapters::system_clock::SystemClock;

    #[test]
    fn a_ledger_that_confirms_nothing_is_named() {
        let gauges = Arc::new(Gauges::default());
        let shedding = |overload| {
            let clock = Arc::new(SystemClock::default());
            Shedding { gauges: Arc::clone(&gauges), clock, overload }
        };
        let limits = Overload { warn: 1, shed: 10, max_queue_age: Duration::from_secs(1) };
        let (shoppers, operators) = (shedding(Some(limits)), shedding(None));
        assert_eq!(shoppers.overloaded(), Some(STARTING));
        gauges.stand(1, 0, 0, 0, [0; 32]);
        assert_eq!(shoppers.overloaded(), None);
        gauges.unconfirmed.store(Some(Arc::new("no standby".to_owned())));
        assert_eq!(shoppers.overloaded(), Some(LEDGER_UNCONFIRMED));
        assert_eq!(operators.overloaded(), None, "a halt is appended all the same");
        gauges.unconfirmed.store(None);
        assert_eq!(shoppers.overloaded(), None);
    }
}
