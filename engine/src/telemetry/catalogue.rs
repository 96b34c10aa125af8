//! The one list of metrics: names, units, formulas, targets, what to do. `docs/metrics.md`, `/metrics`, the stream, the
//! war room and the report all take them from here.

/// A metric's name, as frames carry it. Prometheus puts `flashsale_` in front.
pub mod name {
    #![allow(missing_docs)] // the table below says what each is
    pub const OVERSELL_COUNT: &str = "oversell_count";
    pub const REQUEST_RATE: &str = "request_rate";
    pub const READ_RATE: &str = "read_rate";
    pub const WRITE_RATE: &str = "write_rate";
    pub const CHECKOUT_RATE: &str = "checkout_rate";
    pub const P50_READS: &str = "p50_latency_reads";
    pub const P95_READS: &str = "p95_latency_reads";
    pub const P99_READS: &str = "p99_latency_reads";
    pub const P50_WRITES: &str = "p50_latency_writes";
    pub const P95_WRITES: &str = "p95_latency_writes";
    pub const P99_WRITES: &str = "p99_latency_writes";
    pub const P50_CHECKOUT: &str = "p50_latency_checkout";
    pub const P95_CHECKOUT: &str = "p95_latency_checkout";
    pub const P99_CHECKOUT: &str = "p99_latency_checkout";
    pub const CACHE_HIT_RATE: &str = "cache_hit_rate";
    pub const QUEUE_DEPTH: &str = "queue_depth";
    pub const QUEUE_AGE: &str = "queue_age";
    pub const ERROR_RATE: &str = "error_rate";
    pub const AVAILABILITY: &str = "availability";
    pub const DEPLETION_RATE: &str = "stock_depletion_rate";
    pub const BATCH_SIZE: &str = "batch_size";
    pub const BATCH_TIME: &str = "batch_time";
    pub const PRODUCE_TIME: &str = "stage_produce";
    pub const QUEUE_TIME: &str = "stage_queue";
    pub const COMMIT_TIME: &str = "stage_commit";
    pub const REPLY_TIME: &str = "stage_reply";
    pub const CACHE_TIME: &str = "stage_cache";
    pub const UTILISATION: &str = "writer_utilisation";
    pub const CONNECTIONS: &str = "connections";
    pub const MEMORY: &str = "memory_bytes";
    pub const CPU: &str = "cpu_cores";
    pub const DECISIONS: &str = "decisions";
    pub const ANSWERS: &str = "answers";
    pub const READS: &str = "reads";
    pub const CACHE_UP: &str = "cache_up";
}

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A value now, or over the last ten seconds.
    Gauge,
    /// A count since the engine (or the run) began.
    Counter,
}

/// One metric.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Unit.
    pub unit: &'static str,
    /// How it is computed.
    pub formula: &'static str,
    /// What is wanted.
    pub target: &'static str,
    /// When someone should look.
    pub alert: &'static str,
    /// What to do then.
    pub action: &'static str,
}

const fn gauge(
    name: &'static str,
    unit: &'static str,
    formula: &'static str,
    target: &'static str,
    alert: &'static str,
    action: &'static str,
) -> Metric {
    Metric { name, kind: Kind::Gauge, unit, formula, target, alert, action }
}

/// The catalogue. Windows are the last ten seconds; percentiles are from HDR histograms of three digits.
pub const CATALOGUE: &[Metric] = &[
    gauge(
        name::OVERSELL_COUNT,
        "units",
        "sum over items of max(0, held + sold - stock)",
        "0",
        "> 0",
        "immediate escalation: the writer has stopped by itself; run `audit verify`",
    ),
    gauge(name::REQUEST_RATE, "requests/s", "all answers", "275,000", "> 300,000", "verify the edge's protection"),
    gauge(name::READ_RATE, "requests/s", "availability and product reads answered", "250,000", "", ""),
    gauge(name::WRITE_RATE, "requests/s", "reserves answered", "25,000", "", ""),
    gauge(name::CHECKOUT_RATE, "requests/s", "checkouts answered", "", "", ""),
    gauge(name::P50_READS, "ms", "median of read latency in the engine", "", "", ""),
    gauge(
        name::P95_READS,
        "ms",
        "95th percentile of read latency in the engine",
        "<= slo.read.p95 (150)",
        "> 200",
        "check the hit rate",
    ),
    gauge(name::P99_READS, "ms", "99th percentile of read latency in the engine", "", "", ""),
    gauge(name::P50_WRITES, "ms", "median of reserve latency in the engine", "", "", ""),
    gauge(
        name::P95_WRITES,
        "ms",
        "95th percentile of reserve latency in the engine",
        "<= slo.write.p95 (120)",
        "> 150",
        "check the queue",
    ),
    gauge(name::P99_WRITES, "ms", "99th percentile of reserve latency in the engine", "", "", ""),
    gauge(name::P50_CHECKOUT, "ms", "median of checkout latency in the engine", "", "", ""),
    gauge(
        name::P95_CHECKOUT,
        "ms",
        "95th percentile of checkout latency in the engine",
        "<= slo.checkout.p95 (450)",
        "",
        "check the payment provider",
    ),
    gauge(name::P99_CHECKOUT, "ms", "99th percentile of checkout latency in the engine", "", "", ""),
    gauge(
        name::CACHE_HIT_RATE,
        "share",
        "reads answered without the ledger / reads",
        "> 0.99",
        "< 0.95",
        "check the decisions feed and the cache",
    ),
    gauge(
        name::QUEUE_DEPTH,
        "commands",
        "appended and not yet decided",
        "< 100,000",
        "> 500,000",
        "the writer is falling behind: see queue_age, stage_commit",
    ),
    gauge(
        name::QUEUE_AGE,
        "ms",
        "age of the oldest undecided command",
        "<= admission.overload.max_queue_age",
        "",
        "shedding begins at the limit; see stage_commit",
    ),
    gauge(
        name::ERROR_RATE,
        "share",
        "5xx answers, those of an operator's halt apart / answers",
        "< 0.001",
        "> 0.01",
        "investigate: see answers by status",
    ),
    gauge(
        name::AVAILABILITY,
        "share",
        "1 - error_rate; 4xx and planned 429 are good, a shed 503 is bad",
        ">= slo.availability (0.999)",
        "",
        "",
    ),
    gauge(
        name::DEPLETION_RATE,
        "units/s",
        "growth of held + sold",
        "pace, when there is one",
        "deviates by 20 % while live with units available",
        "verify the allocation",
    ),
    gauge(name::BATCH_SIZE, "commands", "median of commands in a commit", "", "", ""),
    gauge(name::BATCH_TIME, "ms", "95th percentile from a batch's read to its commit", "", "", "see stage_commit"),
    gauge(name::PRODUCE_TIME, "ms", "95th percentile of an append to the log", "", "", "check the log's disk"),
    gauge(name::QUEUE_TIME, "ms", "95th percentile from a record's time to its fold", "", "", ""),
    gauge(
        name::COMMIT_TIME,
        "ms",
        "95th percentile of a ledger commit",
        "< 10",
        "",
        "check the ledger's disk and locks",
    ),
    gauge(name::REPLY_TIME, "ms", "95th percentile from commit to the last answer handed out", "", "", ""),
    gauge(name::CACHE_TIME, "ms", "95th percentile from commit to the cache's acknowledgement", "", "", ""),
    gauge(
        name::UTILISATION,
        "share",
        "time the writer is busy",
        "< 0.5 at 25,000/s",
        "> 0.8",
        "slow the sale down: pace",
    ),
    gauge(
        name::CACHE_UP,
        "0 or 1",
        "1 while the cache takes the writer's writes",
        "1",
        "0",
        "the sale goes on without it: start it again, then `prewarm`",
    ),
    gauge(name::CONNECTIONS, "connections", "open shopper connections", "", "", ""),
    gauge(name::MEMORY, "bytes", "resident memory of the engine", "", "", ""),
    gauge(name::CPU, "cores", "processor time of the engine / time", "", "", ""),
    Metric {
        name: name::DECISIONS,
        kind: Kind::Counter,
        unit: "reserves",
        formula: "reserve decisions of the run by outcome, gateways' own refusals included",
        target: "",
        alert: "",
        action: "",
    },
    Metric {
        name: name::ANSWERS,
        kind: Kind::Counter,
        unit: "answers",
        formula: "answers since the engine began by route and status",
        target: "",
        alert: "",
        action: "",
    },
    Metric {
        name: name::READS,
        kind: Kind::Counter,
        unit: "reads",
        formula: "reads since the engine began by where the answer was: `edge` (304: the copy out there was still right), \
                  `memory`, `redis` (the cache), `ledger`",
        target: "",
        alert: "",
        action: "",
    },
];

/// The catalogue as a page.
#[must_use]
pub fn page() -> String {
    let mut page = String::from(
        "# Metrics\n\nGenerated from the engine's one catalogue. Rates, shares and percentiles are over the last 10 s. \
         In Prometheus every name carries the prefix `flashsale_`.\n\n\
         | metric | kind | unit | formula | target | alert | action |\n|---|---|---|---|---|---|---|\n",
    );
    for metric in CATALOGUE {
        let kind = if metric.kind == Kind::Gauge { "gauge" } else { "counter" };
        page.push_str(&format!(
            "| `{}` | {kind} | {} | {} | {} | {} | {} |\n",
            metric.name, metric.unit, metric.formula, metric.target, metric.alert, metric.action
        ));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `FLASHSALE_WRITE_DOCS=1 cargo test -p flashsale-engine catalogue` writes the page anew.
    #[test]
    fn the_page_is_the_catalogue() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
        if std::env::var_os("FLASHSALE_WRITE_DOCS").is_some() {
            std::fs::write(path, page()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), page(), "run with FLASHSALE_WRITE_DOCS=1");
    }

    #[test]
    fn a_name_is_there_once() {
        let mut names: Vec<_> = CATALOGUE.iter().map(|metric| metric.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CATALOGUE.len());
    }
}
