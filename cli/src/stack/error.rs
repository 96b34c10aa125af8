//! Why there is no stack.

use std::io;
use std::path::{Path, PathBuf};

use crate::exit::{Exit, Failure};

/// Why there is no stack.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// A program that this machine has not.
    #[error("{0} is not installed here")]
    Missing(&'static str),
    /// A server that ended, or did not answer in time, with the end of its log.
    #[error("{server} {what}\n{log}")]
    NotReady {
        /// Its name.
        server: String,
        /// What it did instead.
        what: String,
        /// The last lines of its log.
        log: String,
    },
    /// A tool that prepares a server's data failed.
    #[error("{tool} failed: {said}")]
    Tool {
        /// Its name.
        tool: String,
        /// What it said.
        said: String,
    },
    /// A port that somebody else took while the server was down.
    #[error("{server}: 127.0.0.1:{port} is in use by another process")]
    PortInUse {
        /// Whose port it is.
        server: String,
        /// The port.
        port: u16,
    },
    /// The folder's servers hold the data of another number of them.
    #[error("this sale's servers were made by other numbers under stack.process")]
    OtherServers,
    /// A former primary, after a standby was promoted.
    #[error("{server} stays down: {by} was promoted over it")]
    PromotedOver {
        /// The former primary.
        server: String,
        /// The primary.
        by: String,
    },
    /// PostgreSQL refused something.
    #[error("postgres: {0}")]
    Postgres(#[from] sqlx::Error),
    /// Redis refused something.
    #[error("redis: {0}")]
    Redis(#[from] ::redis::RedisError),
    /// The file system's.
    #[error("{path}: {error}")]
    File {
        /// Where.
        path: PathBuf,
        /// What.
        error: io::Error,
    },
}

impl StackError {
    /// Names the file that an error is about.
    pub fn at(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        |error| Self::File { path: path.to_owned(), error }
    }
}

impl From<StackError> for Failure {
    fn from(error: StackError) -> Self {
        let help = match &error {
            StackError::Missing(_) => "flashsale doctor",
            StackError::PortInUse { .. } => "ss -ltnp shows who has it",
            StackError::PromotedOver { .. } => "look at what it has and the other has not, then make it a standby",
            StackError::OtherServers => "keep the numbers, or let the old data go: flashsale down --delete-data",
            _ => "flashsale logs PROCESS shows the rest",
        };
        let exit = match &error {
            StackError::OtherServers => Exit::BadFile,
            StackError::File { .. } => Exit::Failed,
            _ => Exit::Unavailable,
        };
        Self::new(exit, error.to_string()).help(help)
    }
}
