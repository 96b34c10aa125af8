//! The supervisor itself: the servers first, then the engine; whatever ends is started again.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};

use flashsale_engine::sale::Folder;
use tokio::signal::unix::{SignalKind, signal};

use super::restarts::{MOST, Restarts};
use super::{Ended, STOP, leave_word};
use crate::exit::{Exit, Failure};
use crate::place;
use crate::stack::{Plan, Running};

/// How often the servers are looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Runs until told to stop, or until the sale cannot be kept running.
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
    let mut servers = tokio::select! {
        started = Servers::start(folder) => match started {
            Ok(servers) => servers,
            Err(failure) => {
                tracing::error!(%failure, "the servers do not start");
                leave_word(folder, &Ended { exit: failure.exit.code(), message: failure.message });
                return Ok(failure.exit);
            }
        },
        _ = stops.recv() => return Ok(Exit::Done),
    };
    let mut restarts = Restarts::new();
    loop {
        let mut engine = engine(folder)?;
        let begun = Instant::now();
        let status = tokio::select! {
            status = engine.wait() => status?,
            never = servers.keep() => match never {},
            _ = stops.recv() => return end(&mut engine).await,
        };
        tracing::warn!(?status, "the engine ended");
        match status.code() {
            Some(0) => return Ok(Exit::Done),
            // Trying again cannot help: the file, the log or the ledger is wrong.
            Some(65 | 98) => return Ok(Exit::Failed),
            Some(69) if begun.elapsed() < Duration::from_secs(5) && restarts.none() => {
                return Ok(Exit::Unavailable);
            }
            _ => {}
        }
        let pause = restarts.ended(Instant::now());
        if restarts.too_many() {
            let message = format!("{MOST} restarts in a minute: given up, the sale is down");
            tracing::error!("{message}");
            leave_word(folder, &Ended { exit: 1, message });
            return Ok(Exit::Failed);
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            never = servers.keep() => match never {},
            _ = stops.recv() => return Ok(Exit::Done),
        }
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

/// The servers of the stack; none where others provide them.
struct Servers {
    running: Option<Running>,
    restarts: HashMap<String, (Restarts, Option<Instant>)>,
}

impl Servers {
    async fn start(folder: &Folder) -> Result<Self, Failure> {
        let running = match Plan::of(&place::frozen(folder)?.definition.stack) {
            Some(plan) => Some(Running::start(folder, &plan).await?),
            None => None,
        };
        Ok(Self { running, restarts: HashMap::new() })
    }

    /// Starts again whatever ended, each with its own pauses. It never gives up: a sale goes on without its cache, and
    /// waits for its log and its ledger.
    async fn keep(&mut self) -> Infallible {
        loop {
            tokio::time::sleep(LOOK).await;
            if let Some(running) = &mut self.running {
                look(running, &mut self.restarts, Instant::now());
            }
        }
    }
}

fn look(running: &mut Running, all: &mut HashMap<String, (Restarts, Option<Instant>)>, now: Instant) {
    running.reap();
    let folder = running.folder().clone();
    let ended = running.servers().iter().filter(|server| !server.running(&folder)).map(|server| server.name.clone());
    for name in ended.collect::<Vec<_>>() {
        let (restarts, due) = all.entry(name.clone()).or_insert_with(|| (Restarts::new(), None));
        match due {
            None => {
                *due = Some(now + restarts.ended(now));
                if restarts.too_many() {
                    tracing::error!(server = %name, page = true, "more than {MOST} restarts in a minute");
                } else {
                    tracing::warn!(server = %name, "a server ended");
                }
            }
            Some(at) if *at <= now => {
                *due = None;
                if let Err(error) = running.restart(&name) {
                    tracing::error!(server = %name, %error, "a server does not start");
                }
            }
            Some(_) => {}
        }
    }
}
