//! Many seeds: over threads, each seed on one; the first that fails, and figures.

use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use crate::arguments::Arguments;
use crate::faults::Fault;
use crate::seed::{self, Verdict};
use crate::sim::lock;

/// What the runs came to.
pub struct Report {
    /// For people.
    pub text: String,
    /// No seed failed.
    pub passes: bool,
}

/// Sums over seeds.
#[derive(Default)]
struct Sums {
    seeds: u64,
    commands: u64,
    steps: u64,
    lasted_ms: u128,
    damaged: u64,
    /// How often each fault happened.
    faults: Vec<u64>,
    /// The lowest seed that failed, with what it violated, and its trace.
    failed: Option<(u64, String, u64)>,
    /// Of all traces, in the order of seeds.
    traces: u64,
}

impl Sums {
    fn add(&mut self, seed: u64, verdict: &Verdict) {
        self.seeds += 1;
        self.commands += verdict.commands;
        self.steps += verdict.ending.steps;
        self.lasted_ms += verdict.ending.lasted.as_millis();
        self.damaged += u64::from(verdict.damaged);
        self.faults.resize(Fault::COUNT, 0);
        for (sum, count) in self.faults.iter_mut().zip(verdict.faults) {
            *sum += count;
        }
        self.traces = self.traces.wrapping_add(crate::chance::mix(verdict.ending.hash ^ seed));
        if let Some(what) = &verdict.ending.failure {
            self.fail(seed, what.clone(), verdict.ending.hash);
        }
    }

    fn fail(&mut self, seed: u64, what: String, hash: u64) {
        if self.failed.as_ref().is_none_or(|(lowest, ..)| seed < *lowest) {
            self.failed = Some((seed, what, hash));
        }
    }
}

/// Runs every seed, or until one fails: then those below it too, so that the lowest is named.
pub fn run(arguments: &Arguments) -> Report {
    let begun = Instant::now();
    let (next, sums) = (AtomicU64::new(arguments.seeds.start), Mutex::new(Sums::default()));
    std::thread::scope(|scope| {
        for _ in 0..arguments.jobs {
            scope.spawn(|| work(arguments, &next, &sums));
        }
    });
    let sums = sums.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut text = String::new();
    if arguments.trace {
        story(arguments, &sums, &mut text);
    }
    figures(&sums, begun.elapsed().as_secs_f64(), arguments.jobs, &mut text);
    if let Some((seed, what, hash)) = &sums.failed {
        let _ = writeln!(text, "seed {seed} FAILED: {what}\n  trace {hash:016x}");
        let switch = arguments.switch.map(|switch| format!(" --switch {}", switch.name())).unwrap_or_default();
        let _ = write!(text, "  again, with its story: simulate --seeds {seed}{switch} --trace");
    } else {
        let _ = write!(text, "every seed kept every invariant and came to rest; traces {:016x}", sums.traces);
    }
    Report { text, passes: sums.failed.is_none() }
}

fn work(arguments: &Arguments, next: &AtomicU64, sums: &Mutex<Sums>) {
    loop {
        let seed = next.fetch_add(1, Relaxed);
        if seed >= arguments.seeds.end || lock(sums).failed.as_ref().is_some_and(|(lowest, ..)| *lowest < seed) {
            return;
        }
        match seed::run(seed, arguments.switch, false) {
            Ok(verdict) => lock(sums).add(seed, &verdict),
            Err(error) => lock(sums).fail(seed, format!("it could not begin: {error}"), 0),
        }
    }
}

fn story(arguments: &Arguments, sums: &Sums, text: &mut String) {
    let seed = sums.failed.as_ref().map_or(arguments.seeds.start, |(seed, ..)| *seed);
    if let Ok(verdict) = seed::run(seed, arguments.switch, true) {
        for line in verdict.ending.story {
            let _ = writeln!(text, "{line}");
        }
    }
}

fn figures(sums: &Sums, seconds: f64, jobs: usize, text: &mut String) {
    let Sums { seeds, commands, steps, damaged, .. } = sums;
    let hours = sums.lasted_ms as f64 / 3_600_000.0;
    let rate = *seeds as f64 / seconds.max(1e-9);
    let _ = writeln!(
        text,
        "{seeds} seeds, {commands} commands, {steps} steps, {hours:.1} h of simulated time; {damaged} ended with a damaged \
         log\n{seconds:.1} s on {jobs} threads: {rate:.0} seeds a second"
    );
    for fault in Fault::ALL {
        let _ = writeln!(text, "{:>10}  {}", sums.faults.get(fault as usize).copied().unwrap_or(0), fault.name());
    }
}
