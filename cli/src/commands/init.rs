//! `flashsale init FILE`

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output;

/// What a new file says.
const TEMPLATE: &str = include_str!("../../../sale-configs/full.yaml");

/// Arguments of `init`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The file to write
    #[arg(default_value = "sale.yaml")]
    file: PathBuf,
}

/// Writes a commented file with every key, and never over another.
pub fn run(arguments: &Arguments, _context: &Context) -> Result<Exit, Failure> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(&arguments.file).map_err(|error| {
        Failure::new(Exit::BadFile, format!("{}: {error}", arguments.file.display())).help("name another file")
    })?;
    file.write_all(TEMPLATE.as_bytes())?;
    output::note(&format!(
        "wrote {0}; it shows every key, keep what you need\nnext: flashsale validate {0}",
        arguments.file.display()
    ));
    Ok(Exit::Done)
}
