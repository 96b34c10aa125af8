//! The operator's command: one file defines a sale, one command runs it.
//!
//! # Layout, in the order a command flows
//! - `args`: what may be typed. `context`: what every command knows. `commands`: a verb a file.
//! - `output`: the only printing. `exit`: how a command ends.

mod args;
mod commands;
mod context;
mod exit;
mod output;
mod warroom;

use std::process::ExitCode;

use clap::Parser;

/// Parses the command line, runs the verb, prints its failure; answers the process's exit code.
#[must_use]
pub fn main() -> ExitCode {
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
