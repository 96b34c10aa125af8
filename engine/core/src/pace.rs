//! The pace of grants: an integer token bucket over log time.

use serde::{Deserialize, Serialize};

/// A token is a thousandth of a unit, so that a bucket fills by `rate` tokens a millisecond.
const UNIT: u64 = 1_000;
/// The bucket holds what this long brings, and at least one unit, ms.
const DEPTH_MS: u64 = 100;

/// Grants a second, if there is a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pace {
    rate: Option<u32>,
    tokens: u64,
}

impl Pace {
    pub(crate) const fn new(rate: Option<u32>) -> Self {
        Self { rate, tokens: UNIT }
    }

    pub(crate) const fn rate(&self) -> Option<u32> {
        self.rate
    }

    pub(crate) fn set_rate(&mut self, rate: Option<u32>) {
        self.rate = rate;
        self.tokens = self.tokens.min(self.depth());
    }

    pub(crate) fn advance(&mut self, millis: u64) {
        if let Some(rate) = self.rate {
            self.tokens = self.tokens.saturating_add(u64::from(rate).saturating_mul(millis)).min(self.depth());
        }
    }

    /// Takes one unit's tokens, if they are there.
    pub(crate) const fn take(&mut self) -> bool {
        if self.rate.is_none() {
            return true;
        }
        if self.tokens < UNIT {
            return false;
        }
        self.tokens -= UNIT;
        true
    }

    fn depth(&self) -> u64 {
        self.rate.map_or(UNIT, |rate| (u64::from(rate) * DEPTH_MS).max(UNIT))
    }
}
