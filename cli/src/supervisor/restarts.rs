//! When something that ended is started again, and when that is too often.

use std::time::{Duration, Instant};

/// The shortest and the longest pause before a restart.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));
/// Restarts in a minute before it is too many.
pub const MOST: usize = 10;
const MINUTE: Duration = Duration::from_secs(60);

/// The restarts of one process.
#[derive(Debug)]
pub struct Restarts {
    recent: Vec<Instant>,
    pause: Duration,
}

impl Restarts {
    /// Of a process that was never restarted.
    pub const fn new() -> Self {
        Self { recent: Vec::new(), pause: PAUSES.0 }
    }

    /// Notes that it ended: how long to wait before it is started again; the wait grows while it keeps ending.
    pub fn ended(&mut self, now: Instant) -> Duration {
        if self.recent.last().is_none_or(|last| now.duration_since(*last) > MINUTE) {
            self.pause = PAUSES.0;
        }
        self.recent.retain(|at| now.duration_since(*at) < MINUTE);
        self.recent.push(now);
        let pause = self.pause;
        self.pause = (pause * 2).min(PAUSES.1);
        pause
    }

    /// Whether it was restarted at all of late.
    pub fn none(&self) -> bool {
        self.recent.is_empty()
    }

    /// Whether somebody must be told.
    pub fn too_many(&self) -> bool {
        self.recent.len() > MOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_are_forgotten_after_a_quiet_minute() {
        let (mut restarts, mut now) = (Restarts::new(), Instant::now());
        let pauses: Vec<u128> = (0..7).map(|_| restarts.ended(now).as_millis()).collect();
        assert_eq!(pauses, [200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
        assert!(!restarts.too_many());
        for _ in 0..4 {
            restarts.ended(now);
        }
        assert!(restarts.too_many(), "the eleventh in a minute");
        now += MINUTE + Duration::from_secs(1);
        assert_eq!(restarts.ended(now), PAUSES.0);
        assert!(!restarts.too_many());
    }
}
