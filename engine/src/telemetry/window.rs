//! The last ten seconds: of counters as rates, of values as percentiles.

use std::collections::VecDeque;

use hdrhistogram::Histogram;

/// Whole seconds in a window, beside the one that is running.
const SECONDS: usize = 10;

/// A counter's growth over the window.
#[derive(Debug, Default)]
pub(super) struct Rate(VecDeque<(f64, f64)>);

impl Rate {
    /// The counter stands at `value` at `seconds`; answers its growth a second over the window.
    pub(super) fn at(&mut self, seconds: f64, value: f64) -> f64 {
        self.0.push_back((seconds, value));
        while self.0.len() > 2 && self.0.front().is_some_and(|(at, _)| seconds - at > SECONDS as f64) {
            self.0.pop_front();
        }
        match self.0.front() {
            Some((at, first)) if seconds > *at => (value - first) / (seconds - at),
            _ => 0.0,
        }
    }
}

/// Percentiles over the window, by whole seconds.
#[derive(Debug, Default)]
pub(super) struct Percentiles {
    /// None: a second in which nothing was recorded.
    seconds: VecDeque<Option<Histogram<u64>>>,
    running: Option<Histogram<u64>>,
    whole: Option<Histogram<u64>>,
    merged: Option<Histogram<u64>>,
}

impl Percentiles {
    /// Adds what was recorded since the last call.
    pub(super) fn add(&mut self, recorded: &Histogram<u64>) {
        match &mut self.running {
            // Both have the same bounds, so that adding cannot fail.
            Some(running) => drop(running.add(recorded)),
            None => self.running = Some(recorded.clone()),
        }
    }

    /// A second is over.
    pub(super) fn turn(&mut self) {
        let over = self.running.take();
        if let Some(over) = &over {
            match &mut self.whole {
                Some(whole) => drop(whole.add(over)),
                None => self.whole = Some(over.clone()),
            }
        }
        self.seconds.push_back(over);
        while self.seconds.len() > SECONDS {
            self.seconds.pop_front();
        }
        let mut all: Option<Histogram<u64>> = None;
        for second in self.seconds.iter().flatten() {
            match &mut all {
                Some(all) => drop(all.add(second)),
                None => all = Some(second.clone()),
            }
        }
        self.merged = all;
    }

    /// A percentile of the window's whole seconds; none when nothing was recorded.
    pub(super) fn value(&self, percentile: f64) -> Option<f64> {
        let merged = self.merged.as_ref()?;
        #[allow(clippy::cast_precision_loss)] // microseconds below a minute
        Some(merged.value_at_percentile(percentile) as f64)
    }

    /// A percentile of everything since the engine began.
    pub(super) fn whole(&self, percentile: f64) -> Option<f64> {
        let whole = self.whole.as_ref().filter(|whole| !whole.is_empty())?;
        #[allow(clippy::cast_precision_loss)]
        Some(whole.value_at_percentile(percentile) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_the_growth_over_ten_seconds() {
        let mut rate = Rate::default();
        assert_eq!(rate.at(0.0, 100.0), 0.0);
        assert_eq!(rate.at(2.0, 300.0), 100.0);
        for second in 3..=20 {
            rate.at(f64::from(second), 300.0);
        }
        assert_eq!(rate.at(21.0, 300.0), 0.0);
    }

    #[test]
    fn percentiles_forget_after_ten_seconds() {
        let mut window = Percentiles::default();
        let mut recorded = Histogram::new_with_max(1_000_000, 3).unwrap();
        recorded.record(5_000).unwrap();
        window.add(&recorded);
        assert_eq!(window.value(95.0), None, "only whole seconds count");
        window.turn();
        assert!((window.value(95.0).unwrap() - 5_000.0).abs() < 10.0);
        for _ in 0..SECONDS {
            window.turn();
        }
        assert_eq!(window.value(95.0), None);
    }
}
