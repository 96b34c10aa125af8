//! The operator's command: one file defines a sale, one command runs it.
//!
//! # Layout, in the order a command flows
//! - `args`: what may be typed. `context`: what every command knows. `commands`: a verb a file.
//! - `definition`, `plan`, `freeze`: a sale file becomes a sale; `difference`: what a changed one asks for.
//! - `place`: where sales are kept. `lock`: who may push one.
//! - [`stack`]: the servers it runs on. `supervisor`: the engine under a process of its own. `client`: the operator API.
//! - `preflight`: whether it may open, a check a file. `phases`: what `run` walks through.
//! - [`crowd`]: a simulated audience. `warroom`: the terminal. `report`: the proof.
//! - `output`: the only printing. [`exit`]: how a command ends.

mod args;
mod client;
mod commands;
mod context;
pub mod crowd;
mod definition;
mod difference;
pub mod exit;
mod freeze;
mod lock;
mod output;
mod phases;
mod place;
mod plan;
mod preflight;
#[cfg(test)]
mod reference;
mod report;
pub mod stack;
mod supervisor;
mod warroom;

use std::process::ExitCode;

use clap::Parser;

use exit::{Exit, Failure};

/// Parses the command line, runs the verb, prints its failure; answers the process's exit code.
#[must_use]
pub fn main() -> ExitCode {
    // Refused only when a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    allow_files();
    let parsed = match args::Cli::try_parse() {
        Ok(parsed) => parsed,
        Err(error) => return exit::usage(&error),
    };
    let context = context::Context::new(&parsed.global);
    match commands::run(parsed.command, &context) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output::failure(&context, &failure);
            failure.exit.into()
        }
    }
}

/// A socket is an open file: as many as the system lets this process have. Where it refuses, `doctor` says so.
fn allow_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
}

/// The runtime of a command.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, error.to_string()))
}
