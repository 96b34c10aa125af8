//! How a command ends.

use std::process::ExitCode;

/// The exit codes as `--help` lists them.
pub const TABLE: &str = "\
Exit codes, the first that applies:
  98  an invariant is violated        65  a file is wrong
  99  an SLO was missed               64  the command line is wrong
  77  approval needed or denied        1  failed
  75  locked by another command        0  done
  69  something needed is missing    130  detached by Ctrl-C (143: by a signal); the sale goes on";

/// An exit code by its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0
    Done,
    /// 1
    Failed,
    /// 64
    Usage,
    /// 65
    BadFile,
    /// 69
    Unavailable,
    /// 75
    Locked,
    /// 77
    Denied,
    /// 98
    Violated,
    /// 99
    Missed,
    /// 130
    Interrupted,
    /// 143
    Terminated,
}

impl Exit {
    /// The process's exit code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 64,
            Self::BadFile => 65,
            Self::Unavailable => 69,
            Self::Locked => 75,
            Self::Denied => 77,
            Self::Violated => 98,
            Self::Missed => 99,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command failed, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What failed, and where.
    pub message: String,
    /// What to do instead.
    pub help: Option<String>,
}

impl Failure {
    /// A failure with no advice.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), help: None }
    }

    /// The same with advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(Exit::Failed, error.to_string())
    }
}

/// Prints clap's own complaint (or help, or version) and answers its code: 64 in place of clap's 2.
pub fn usage(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() }
}
