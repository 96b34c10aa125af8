//! Reserve decisions end to end over HTTP on the durable embedded stack, with the crowd on the same cores: latencies
//! from the intended start at an offered 25,000 a second, and what is answered when far more is offered. Two cases: the
//! sale's mix (10,000 units, the rest refused) and all winners. `cargo bench -p flashsale`; about two minutes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::path::Path;
use std::process::{Command, Stdio};

/// Seconds of storm in each case.
const SECONDS: u32 = 8;

fn main() {
    // `cargo test --benches` only asks whether this builds.
    if !std::env::args().any(|word| word == "--bench") {
        return;
    }
    println!("case          offered/s  answered/s   P50 ms   P95 ms   P99 ms  crowd us/req  engine cores  verdict");
    for (case, stock) in [("sale's mix", 10_000), ("all winners", 5_000_000)] {
        for rate in [25_000, 60_000] {
            println!("{}", measure(case, stock, rate));
        }
    }
    println!("latency from the intended start; a crowd that could not offer its rate is said to be weak");
}

fn measure(case: &str, stock: u32, rate: u32) -> String {
    let folder = tempfile::tempdir().unwrap();
    let shoppers = rate * (SECONDS + 1);
    let sale = format!(
        "sale: bench\nopens_at: \"in 6s\"\nduration: {}s\nhold: {}s\n\
         items: [{{ sku: S, stock: {stock}, price: \"1.00 USD\" }}]\n\
         engine: {{ listen: \"127.0.0.1:0\", operator_listen: \"127.0.0.1:0\" }}\n\
         admission: {{ overload: {{ max_queue_age: 5s, shed: 1000000, warn: 100000 }} }}\n\
         slo: {{ write: {{ p95: 10s }} }}\n\
         crowd:\n  shoppers: {shoppers}\n  connections: 2000\n  arrivals:\n    - {{ at: 0s, looks: 0/s, reserves: {rate}/s }}\n\
         \x20   - {{ at: {SECONDS}s, looks: 0/s, reserves: {rate}/s }}\n  people: {{ pay: 0%, cancel: 0%, declined: 0% }}\n",
        SECONDS + 6,
        SECONDS + 6,
    );
    std::fs::write(folder.path().join("sale.yaml"), sale).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_flashsale"))
        .args(["run", "sale.yaml", "--yes", "--output", "json", "--out", "report"])
        .current_dir(folder.path())
        .env("FLASHSALE_STATE_DIR", folder.path().join("state"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let Ok(report) = std::fs::read(folder.path().join("report/report.json")) else {
        return format!("{case:<12}  {rate:>9}  failed: {told}");
    };
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    let crowd = &report["crowd"];
    let latency = &crowd["latency"]["reserve"];
    let number = |value: &serde_json::Value| value.as_f64().unwrap_or(f64::NAN);
    let strong = number(&crowd["offered"]) >= number(&crowd["asked"]) * 0.98;
    let verdict = if strong { "" } else { "weak crowd" };
    format!(
        "{case:<12}  {:>9.0}  {:>10.0}  {:>7.1}  {:>7.1}  {:>7.1}  {:>12.1}  {:>12.2}  {verdict}",
        number(&crowd["offered"]) / f64::from(SECONDS),
        number(&latency["count"]) / f64::from(SECONDS),
        number(&latency["p50"]),
        number(&latency["p95"]),
        number(&latency["p99"]),
        number(&crowd["cpu_us"]),
        cores(folder.path()),
    )
}

/// The engine's processor use at its highest, from the recording.
fn cores(folder: &Path) -> f64 {
    let runs = folder.join("state/bench/runs");
    let run = std::fs::read_dir(runs).unwrap().next().unwrap().unwrap().path();
    let recording = std::fs::read_to_string(run.join("recording.jsonl")).unwrap_or_default();
    recording
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()?["metrics"]["cpu_cores"].as_f64())
        .fold(0.0, f64::max)
}
