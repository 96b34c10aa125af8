//! A server as a process that outlives whoever started it, and is found again by a lock that lives exactly as long.
//!
//! The server's standard input is its pid file, which is locked: the lock belongs to the open file, so it is held until
//! the last process of the server is gone, and by nobody else, whatever process has its number later.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use flashsale_engine::sale::Folder;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::account::Account;
use super::error::StackError;

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(25);
/// How long a server may take to answer.
const READY: Duration = Duration::from_secs(90);
/// How long a server may take to stop in good order before it is killed.
const STOP: Duration = Duration::from_secs(20);
/// A look at the lock takes it for a moment: whoever wants it tries so often.
const LOCK_TRIES: u32 = 40;
/// A log of more bytes is put aside at the next start; one such is kept.
const LARGEST_LOG: u64 = 16 << 20;
/// Bytes of a log's end that an error repeats.
const REPEATED: i64 = 2_000;

/// A server as a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Background {
    /// Its name: of its pid file, its log, its data.
    pub name: String,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Further environment.
    pub environment: Vec<(&'static str, OsString)>,
    /// Where it runs.
    pub folder: PathBuf,
    /// As whom it runs; none: as who starts it.
    pub account: Option<Account>,
    /// The signal that stops it in good order.
    pub stop: Signal,
    /// Ports that must be free before it starts.
    pub ports: Vec<u16>,
}

impl Background {
    /// Whether any process of it lives.
    #[must_use]
    pub fn running(&self, folder: &Folder) -> bool {
        running(folder, &self.name)
    }

    /// Starts it unless it runs.
    ///
    /// # Errors
    /// When it cannot be started, or one of its ports is another's.
    pub fn start(&self, folder: &Folder) -> Result<Option<Child>, StackError> {
        let path = folder.pid(&self.name);
        let at = StackError::at;
        let lock = File::options().create(true).truncate(false).read(true).write(true).open(&path);
        let mut lock = lock.map_err(at(&path))?;
        if !locked(&lock) {
            return Ok(None);
        }
        for port in &self.ports {
            if std::net::TcpListener::bind(("127.0.0.1", *port)).is_err() {
                return Err(StackError::PortInUse { server: self.name.clone(), port: *port });
            }
        }
        lock.set_len(0).map_err(at(&path))?;
        let log = self.open_log(folder)?;
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).envs(self.environment.iter().cloned()).current_dir(&self.folder);
        command.stdin(lock.try_clone().map_err(at(&path))?).stderr(log.try_clone().map_err(at(&path))?);
        // A group of its own: what a terminal sends to whoever started it does not reach it.
        std::os::unix::process::CommandExt::process_group(command.stdout(Stdio::from(log)), 0);
        Account::take(self.account, &mut command);
        let child = command.spawn().map_err(at(&self.program))?;
        writeln!(lock, "{}", child.id()).map_err(at(&path))?;
        Ok(Some(child))
    }

    fn open_log(&self, folder: &Folder) -> Result<File, StackError> {
        let path = folder.server_log(&self.name);
        let open = || {
            if let Some(above) = path.parent() {
                std::fs::create_dir_all(above)?;
            }
            if path.metadata().is_ok_and(|about| about.len() > LARGEST_LOG) {
                std::fs::rename(&path, path.with_extension("log.old"))?;
            }
            File::options().create(true).append(true).open(&path)
        };
        open().map_err(StackError::at(&path))
    }

    /// Waits until it answers a question.
    ///
    /// # Errors
    /// When it ends, or does not answer in time.
    pub async fn answers<Answer: Future<Output = bool>>(
        &self,
        folder: &Folder,
        question: impl Fn() -> Answer,
    ) -> Result<(), StackError> {
        let begun = Instant::now();
        loop {
            if question().await {
                return Ok(());
            }
            let what = match () {
                () if !self.running(folder) => "ended".to_owned(),
                () if begun.elapsed() > READY => format!("did not answer within {} s", READY.as_secs()),
                () => {
                    tokio::time::sleep(LOOK).await;
                    continue;
                }
            };
            return Err(StackError::NotReady { server: self.name.clone(), what, log: self.end_of_log(folder) });
        }
    }

    fn end_of_log(&self, folder: &Folder) -> String {
        let mut end = Vec::new();
        let read = File::open(folder.server_log(&self.name)).and_then(|mut log| {
            // A shorter log is read from its beginning.
            let _ = log.seek(SeekFrom::End(-REPEATED));
            log.read_to_end(&mut end)
        });
        read.map_or_else(|error| error.to_string(), |_| String::from_utf8_lossy(&end).trim_end().to_owned())
    }

    /// Asks it to stop; nothing happens where it does not run.
    pub fn ask_to_stop(&self, folder: &Folder) {
        if let Some(pid) = self.pid(folder) {
            let _ = kill_process(pid, self.stop);
        }
    }

    /// Waits until it is gone; kills it when it takes too long.
    pub async fn gone(&self, folder: &Folder) {
        let begun = Instant::now();
        while self.running(folder) {
            if begun.elapsed() > STOP {
                self.kill(folder);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Kills it and whatever it started.
    pub fn kill(&self, folder: &Folder) {
        if let Some(pid) = self.pid(folder) {
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }

    /// Its process, while it lives.
    #[must_use]
    pub fn pid(&self, folder: &Folder) -> Option<Pid> {
        if !self.running(folder) {
            return None;
        }
        let text = std::fs::read_to_string(folder.pid(&self.name)).ok()?;
        text.trim().parse().ok().and_then(Pid::from_raw)
    }
}

/// Whether a process holds its pid file.
#[must_use]
pub fn running(folder: &Folder, name: &str) -> bool {
    File::open(folder.pid(name)).is_ok_and(|file| file.try_lock_shared().is_err())
}

fn locked(lock: &File) -> bool {
    for _ in 0..LOCK_TRIES {
        if lock.try_lock().is_ok() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}
