//! A definition frozen by `up`, and the folder it lives in: the one place that knows the names of a sale's files.

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Definition, Process};

/// What `up` froze: written to [`Folder::frozen`], read by the engine and every later command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Frozen {
    /// The run.
    pub run: Uuid,
    /// When.
    pub frozen_at: Timestamp,
    /// The opening time, resolved; none: as soon as it is armed.
    pub opens_at: Option<Timestamp>,
    /// Messages are marked, payments are the sandbox's, names are its own.
    pub rehearsal: bool,
    /// SHA-256 of the source file, hexadecimal: a changed file is noticed.
    pub source_hash: String,
    /// The definition.
    pub definition: Definition,
}

/// Where an engine listens: the definition's addresses, with the ports that the system chose where it said 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// Shoppers.
    pub listen: std::net::SocketAddr,
    /// Operators.
    pub operator: std::net::SocketAddr,
    /// The engine's process.
    pub pid: u32,
}

/// A sale's folder in the state directory: mode 0700, made by `up`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder(PathBuf);

impl Folder {
    /// The folder of a sale.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The frozen definition of the current run.
    #[must_use]
    pub fn frozen(&self) -> PathBuf {
        self.0.join("frozen.json")
    }

    /// The sale file as `up` saw it.
    #[must_use]
    pub fn source(&self) -> PathBuf {
        self.0.join("sale.yaml")
    }

    /// The operator's token, 0600.
    #[must_use]
    pub fn operator_token(&self) -> PathBuf {
        self.0.join("operator.token")
    }

    /// The HS256 key of shoppers' tokens when the file names none: base64, 0600. Its `kid` is `local`.
    #[must_use]
    pub fn shopper_key(&self) -> PathBuf {
        self.0.join("shopper.key")
    }

    /// Where shoppers and operators are served, once they are, by the process that has the writer: [`Addresses`] as JSON.
    #[must_use]
    pub fn addresses(&self) -> PathBuf {
        self.0.join("addresses.json")
    }

    /// Where the processes that serve it say what they are: a file each, [`Process`] as JSON.
    #[must_use]
    pub fn processes(&self) -> PathBuf {
        self.0.join("processes")
    }

    /// Every process that says it serves the sale, by name. One that was killed says so until its name serves again.
    #[must_use]
    pub fn read_processes(&self) -> Vec<Process> {
        let files = std::fs::read_dir(self.processes()).into_iter().flatten().flatten();
        let read = |file: std::fs::DirEntry| serde_json::from_slice(&std::fs::read(file.path()).ok()?).ok();
        let mut all: Vec<Process> = files.filter_map(read).collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }

    /// Where the stack's servers are; absent on the embedded stack. 0600.
    #[must_use]
    pub fn services(&self) -> PathBuf {
        self.0.join("services.json")
    }

    /// The ports and passwords of the stack's servers; absent where others provide them. 0600.
    #[must_use]
    pub fn stack(&self) -> PathBuf {
        self.0.join("stack.json")
    }

    /// The data of the stack's servers, a folder each.
    #[must_use]
    pub fn servers(&self) -> PathBuf {
        self.0.join("servers")
    }

    /// Who holds the lease on `up`, `run`, `apply`, `down`.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.0.join("lock.json")
    }

    /// A process's pid file: `supervisor`, `engine` or a server. It is locked while the process lives.
    #[must_use]
    pub fn pid(&self, process: &str) -> PathBuf {
        self.0.join(format!("{process}.pid"))
    }

    /// A process's log: JSON lines.
    #[must_use]
    pub fn log(&self, process: &str) -> PathBuf {
        self.0.join("logs").join(format!("{process}.jsonl"))
    }

    /// A server's log, as it writes it.
    #[must_use]
    pub fn server_log(&self, server: &str) -> PathBuf {
        self.0.join("logs").join(format!("{server}.log"))
    }

    /// A run's data: `log.db`, `ledger.db`, `payments.db`, `events.jsonl`, `recording.jsonl`.
    #[must_use]
    pub fn run(&self, run: Uuid) -> PathBuf {
        self.0.join("runs").join(run.to_string())
    }

    /// Reads the frozen definition.
    ///
    /// # Errors
    /// When there is none, or it is not readable as one.
    pub fn read_frozen(&self) -> io::Result<Frozen> {
        let bytes = std::fs::read(self.frozen())?;
        serde_json::from_slice(&bytes).map_err(io::Error::other)
    }

    /// Writes it: to a file beside it, synced, then renamed.
    ///
    /// # Errors
    /// The file system's.
    pub fn write_frozen(&self, frozen: &Frozen) -> io::Result<()> {
        let bytes = serde_json::to_vec_pretty(frozen).map_err(io::Error::other)?;
        let beside = self.0.join("frozen.json.new");
        std::fs::write(&beside, bytes)?;
        std::fs::File::open(&beside)?.sync_all()?;
        std::fs::rename(&beside, self.frozen())
    }
}
