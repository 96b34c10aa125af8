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
    /// Say what would happen, change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Writes a commented file with every key, and never over another.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Exit, Failure> {
    let name = arguments.file.display().to_string();
    if arguments.dry_run {
        let free = !arguments.file.exists();
        let told = serde_json::json!({ "would": "write", "file": name, "free": free });
        output::answer(context, &told, || format!("would {} {name}", if free { "write" } else { "not write over" }))?;
        return Ok(Exit::Done);
    }
    let mut file = OpenOptions::new().write(true).create_new(true).open(&arguments.file).map_err(|error| {
        Failure::new(Exit::BadFile, format!("{}: {error}", arguments.file.display())).help("name another file")
    })?;
    file.write_all(TEMPLATE.as_bytes())?;
    output::answer(context, &serde_json::json!({ "wrote": name }), || {
        format!("wrote {name}; it shows every key, keep what you need\nnext: flashsale validate {name}")
    })?;
    Ok(Exit::Done)
}
