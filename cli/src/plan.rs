//! What a sale will need, from its definition alone. Formulas and assumptions: docs/planning.md.

use flashsale_engine::sale::Definition;
use serde::Serialize;

/// A ledger commit of a batch on the embedded stack, seconds, and what each further command adds: measured.
const COMMIT: (f64, f64) = (0.001_5, 0.000_012);
/// An append to the embedded log, synced, seconds: measured P95.
const APPEND: f64 = 0.001_3;
/// The most commands in one commit.
const BATCH: f64 = 4_096.0;
/// Stored bytes a grant (log, rows, audit) and a refusal (log, audit): measured.
const BYTES: (u64, u64) = (420, 60);

/// What is predicted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// Units in all.
    pub units: u64,
    /// Seconds from the opening until every unit is held, if as many come as promised.
    pub depletion_seconds: f64,
    /// Share of the writer that `slo.write.rps` takes.
    pub utilisation: f64,
    /// 95th percentile of a reserve at that rate, ms.
    pub write_p95_ms: f64,
    /// Connections at the peak: requests in flight by Little's law, doubled.
    pub connections: u64,
    /// Bytes on disk after the sale.
    pub stored_bytes: u64,
    /// What cannot work, and what to do instead.
    pub refusals: Vec<String>,
}

/// Predicts.
pub fn plan(definition: &Definition) -> Plan {
    let units: u64 = definition.items.iter().map(|item| u64::from(item.stock)).sum();
    let writes = f64::from(definition.slo.write.rps.unwrap_or(0));
    #[allow(clippy::cast_precision_loss)]
    let stock = units as f64;
    let pace = definition.pace.map_or(writes, f64::from).min(writes).max(1.0);
    // Group commit: a batch is what came while the last one committed; the service time of a command falls with it.
    let (fixed, each) = COMMIT;
    let utilisation = writes * each;
    let batch = if utilisation < 1.0 { (writes * fixed / (1.0 - utilisation)).clamp(1.0, BATCH) } else { BATCH };
    let commit = fixed + batch * each;
    // It waits for the running batch and for its own; at the 95th percentile both are twice as long.
    let write_p95_ms = 1_000.0 * 2.0 * (APPEND + 2.0 * commit) / (1.0 - utilisation.min(0.99)).max(0.01);
    let mut refusals = Vec::new();
    if utilisation >= 0.8 {
        refusals.push(format!(
            "slo.write.rps: {writes:.0}/s takes {:.0} % of the writer; at most {:.0}/s on this stack",
            utilisation * 100.0,
            0.8 / each
        ));
    } else if write_p95_ms > definition.slo.write.p95.as_secs_f64() * 1_000.0 {
        refusals.push(format!("slo.write.p95: {write_p95_ms:.0} ms are predicted; promise more, or fewer writes"));
    }
    let reads = f64::from(definition.slo.read.rps.unwrap_or(0));
    let flying = reads * 0.002 + writes * write_p95_ms / 1_000.0;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let connections = (2.0 * flying).ceil() as u64;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let refused = (writes * 30.0) as u64;
    Plan {
        units,
        depletion_seconds: stock / pace,
        utilisation,
        write_p95_ms,
        connections,
        stored_bytes: units * BYTES.0 + refused * BYTES.1,
        refusals,
    }
}

impl Plan {
    /// For people.
    pub fn text(&self) -> String {
        #[allow(clippy::cast_precision_loss)]
        let megabytes = self.stored_bytes as f64 / 1e6;
        format!(
            "units              {}\nall held after     {:.1} s\nwriter busy        {:.0} %\nreserve P95        {:.1} ms\n\
             connections        {}\nstored             {megabytes:.0} MB\n(formulas and assumptions: docs/planning.md)",
            self.units,
            self.depletion_seconds,
            self.utilisation * 100.0,
            self.write_p95_ms,
            self.connections,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(sets: &[&str]) -> Plan {
        let text = include_str!("../../sale-configs/smallest.yaml");
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        plan(&flashsale_engine::sale::read(text, "smallest.yaml", &sets).unwrap().definition)
    }

    #[test]
    fn the_customer_s_sale_works_and_three_times_its_writes_do_not() {
        let usual = planned(&[]);
        assert_eq!((usual.units, usual.refusals.len()), (10_000, 0), "{usual:?}");
        assert!(usual.utilisation < 0.5, "25,000/s must use under half of the writer");
        assert!(planned(&["pace=400"]).depletion_seconds > 24.9);
        assert_eq!(planned(&["slo.write.rps=75000"]).refusals.len(), 1);
        assert_eq!(planned(&["slo.write.p95=1ms"]).refusals.len(), 1);
    }
}
