//! After the sale: replay everything, look for every reservation that somebody was told about, write the report.

use std::collections::BTreeMap;
use std::path::PathBuf;

use flashsale_core::{HoldNumber, HoldStatus};
use flashsale_engine::audit::verify::Audit;
use flashsale_engine::compose::Stores;
use flashsale_engine::id::Ids;

use super::{Journey, Summary};
use crate::commands::audit;
use crate::crowd::Outcome;
use crate::exit::{Exit, Failure};
use crate::report::{self, facts::Facts};

/// Proves and reports.
pub fn prove(journey: &Journey<'_>) -> Result<Summary, Failure> {
    let audit = audit::verify(&journey.folder, &journey.frozen)?;
    let crowd: Option<Outcome> = std::fs::read(journey.run_folder().join("crowd.json"))
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let lost = match &crowd {
        Some(crowd) => lost(journey, crowd)?,
        None => Vec::new(),
    };
    journey
        .say("audit", &serde_json::json!({ "passes": audit.passes(), "records": audit.records, "lost": lost.len() }))?;
    let facts = Facts::gather(&journey.frozen, &journey.run_folder(), audit.clone(), crowd.clone(), lost.clone())?;
    let folder = journey.out.clone().unwrap_or_else(|| {
        PathBuf::from("reports").join(format!("{}-{}", journey.frozen.definition.sale, journey.frozen.run))
    });
    let reports = report::write(&facts, &folder, &journey.frozen.definition.report.formats)?;
    let (exit, verdict) = verdict(&facts, &audit, crowd.as_ref(), lost.len());
    Ok(Summary { exit: exit.code(), verdict, reports })
}

/// The first that applies: a violated invariant, a missed SLO, a crowd that was too weak.
fn verdict(facts: &Facts, audit: &Audit, crowd: Option<&Outcome>, lost: usize) -> (Exit, String) {
    let units: u64 = facts.items.iter().map(|item| u64::from(item.stock)).sum();
    let told = format!("{} of {units} units sold, {} oversold", audit.sold, audit.oversold);
    if !audit.passes() || lost > 0 {
        return (Exit::Violated, format!("INVARIANT VIOLATED: {} differences, {lost} lost; {told}", audit.differences));
    }
    let missed: Vec<&str> = facts.slo.iter().filter(|line| line.kept == Some(false)).map(|line| line.name).collect();
    if !missed.is_empty() {
        return (Exit::Missed, format!("SLO missed: {}; {told}; the books are right", missed.join(", ")));
    }
    if let Some(weak) = crowd.filter(|crowd| !crowd.strong()) {
        let text = format!("the crowd was too weak: offered {} of {}; {told}", weak.offered, weak.asked);
        return (Exit::Unavailable, text);
    }
    (Exit::Done, format!("{told}; every SLO that was measured is kept; the books are right"))
}

/// Reservations that somebody was told about and the ledger does not have, or has otherwise (I2).
fn lost(journey: &Journey<'_>, crowd: &Outcome) -> Result<Vec<String>, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::new(Exit::Failed, error.to_string());
    let rows = crate::runtime()?.block_on(async {
        let stores = Stores::open_reader(&journey.folder, &journey.frozen).await.map_err(|error| failed(&error))?;
        stores.history.rows().await.map_err(|error| failed(&error))
    })?;
    let known: BTreeMap<HoldNumber, HoldStatus> =
        rows.holds.iter().map(|row| (row.view.hold, row.view.status)).collect();
    let ids = Ids::new(journey.frozen.run);
    let wrong = |told: &&crate::crowd::Acknowledged| {
        let status = ids.hold(&told.reservation).and_then(|hold| known.get(&hold));
        match (told.status.as_str(), status) {
            (_, None) => true,
            ("CONFIRMED", Some(status)) => !matches!(status, HoldStatus::Confirmed | HoldStatus::Refunded),
            ("CANCELLED", Some(status)) => *status != HoldStatus::Cancelled,
            _ => false,
        }
    };
    Ok(crowd.acknowledged.iter().filter(wrong).map(|told| format!("{} {}", told.reservation, told.status)).collect())
}
