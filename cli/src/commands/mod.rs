//! A verb a file: its arguments, and what it does.

pub mod completions;

use crate::args::Command;
use crate::context::Context;
use crate::exit::{Exit, Failure};

/// Runs a verb.
pub fn run(command: Command, context: &Context) -> Result<Exit, Failure> {
    match command {
        Command::Completions(arguments) => completions::run(&arguments, context),
    }
}
