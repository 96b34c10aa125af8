//! `flashsale engine serve`, and the supervisor around it.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use flashsale_engine::compose::{ServeError, serve};
use flashsale_engine::sale::Folder;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::supervisor::{self, Ended};

/// Days of logs that are kept.
const LOG_FILES: usize = 14;

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
pub struct Serve {
    /// The sale's folder, as `up` made it
    #[arg(long)]
    folder: PathBuf,
}

/// Runs an engine.
pub fn run(arguments: &Arguments, _context: &Context) -> Result<Exit, Failure> {
    let Verb::Serve(serving) = &arguments.verb;
    let folder = Folder::new(serving.folder.clone());
    let _log = log(&folder, "engine")?;
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
        serve(folder.clone(), stop).await
    });
    let Err(error) = ended else { return Ok(Exit::Done) };
    let exit = match &error {
        ServeError::AddressInUse(..) | ServeError::Stack(_) => Exit::Unavailable,
        ServeError::AlreadyServed => Exit::Locked,
        ServeError::Damaged(_) => Exit::Violated,
        ServeError::Key(_) => Exit::BadFile,
        _ => Exit::Failed,
    };
    tracing::error!(%error, exit = exit.code(), "the engine ends");
    if exit != Exit::Locked {
        supervisor::leave_word(&folder, &Ended { exit: exit.code(), message: error.to_string() });
    }
    Err(Failure::new(exit, error.to_string()))
}

/// Runs the supervisor; started by `up`.
pub fn supervise(arguments: &Serve, _context: &Context) -> Result<Exit, Failure> {
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
