//! `flashsale doctor`

use std::io::Write;
use std::net::TcpListener;
use std::time::Instant;

use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::stack::needs::{self, NEEDS, Need};
use crate::stack::{Plan, StackError};
use crate::{definition, output, place};

/// Open files that a sale should be allowed.
const FILES: u64 = 16_384;
/// Syncs that are timed.
const SYNCS: usize = 50;

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// A sale file whose addresses and servers are checked too
    file: Option<String>,
    /// Check only for the servers that provider process starts
    #[arg(long, conflicts_with = "file")]
    servers: bool,
    /// Install the servers' programs that are missing, after asking
    #[arg(long)]
    fix: bool,
}

/// One check.
#[derive(Debug, Serialize)]
struct Check {
    what: &'static str,
    good: bool,
    /// Whether anything that is asked for fails without it.
    needed: bool,
    found: String,
    remedy: String,
}

/// Looks whether this machine can run a sale.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Exit, Failure> {
    let mut checks = Vec::new();
    if !arguments.servers {
        checks.extend([open_files(), state(context)?, syncs(context)?]);
    }
    let mut servers = arguments.servers || arguments.fix;
    if let Some(file) = &arguments.file {
        let definition = definition::load(file, &[])?.definition;
        servers |= Plan::of(&definition.stack).is_some();
        for address in [definition.engine.listen, definition.engine.operator_listen] {
            checks.push(port(address));
        }
    }
    if arguments.fix {
        fix(context)?;
    }
    checks.extend(NEEDS.iter().map(|need| program(need, servers)));
    let good = checks.iter().all(|check| check.good || !check.needed);
    output::answer(context, &checks, || {
        let line = |check: &Check| {
            let word = match check {
                Check { good: true, .. } => "ok  ",
                Check { needed: true, .. } => "FAIL",
                Check { .. } => "-   ",
            };
            let remedy = if check.good { String::new() } else { format!("\n     {}", check.remedy) };
            format!("{word} {:<16} {}{remedy}", check.what, check.found)
        };
        checks.iter().map(line).collect::<Vec<_>>().join("\n")
    })?;
    Ok(if good { Exit::Done } else { Exit::Unavailable })
}

/// Installs what is missing of the servers' programs, after asking.
fn fix(context: &Context) -> Result<(), Failure> {
    let missing: Vec<&Need> = NEEDS.iter().filter(|need| (need.find)().is_err()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut steps: Vec<String> = needs::commands(&missing).iter().map(|words| words.join(" ")).collect();
    if missing.iter().any(|need| need.what == "Kafka") {
        steps.push("fetch Kafka by Maven".to_owned());
    }
    output::note(&format!("missing: {}", missing.iter().map(|need| need.what).collect::<Vec<_>>().join(", ")));
    output::agree(context, &steps.join(", then "))?;
    Ok(needs::install(&missing)?)
}

fn program(need: &Need, needed: bool) -> Check {
    let found = (need.find)();
    let text = match &found {
        Ok(path) => path.display().to_string(),
        Err(StackError::Missing(what)) => format!("{what} is not here: provider process needs it"),
        Err(error) => error.to_string(),
    };
    Check { what: need.what, good: found.is_ok(), needed, found: text, remedy: needs::remedy(need) }
}

fn open_files() -> Check {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
    Check {
        what: "open files",
        good: limit >= FILES,
        needed: true,
        found: format!("{limit} allowed"),
        remedy: format!("ulimit -n {FILES}"),
    }
}

fn state(context: &Context) -> Result<Check, Failure> {
    let path = place::state_dir(context)?;
    let made = std::fs::create_dir_all(&path).and_then(|()| std::fs::metadata(&path));
    let found = match &made {
        Ok(_) => format!("{} is writable", path.display()),
        Err(error) => format!("{}: {error}", path.display()),
    };
    Ok(Check { what: "state", good: made.is_ok(), needed: true, found, remedy: "use --state-dir DIR".to_owned() })
}

/// The log syncs every record: how long that takes here, measured.
fn syncs(context: &Context) -> Result<Check, Failure> {
    let path = place::state_dir(context)?.join("doctor.tmp");
    let mut file = std::fs::File::create(&path)?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let begun = Instant::now();
        file.write_all(&[0; 4_096])?;
        file.sync_data()?;
        times.push(begun.elapsed());
    }
    std::fs::remove_file(&path)?;
    times.sort();
    let p95 = times[SYNCS * 95 / 100];
    Ok(Check {
        what: "disk",
        good: p95.as_millis() < 20,
        needed: true,
        found: format!("a synced write takes {:.1} ms (P95 of {SYNCS})", p95.as_secs_f64() * 1_000.0),
        remedy: "keep the state directory on a faster disk".to_owned(),
    })
}

fn port(address: std::net::SocketAddr) -> Check {
    let bound = TcpListener::bind(address);
    Check {
        what: "address",
        good: bound.is_ok(),
        needed: true,
        found: bound.as_ref().map_or_else(|error| format!("{address}: {error}"), |_| format!("{address} is free")),
        remedy: format!("free {address} (ss -ltnp shows who has it), or change it in the file"),
    }
}
