//! Reserve decisions end to end over HTTP on the durable embedded stack, with the crowd on the same cores: latencies
//! from the intended start at an offered 25,000 a second, and what is answered when far more is offered. Two cases: the
//! sale's mix (10,000 units, the rest refused) and all winners. `cargo bench -p flashsale --bench reserve`; about two minutes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod rows;

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use rows::{Goal, Rows};

/// Seconds of storm in each case.
const SECONDS: u32 = 8;

fn main() {
    // `cargo test --benches` only asks whether this builds.
    if !std::env::args().any(|word| word == "--bench") {
        return;
    }
    let mut rows = Rows::of("reserve");
    floor(&mut rows);
    for (case, stock) in [("sale's mix", 10_000), ("all winners", 5_000_000)] {
        for (rate, goals) in [(25_000, true), (60_000, false)] {
            measure(&mut rows, case, stock, rate, goals);
        }
    }
}

/// What this disk asks for a sync of one page: no durable decision is faster.
fn floor(rows: &mut Rows) {
    let folder = tempfile::tempdir().unwrap();
    let mut file = File::create(folder.path().join("page")).unwrap();
    let mut millis: Vec<f64> = (0..300)
        .map(|_| {
            file.write_all(&[7; 4_096]).unwrap();
            let begun = Instant::now();
            file.sync_data().unwrap();
            begun.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    millis.sort_by(f64::total_cmp);
    let how = "300 appends of 4 KiB, each with fdatasync";
    rows.add("floor: a sync of this disk, P50", millis[150], "ms", Goal::Told, how);
    rows.add("floor: a sync of this disk, P95", millis[285], "ms", Goal::Told, how);
}

fn measure(rows: &mut Rows, case: &str, stock: u32, rate: u32, goals: bool) {
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
    let what = |figure: &str| format!("reserve, {case}, {rate}/s: {figure}");
    let Ok(report) = std::fs::read(folder.path().join("report/report.json")) else {
        return rows.not_measured(&what("all"), &told);
    };
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    let crowd = &report["crowd"];
    let latency = &crowd["latency"]["reserve"];
    let number = |value: &serde_json::Value| value.as_f64().unwrap_or(f64::NAN);
    let strong = number(&crowd["offered"]) >= number(&crowd["asked"]) * 0.98;
    let how = format!(
        "durable, {SECONDS} s, 2,000 connections, crowd on the same cores; offered {:.0}/s{}",
        number(&crowd["offered"]) / f64::from(SECONDS),
        if strong { "" } else { ": a weak crowd" }
    );
    let goal = |goal| if goals { goal } else { Goal::Told };
    let answered = number(&latency["count"]) / f64::from(SECONDS);
    rows.add(&what("answered"), answered, "/s", goal(Goal::AtLeast(f64::from(rate) * 0.98)), &how);
    rows.add(&what("P50 from the intended start"), number(&latency["p50"]), "ms", Goal::Told, &how);
    rows.add(&what("P95 from the intended start"), number(&latency["p95"]), "ms", goal(Goal::AtMost(10.0)), &how);
    rows.add(&what("P99 from the intended start"), number(&latency["p99"]), "ms", Goal::Told, &how);
    rows.add(&what("crowd's processor time a request"), number(&crowd["cpu_us"]), "us", goal(Goal::AtMost(10.0)), &how);
    rows.add(&what("engine's processors, at the most"), cores(folder.path()), "cores", Goal::Told, &how);
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
