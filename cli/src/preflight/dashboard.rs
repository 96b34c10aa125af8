//! Dashboard visible with key metrics.

use super::{Finding, Scene, judged, within};

/// The customer's names.
const KEY: [&str; 8] = [
    "oversell_count",
    "request_rate",
    "p95_latency_reads",
    "p95_latency_writes",
    "cache_hit_rate",
    "queue_depth",
    "error_rate",
    "stock_depletion_rate",
];

pub(super) async fn check(scene: &Scene<'_>) -> Finding {
    let text = match within(scene.client.metrics()).await {
        Ok(text) => text,
        Err(error) => return judged(false, format!("/metrics: {error}")),
    };
    let missing: Vec<&str> =
        KEY.into_iter().filter(|name| !text.contains(&format!("# HELP flashsale_{name} "))).collect();
    if !missing.is_empty() {
        return judged(false, format!("/metrics does not have {}", missing.join(", ")));
    }
    let value = |name: &str| {
        let start = format!("flashsale_{name} ");
        text.lines().find_map(|line| line.strip_prefix(&start)).unwrap_or("nothing yet").to_owned()
    };
    let values: Vec<String> = KEY.iter().map(|name| format!("{name} {}", value(name))).collect();
    judged(true, format!("all {} at /metrics, /v1/stream and in `flashsale watch`: {}", KEY.len(), values.join(", ")))
}
