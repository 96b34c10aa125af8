//! `flashsale man`

use clap::{Args, CommandFactory};

use crate::args::Cli;
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output;

/// Arguments of `man`.
#[derive(Debug, Args)]
pub struct Arguments {}

/// Prints the manual page.
pub fn run(_arguments: &Arguments, _context: &Context) -> Result<Exit, Failure> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page)?;
    output::bytes(&page)?;
    Ok(Exit::Done)
}
