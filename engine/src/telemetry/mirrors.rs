//! The gauges of other processes' gateways, as this process last saw them: their growth is added to mirrors, which frames
//! are made from like from one's own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use hdrhistogram::Histogram;

use crate::gateway::gauges::GatewayGauges;
use crate::gateway::inside::{Shown, read};

/// Mirrors by the gateways' names.
#[derive(Debug, Default)]
pub struct Mirrors(Mutex<BTreeMap<String, Mirror>>);

#[derive(Debug, Default)]
struct Mirror {
    gauges: Arc<GatewayGauges>,
    /// The process that was seen last; another one begins its counts anew.
    pid: u32,
    counters: Vec<u64>,
    latencies: [Option<Histogram<u64>>; 3],
}

impl Mirrors {
    /// What a gateway shows now.
    pub fn see(&self, name: &str, pid: u32, shown: &Shown) {
        let mut mirrors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mirror = mirrors.entry(name.to_owned()).or_default();
        if mirror.pid != pid {
            (mirror.pid, mirror.counters, mirror.latencies) = (pid, Vec::new(), Default::default());
        }
        mirror.counters.resize(shown.counters.len(), 0);
        let growth: Vec<u64> =
            shown.counters.iter().zip(&mirror.counters).map(|(now, before)| now.saturating_sub(*before)).collect();
        mirror.gauges.grow(&growth, shown.connections);
        mirror.counters.clone_from(&shown.counters);
        let stages = [&mirror.gauges.reads, &mirror.gauges.writes, &mirror.gauges.checkouts];
        for ((stage, text), before) in stages.into_iter().zip(&shown.latencies).zip(&mut mirror.latencies) {
            let Some(now) = read(text) else { continue };
            let mut growth = now.clone();
            // What a process shows only grows: subtracting what it showed before cannot fail.
            if before.as_ref().is_none_or(|before| growth.subtract(before).is_ok()) {
                stage.merge(&growth);
            }
            *before = Some(now);
        }
    }

    /// A gateway does not answer: nobody is connected to it as far as is known.
    pub fn miss(&self, name: &str) {
        if let Some(mirror) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name) {
            mirror.gauges.grow(&[], 0);
        }
    }

    /// All of them, with their names.
    #[must_use]
    pub fn all(&self) -> Vec<(String, Arc<GatewayGauges>)> {
        let mirrors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        mirrors.iter().map(|(name, mirror)| (name.clone(), Arc::clone(&mirror.gauges))).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::gateway::gate::GateFlag;
    use crate::gateway::inside::Inside;
    use crate::gateway::routes::Route;

    #[test]
    fn a_mirror_grows_as_its_gateway_does_also_over_a_restart() {
        let (mirrors, own) = (Mirrors::default(), Arc::new(GatewayGauges::default()));
        let inside = Inside::new(vec![Arc::clone(&own)], Arc::new(GateFlag::default()), String::new());
        let answer = |count: u64| (0..count).for_each(|_| own.answered(Route::Reserve, 201, Duration::from_millis(3)));
        answer(5);
        mirrors.see("gateway-1", 7, &inside.shown());
        answer(2);
        mirrors.see("gateway-1", 7, &inside.shown());
        mirrors.see("gateway-1", 7, &inside.shown());
        let mirror = &mirrors.all()[0].1;
        assert_eq!(mirror.answers()[&("reserve", 201)], 7);
        assert_eq!(mirror.writes.take().map(|taken| taken.len()), Some(7));
        mirrors.see("gateway-1", 8, &inside.shown());
        assert_eq!(mirror.answers()[&("reserve", 201)], 14, "another process");
        assert_eq!(mirror.writes.take().map(|taken| taken.len()), Some(7));
    }
}
