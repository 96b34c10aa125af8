//! One detached process a sale that keeps its engine and its stack's servers running: a closed terminal stops nothing.
//!
//! `keep` is that process; `restarts` says when something is started again, and when that is too often.

mod keep;
mod restarts;

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use flashsale_engine::operator::wire::Status;
use flashsale_engine::sale::{Addresses, Folder, Provider};
use process_wrap::std::{CommandWrap, ProcessSession};
use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::exit::{Exit, Failure};
use crate::stack::{Plan, Running, background, external};
use crate::{output, place};

pub use keep::supervise;

/// How long `up` waits for the engine.
const READY: Duration = Duration::from_secs(30);
/// How much longer, where servers are made and started before it: at their first start Kafka may have to be fetched.
const SERVERS_READY: Duration = Duration::from_secs(300);
/// How long a stop waits before it kills.
const STOP: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(50);

/// Why the sale is not running, left for whoever asks.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ended {
    /// The engine's exit code.
    pub exit: u8,
    /// What it said.
    pub message: String,
}

fn ended_file(folder: &Folder) -> std::path::PathBuf {
    folder.path().join("ended.json")
}

/// Leaves a word for `up`.
pub fn leave_word(folder: &Folder, ended: &Ended) {
    if let Ok(bytes) = serde_json::to_vec(ended) {
        let _ = fs::write(ended_file(folder), bytes);
    }
}

/// Whether a process holds its pid file.
pub fn running(folder: &Folder, process: &str) -> bool {
    background::running(folder, process)
}

/// Starts the supervisor unless it runs, and waits until the engine answers.
pub fn start(folder: &Folder) -> Result<Addresses, Failure> {
    let stack = place::frozen(folder)?.definition.stack;
    let servers = Plan::of(&stack);
    let limit = if servers.is_some() { READY + SERVERS_READY } else { READY };
    if !running(folder, "supervisor") {
        if stack.provider == Provider::External {
            crate::runtime()?.block_on(external::provide(folder, &stack.external))?;
        }
        let _ = fs::remove_file(ended_file(folder));
        if !running(folder, "engine") {
            let _ = fs::remove_file(folder.addresses());
        }
        let log = File::options().create(true).append(true).open(folder.log("supervisor"))?;
        let program = std::env::current_exe()?;
        let mut command = CommandWrap::with_new(program, |command| {
            command.arg("supervise").arg("--folder").arg(folder.path()).current_dir("/");
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        });
        command.wrap(ProcessSession);
        command.spawn()?;
    }
    if servers.is_some() {
        output::note("starting PostgreSQL, Redis and Kafka, then the engine");
    }
    let begun = Instant::now();
    loop {
        if let Some(addresses) = place::addresses(folder)
            && std::net::TcpStream::connect_timeout(&addresses.operator, Duration::from_secs(1)).is_ok()
        {
            return Ok(addresses);
        }
        if let Some(ended) = ended(folder) {
            let failure = gave_up(&ended);
            if failure.exit == Exit::Unavailable {
                // Nothing was lost, and nothing is left behind.
                stop(folder)?;
            }
            return Err(failure);
        }
        if begun.elapsed() > limit {
            let text = format!("the engine did not answer within {} s", limit.as_secs());
            return Err(Failure::new(Exit::Unavailable, text).help("flashsale logs"));
        }
        std::thread::sleep(LOOK);
    }
}

/// Waits until the engine has become the sale's writer: it may answer before it finds that its log is damaged.
pub async fn seated(folder: &Folder, client: &Client) -> Result<Status, Failure> {
    let begun = Instant::now();
    loop {
        match client.status().await {
            Ok(status) if status.writer.epoch > 0 && status.writer.next_offset > 0 => return Ok(status),
            Ok(_) | Err(_) => {}
        }
        if let Some(ended) = ended(folder) {
            return Err(gave_up(&ended));
        }
        if begun.elapsed() > READY {
            let text = format!("the engine did not become the writer within {} s", READY.as_secs());
            return Err(Failure::new(Exit::Unavailable, text).help("flashsale logs"));
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn ended(folder: &Folder) -> Option<Ended> {
    serde_json::from_slice(&fs::read(ended_file(folder)).ok()?).ok()
}

fn gave_up(ended: &Ended) -> Failure {
    let exit = match ended.exit {
        98 => Exit::Violated,
        69 => Exit::Unavailable,
        65 => Exit::BadFile,
        _ => Exit::Failed,
    };
    Failure::new(exit, format!("the sale does not run: {}", ended.message)).help("flashsale logs")
}

/// Stops supervisor, engine and servers in good order; true when there was something to stop.
pub fn stop(folder: &Folder) -> Result<bool, Failure> {
    let mut stopped = stop_engine(folder);
    if let Some(servers) = Running::known(folder)? {
        stopped |= servers.servers().iter().any(|server| server.running(folder));
        crate::runtime()?.block_on(servers.stop());
    }
    Ok(stopped)
}

/// Stops supervisor and engine; the servers stay. True when there was something to stop.
pub fn stop_engine(folder: &Folder) -> bool {
    let mut stopped = false;
    for process in ["supervisor", "engine"] {
        if !running(folder, process) {
            continue;
        }
        stopped = true;
        terminate(&folder.pid(process), rustix::process::Signal::TERM);
        let begun = Instant::now();
        while running(folder, process) {
            if begun.elapsed() > STOP {
                terminate(&folder.pid(process), rustix::process::Signal::KILL);
            }
            std::thread::sleep(LOOK);
        }
    }
    let _ = fs::remove_file(folder.addresses());
    stopped
}

fn terminate(pid_file: &Path, signal: rustix::process::Signal) {
    let pid = fs::read_to_string(pid_file).ok().and_then(|text| text.trim().parse::<i32>().ok());
    if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}
