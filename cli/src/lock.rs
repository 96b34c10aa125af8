//! The lease that keeps two commands from pushing one sale: thirty seconds, renewed while its holder lives.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use flashsale_engine::sale::Folder;
use serde::{Deserialize, Serialize};

use crate::exit::{Exit, Failure};

/// How long a lease lasts without renewal, seconds.
const LEASE: i64 = 30;
/// How often it is renewed.
const RENEW: Duration = Duration::from_secs(10);

/// Who holds it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Lease {
    holder: String,
    host: String,
    pid: u32,
    since: jiff::Timestamp,
    renewed: jiff::Timestamp,
}

/// A held lease; given back on drop.
pub struct Held {
    path: PathBuf,
    live: Arc<AtomicBool>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.live.store(false, Relaxed);
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Takes the lease for `verb`.
pub fn take(folder: &Folder, verb: &str) -> Result<Held, Failure> {
    let path = folder.lock();
    let now = jiff::Timestamp::now();
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if let Some(lease) = std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Lease>(&bytes).ok()) {
        let age = now.as_second() - lease.renewed.as_second();
        let dead = lease.host == host && !alive(lease.pid);
        if age < LEASE && !dead && lease.pid != std::process::id() {
            let text = format!(
                "`{}` of process {} on {} has this sale since {}",
                lease.holder, lease.pid, lease.host, lease.since
            );
            return Err(Failure::new(Exit::Locked, text).help("flashsale watch; halt, resume and close always work"));
        }
    }
    let mut lease = Lease { holder: verb.to_owned(), host, pid: std::process::id(), since: now, renewed: now };
    // Of two that found it free at once, one finds it taken here.
    let _ = std::fs::remove_file(&path);
    if !first(&path, &lease)? {
        return Err(Failure::new(Exit::Locked, "another command took this sale at the same moment").help("try again"));
    }
    let live = Arc::new(AtomicBool::new(true));
    let (renewing, file) = (Arc::clone(&live), path.clone());
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(RENEW);
            if !renewing.load(Relaxed) {
                return;
            }
            lease.renewed = jiff::Timestamp::now();
            let _ = write(&file, &lease);
        }
    });
    Ok(Held { path, live })
}

/// Whether the lease is written where none was: all of it, or nothing.
fn first(path: &std::path::Path, lease: &Lease) -> Result<bool, Failure> {
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    let bytes = serde_json::to_vec(lease).map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
    std::fs::write(&beside, bytes)?;
    let linked = std::fs::hard_link(&beside, path);
    std::fs::remove_file(&beside)?;
    match linked {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        linked => Ok(linked.map(|()| true)?),
    }
}

fn write(path: &std::path::Path, lease: &Lease) -> Result<(), Failure> {
    let beside = path.with_extension("new");
    let bytes = serde_json::to_vec(lease).map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
    std::fs::write(&beside, bytes)?;
    Ok(std::fs::rename(beside, path)?)
}

/// Whether a process of this machine lives.
pub fn alive(pid: u32) -> bool {
    let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) else { return false };
    rustix::process::test_kill_process(pid).is_ok()
}
