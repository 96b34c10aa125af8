//! Everything a report says, gathered from what was kept: the recording, the audit, the crowd. What was not measured
//! is said to be so.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;

use flashsale_engine::audit::verify::Audit;
use flashsale_engine::operator::wire::{Frame, ItemStatusLine, Note};
use flashsale_engine::sale::Frozen;
use flashsale_engine::telemetry::catalogue::name;
use flashsale_engine::telemetry::collect::whole;
use serde::Serialize;

use crate::crowd::Outcome;
use crate::exit::Failure;

/// One promise and how it was kept.
#[derive(Debug, Clone, Serialize)]
pub struct SloLine {
    /// Which.
    pub name: &'static str,
    /// What was promised.
    pub target: String,
    /// What was measured, over the whole run.
    pub measured: String,
    /// Kept; none: not measured.
    pub kept: Option<bool>,
}

/// One invariant and its evidence.
#[derive(Debug, Clone, Serialize)]
pub struct Invariant {
    /// I1 to I7.
    pub id: &'static str,
    /// What it says.
    pub says: &'static str,
    /// It holds.
    pub holds: bool,
    /// How one knows.
    pub evidence: String,
}

/// One moment of the charts; seconds since the opening.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Moment {
    /// Seconds since T0.
    pub at: f64,
    /// Metrics by name; absent where nothing was measured.
    pub values: BTreeMap<&'static str, f64>,
}

/// The report.
#[derive(Debug, Clone, Serialize)]
pub struct Facts {
    /// The sale.
    pub sale: String,
    /// The run.
    pub run: String,
    /// A rehearsal.
    pub rehearsal: bool,
    /// When this was written, UTC.
    pub written_at: String,
    /// UTC.
    pub opened_at: Option<String>,
    /// UTC.
    pub closed_at: Option<String>,
    /// The last numbers.
    pub items: Vec<ItemStatusLine>,
    /// Sold and not refunded.
    pub orders: u64,
    /// Smallest unit.
    pub revenue_minor: i64,
    /// ISO 4217.
    pub currency: String,
    /// All answers.
    pub requests: f64,
    /// The highest ten-second rate, requests a second.
    pub peak_rps: Option<f64>,
    /// The deepest queue that was seen, commands.
    pub deepest_queue: Option<f64>,
    /// The oldest queue that was seen, ms.
    pub oldest_queue: Option<f64>,
    /// The limits that shed.
    pub queue_limits: String,
    /// The lowest hit rate that was seen.
    pub lowest_hit_rate: Option<f64>,
    /// Reserve decisions by outcome.
    pub decisions: BTreeMap<String, f64>,
    /// Answers by route and status.
    pub answers: BTreeMap<String, f64>,
    /// Promises.
    pub slo: Vec<SloLine>,
    /// Invariants.
    pub invariants: Vec<Invariant>,
    /// The audit.
    pub audit: Audit,
    /// The crowd, less its reservations.
    pub crowd: Option<Outcome>,
    /// Reservations that somebody was told about and that are not there.
    pub lost: Vec<String>,
    /// The timeline.
    pub timeline: Vec<(String, Note)>,
    /// The series.
    pub moments: Vec<Moment>,
}

const SERIES: [&str; 8] = [
    name::READ_RATE,
    name::WRITE_RATE,
    name::P50_WRITES,
    name::P95_WRITES,
    name::P99_WRITES,
    name::P95_READS,
    name::QUEUE_DEPTH,
    name::QUEUE_AGE,
];

impl Facts {
    /// Gathers.
    pub fn gather(
        frozen: &Frozen,
        run: &Path,
        audit: Audit,
        crowd: Option<Outcome>,
        lost: Vec<String>,
    ) -> Result<Self, Failure> {
        let frames = frames(run)?;
        let last = frames.last();
        let status = last.map(|frame| &frame.status);
        let opened = status.and_then(|status| status.opened_at);
        let definition = &frozen.definition;
        let overload = &definition.admission.overload;
        let metric =
            |wanted: &str| frames.iter().filter_map(|frame| frame.metrics.get(wanted).copied()).reduce(f64::max);
        let labelled = |prefix: &str| -> BTreeMap<String, f64> {
            let lines = last.into_iter().flat_map(|frame| &frame.metrics);
            let found = lines.filter(|(key, value)| key.starts_with(prefix) && key.contains('{') && **value > 0.0);
            found.map(|(key, value)| (labels(key), *value)).collect()
        };
        let answers = labelled(&format!("{}{{", name::ANSWERS));
        let invariants = invariants(&audit, &lost, crowd.as_ref(), reserve_answers(&frames));
        let slo = slo(frozen, &frames);
        let timeline = frames.iter().flat_map(|frame| &frame.notes).map(|note| (utc(note.at), note.clone())).collect();
        Ok(Self {
            sale: definition.sale.clone(),
            run: frozen.run.to_string(),
            rehearsal: frozen.rehearsal,
            written_at: jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
            opened_at: opened.map(utc),
            closed_at: status.and_then(|status| status.closed_at).map(utc),
            items: status.map(|status| status.items.clone()).unwrap_or_default(),
            orders: status.map_or(0, |status| status.orders),
            revenue_minor: audit.captured_minor,
            currency: status.map(|status| status.currency.clone()).unwrap_or_default(),
            requests: answers.values().sum(),
            peak_rps: metric(name::REQUEST_RATE),
            deepest_queue: metric(name::QUEUE_DEPTH),
            oldest_queue: metric(name::QUEUE_AGE),
            queue_limits: format!("{} commands or {} ms", overload.shed, overload.max_queue_age.as_millis()),
            lowest_hit_rate: frames
                .iter()
                .filter_map(|frame| frame.metrics.get(name::CACHE_HIT_RATE).copied())
                .reduce(f64::min),
            decisions: labelled(&format!("{}{{", name::DECISIONS)),
            answers,
            slo,
            invariants,
            audit,
            crowd: crowd.map(|crowd| Outcome { acknowledged: Vec::new(), ..crowd }),
            lost,
            timeline,
            moments: frames.iter().map(|frame| moment(frame, opened)).collect(),
        })
    }
}

fn frames(run: &Path) -> Result<Vec<Frame>, Failure> {
    let Ok(file) = std::fs::File::open(run.join("recording.jsonl")) else { return Ok(Vec::new()) };
    let mut frames = Vec::new();
    for line in BufReader::new(file).lines() {
        // A line torn by a crash is no frame.
        if let Ok(frame) = serde_json::from_str(&line?) {
            frames.push(frame);
        }
    }
    Ok(frames)
}

/// `decisions{outcome="granted"}` is `granted`; of several labels, their values.
fn labels(key: &str) -> String {
    key.split('"').skip(1).step_by(2).collect::<Vec<_>>().join(" ")
}

fn utc(at: i64) -> String {
    jiff::Timestamp::from_millisecond(at)
        .map_or("-".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M:%S%.3f UTC").to_string())
}

#[allow(clippy::cast_precision_loss)]
fn moment(frame: &Frame, opened: Option<i64>) -> Moment {
    let status = &frame.status;
    let at = (status.now - opened.unwrap_or(status.now)) as f64 / 1_000.0;
    let mut values: BTreeMap<&'static str, f64> =
        SERIES.iter().filter_map(|name| Some((*name, *frame.metrics.get(*name)?))).collect();
    values.insert("sold", status.items.iter().map(|item| f64::from(item.sold)).sum());
    values.insert("held", status.items.iter().map(|item| f64::from(item.held)).sum());
    Moment { at, values }
}

/// The whole run's percentiles; an engine that was restarted began anew, and its worst part counts.
fn slo(frozen: &Frozen, frames: &[Frame]) -> Vec<SloLine> {
    let promised = &frozen.definition.slo;
    let worst = |metric: &str| {
        let key = whole(metric);
        let mut by_engine: BTreeMap<u32, f64> = BTreeMap::new();
        for frame in frames {
            if let Some(value) = frame.metrics.get(&key) {
                by_engine.insert(frame.status.pid, *value);
            }
        }
        by_engine.into_values().reduce(f64::max)
    };
    let latency = |name: &'static str, metric: &str, target: std::time::Duration| {
        let limit = target.as_secs_f64() * 1_000.0;
        let measured = worst(metric);
        SloLine {
            name,
            target: format!("<= {limit:.0} ms"),
            measured: measured.map_or("not measured".to_owned(), |value| format!("{value:.1} ms")),
            kept: measured.map(|value| value <= limit),
        }
    };
    let (mut all, mut bad) = (0.0, 0.0);
    if let Some(last) = frames.last() {
        for (key, count) in &last.metrics {
            if let Some(labels) = key.strip_prefix("answers{") {
                all += count;
                if labels.contains("status=\"5") {
                    bad += count;
                }
            }
        }
    }
    let good = (all > 0.0).then(|| 1.0 - bad / all);
    vec![
        latency("read P95", name::P95_READS, promised.read.p95),
        latency("write P95", name::P95_WRITES, promised.write.p95),
        latency("checkout P95", name::P95_CHECKOUT, promised.checkout.p95),
        SloLine {
            name: "availability",
            target: format!(">= {:.2} %", promised.availability * 100.0),
            measured: good.map_or("not measured".to_owned(), |good| format!("{:.3} %", good * 100.0)),
            kept: good.map(|good| good >= promised.availability),
        },
    ]
}

/// Reserve answers that engines counted: each engine's last word, which a crash may make a second old.
fn reserve_answers(frames: &[Frame]) -> f64 {
    let mut by_engine: BTreeMap<u32, f64> = BTreeMap::new();
    for frame in frames {
        let of_reserve = |(key, count): (&String, &f64)| key.contains("route=\"reserve\"").then_some(*count);
        let counts = frame.metrics.iter().filter(|(key, _)| key.starts_with(name::ANSWERS)).filter_map(of_reserve);
        by_engine.insert(frame.status.pid, counts.sum());
    }
    by_engine.into_values().sum()
}

/// I7: decisions and tallies beside the answers, and what may be missing.
#[allow(clippy::cast_precision_loss)]
fn accounted(audit: &Audit, answered: f64) -> String {
    let known = audit.granted + audit.refused + audit.tallied;
    let crashed: Vec<String> = audit
        .boots
        .iter()
        .filter(|boot| boot.may_miss() > 0)
        .map(|boot| format!("gateway {} boot {} at most {}", boot.gateway, boot.boot, boot.may_miss()))
        .collect();
    let missing = if crashed.is_empty() { "nobody".to_owned() } else { crashed.join(", ") };
    format!(
        "granted {}, refused {}, tallied {}: {known} decided; the engines counted {answered:.0} answers, the difference \
         of {:+.0} being retries answered once more and requests refused before any decision; not tallied by: {missing}",
        audit.granted,
        audit.refused,
        audit.tallied,
        answered - known as f64
    )
}

fn invariants(audit: &Audit, lost: &[String], crowd: Option<&Outcome>, answered: f64) -> Vec<Invariant> {
    let found = |check: &str| audit.findings.iter().filter(|finding| finding.check.contains(check)).count();
    let one = |id: &'static str, says: &'static str, evidence: String| Invariant {
        id,
        says,
        holds: found(id) == 0,
        evidence,
    };
    let told =
        crowd.map_or("no crowd was watching".to_owned(), |_| format!("{} told reservations are missing", lost.len()));
    let mut lines = vec![
        one("I1", "no oversell", format!("{} units oversold in {} replayed records", audit.oversold, audit.records)),
        one("I2", "nothing told is lost", told),
        one("I3", "one grant per request, limits kept", "recounted from the replay".to_owned()),
        one("I4", "a hold ends exactly once", "recounted from the replay".to_owned()),
        one("I5", "money matches the provider's records", format!("{} payments still open", audit.open_payments.len())),
        one("I6", "the replay gives the ledger's digest", format!("digest {}", audit.digest)),
        one("I7", "every answer is accounted for", accounted(audit, answered)),
    ];
    lines[1].holds &= lost.is_empty();
    // A difference in the chain or the log puts all of them in doubt.
    if found("chain") + found("log") + found("outbox") > 0 {
        lines.iter_mut().for_each(|line| line.holds = false);
    }
    lines
}
