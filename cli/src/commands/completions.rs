//! `flashsale completions SHELL`

use clap::{Args, CommandFactory};

use crate::args::Cli;
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output;

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The shell
    shell: clap_complete::Shell,
}

/// Prints the completions.
pub fn run(arguments: &Arguments, _context: &Context) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "flashsale", &mut script);
    output::bytes(&script)?;
    Ok(Exit::Done)
}
