//! `flashsale engine serve`, and the supervisor around it.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use flashsale_engine::compose::{ServeError, Serving, serve};
use flashsale_engine::sale::{Folder, Role};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::supervisor::{self, Ended};

/// Days of logs that are kept.
const LOG_FILES: usize = 14;
/// The longest name of a process, characters.
const LONGEST_NAME: usize = 40;

/// Arguments of `engine`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Serve a sale's folder in the foreground, until SIGTERM
    Serve(Serve),
}

/// Which folder.
#[derive(Debug, Args)]
pub struct Place {
    /// The sale's folder, as `up` made it
    #[arg(long)]
    folder: PathBuf,
}

/// Which folder, and as what.
#[derive(Debug, Args)]
pub struct Serve {
    #[command(flatten)]
    place: Place,
    /// What this process does; all but `all` need a stack of servers
    #[arg(long, value_enum, default_value_t = Part::All)]
    role: Part,
    /// What it is called, ending in its number: allocator-2, gateway-3 [default: engine, allocator-1, gateway-1]
    #[arg(long)]
    name: Option<String>,
    /// Where it serves shoppers [default: engine.listen]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Where it serves operators [default: engine.operator_listen, the port after it for allocator-2, and so on]
    #[arg(long, value_name = "ADDRESS")]
    operator_listen: Option<SocketAddr>,
}

/// A role, in the words of the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Shoppers, operators and the writer in one process
    All,
    /// The writer, or a standby that takes over within three seconds, and the operators' API
    Allocator,
    /// HTTP for shoppers alone; as many as you like
    Gateway,
}

impl From<Part> for Role {
    fn from(part: Part) -> Self {
        match part {
            Part::All => Self::All,
            Part::Allocator => Self::Allocator,
            Part::Gateway => Self::Gateway,
        }
    }
}

/// Runs an engine.
pub fn run(arguments: &Arguments, _context: &Context) -> Result<Exit, Failure> {
    let Verb::Serve(asked) = &arguments.verb;
    let (folder, role) = (Folder::new(asked.place.folder.clone()), Role::from(asked.role));
    let serving = Serving {
        role,
        name: name(asked.name.as_deref().unwrap_or(role.name()))?,
        listen: asked.listen,
        operator_listen: asked.operator_listen,
        ..Serving::all(folder.clone())
    };
    let process = serving.name.clone();
    let _log = log(&folder, &process)?;
    let ended = crate::runtime()?.block_on(async {
        let stop = CancellationToken::new();
        let stopping = stop.clone();
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            stopping.cancel();
        });
        serve(serving, stop).await
    });
    let Err(error) = ended else { return Ok(Exit::Done) };
    let exit = match &error {
        ServeError::AddressInUse(..) | ServeError::Stack(_) => Exit::Unavailable,
        ServeError::AlreadyServed => Exit::Locked,
        ServeError::Damaged(_) => Exit::Violated,
        ServeError::Key(_) => Exit::BadFile,
        ServeError::Role => Exit::Usage,
        _ => Exit::Failed,
    };
    tracing::error!(%error, exit = exit.code(), "the engine ends");
    // The others of a sale go on without one of them.
    if exit != Exit::Locked && role == Role::All {
        supervisor::leave_word(&folder, &Ended { exit: exit.code(), message: error.to_string() });
    }
    Err(Failure::new(exit, error.to_string()))
}

/// A name that is a file's, too.
fn name(given: &str) -> Result<String, Failure> {
    let sound = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
    if given.is_empty() || given.len() > LONGEST_NAME || !given.chars().all(sound) {
        let help = format!("letters, digits and '-', at most {LONGEST_NAME}");
        return Err(Failure::new(Exit::Usage, format!("{given:?} is no name for a process")).help(help));
    }
    Ok(given.to_owned())
}

/// Runs the supervisor; started by `up`.
pub fn supervise(arguments: &Place, _context: &Context) -> Result<Exit, Failure> {
    let folder = Folder::new(arguments.folder.clone());
    let _log = log(&folder, "supervisor")?;
    crate::runtime()?.block_on(supervisor::supervise(&folder))
}

/// JSON lines into the process's log, a file a day.
fn log(folder: &Folder, process: &str) -> Result<tracing_appender::non_blocking::WorkerGuard, Failure> {
    let path = folder.log(process);
    let directory = path.parent().unwrap_or(folder.path());
    std::fs::create_dir_all(directory)?;
    let appender = tracing_appender::rolling::Builder::new()
        .rotation(tracing_appender::rolling::Rotation::DAILY)
        .filename_prefix(process)
        .filename_suffix("jsonl")
        .max_log_files(LOG_FILES)
        .latest_symlink(format!("{process}.jsonl"))
        .build(directory)
        .map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
    let (writer, guard) = tracing_appender::non_blocking(appender);
    let filter = tracing_subscriber::EnvFilter::try_from_env("FLASHSALE_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,sqlx=warn,hyper=warn"));
    let subscriber = tracing_subscriber::fmt().json().with_writer(writer).with_env_filter(filter).finish();
    let _ = tracing::subscriber::set_global_default(subscriber);
    Ok(guard)
}
