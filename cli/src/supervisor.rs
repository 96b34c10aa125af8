//! One detached process a sale that keeps its engine running: a closed terminal stops nothing.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use flashsale_engine::sale::{Addresses, Folder};
use process_wrap::std::{CommandWrap, ProcessSession};
use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};

use crate::exit::{Exit, Failure};
use crate::place;

/// The shortest and the longest pause before a restart.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));
/// Restarts in a minute before it gives up and says so.
const MOST_RESTARTS: usize = 10;
/// How long `up` waits for the engine.
const READY: Duration = Duration::from_secs(30);
/// How long a stop waits before it kills.
const STOP: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(50);

/// Why the engine is not running, left for whoever asks.
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
    File::open(folder.pid(process)).is_ok_and(|file| file.try_lock_shared().is_err())
}

/// Starts the supervisor unless it runs, and waits until the engine answers.
pub fn start(folder: &Folder) -> Result<Addresses, Failure> {
    if !running(folder, "supervisor") {
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
    let begun = Instant::now();
    loop {
        if let Some(addresses) = place::addresses(folder)
            && std::net::TcpStream::connect_timeout(&addresses.operator, Duration::from_secs(1)).is_ok()
        {
            return Ok(addresses);
        }
        if let Some(ended) = fs::read(ended_file(folder)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
            return Err(gave_up(&ended));
        }
        if begun.elapsed() > READY {
            let text = format!("the engine did not answer within {} s", READY.as_secs());
            return Err(Failure::new(Exit::Unavailable, text).help("flashsale logs"));
        }
        std::thread::sleep(LOOK);
    }
}

fn gave_up(ended: &Ended) -> Failure {
    let exit = match ended.exit {
        98 => Exit::Violated,
        69 => Exit::Unavailable,
        65 => Exit::BadFile,
        _ => Exit::Failed,
    };
    Failure::new(exit, format!("the engine does not run: {}", ended.message)).help("flashsale logs")
}

/// Stops supervisor and engine in good order; true when there was something to stop.
pub fn stop(folder: &Folder) -> Result<bool, Failure> {
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
    Ok(stopped)
}

fn terminate(pid_file: &Path, signal: rustix::process::Signal) {
    let pid = fs::read_to_string(pid_file).ok().and_then(|text| text.trim().parse::<i32>().ok());
    if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// The supervisor itself: runs until told to stop, or until the engine cannot be kept running.
pub async fn supervise(folder: &Folder) -> Result<Exit, Failure> {
    let mut lock = File::options().create(true).truncate(false).write(true).open(folder.pid("supervisor"))?;
    if lock.try_lock().is_err() {
        return Err(Failure::new(Exit::Locked, "another supervisor has this sale"));
    }
    lock.set_len(0)?;
    writeln!(lock, "{}", std::process::id())?;
    let mut stops = signal(SignalKind::terminate())?;
    // The terminal it was started from may go.
    let _hangup = signal(SignalKind::hangup())?;
    let mut restarts: Vec<Instant> = Vec::new();
    let mut pause = PAUSES.0;
    loop {
        let mut engine = engine(folder)?;
        let begun = Instant::now();
        let status = tokio::select! {
            status = engine.wait() => status?,
            _ = stops.recv() => return end(&mut engine).await,
        };
        tracing::warn!(?status, "the engine ended");
        match status.code() {
            Some(0) => return Ok(Exit::Done),
            // Trying again cannot help: the file, the log or the ledger is wrong.
            Some(65 | 98) => return Ok(Exit::Failed),
            Some(69) if begun.elapsed() < Duration::from_secs(5) && restarts.is_empty() => {
                return Ok(Exit::Unavailable);
            }
            _ => {}
        }
        let now = Instant::now();
        restarts.retain(|at| now.duration_since(*at) < Duration::from_secs(60));
        restarts.push(now);
        if restarts.len() > MOST_RESTARTS {
            let message = format!("{MOST_RESTARTS} restarts in a minute: given up, the sale is down");
            tracing::error!("{message}");
            leave_word(folder, &Ended { exit: 1, message });
            return Ok(Exit::Failed);
        }
        if begun.elapsed() > Duration::from_secs(60) {
            pause = PAUSES.0;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stops.recv() => return Ok(Exit::Done),
        }
        pause = (pause * 2).min(PAUSES.1);
    }
}

fn engine(folder: &Folder) -> io::Result<tokio::process::Child> {
    let log = File::options().create(true).append(true).open(folder.log("supervisor"))?;
    tokio::process::Command::new(std::env::current_exe()?)
        .args(["engine", "serve", "--folder"])
        .arg(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
}

async fn end(engine: &mut tokio::process::Child) -> Result<Exit, Failure> {
    if let Some(pid) = engine.id().and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
    if tokio::time::timeout(STOP, engine.wait()).await.is_err() {
        engine.kill().await?;
    }
    Ok(Exit::Done)
}
