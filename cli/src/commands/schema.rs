//! `flashsale schema`

use clap::Args;

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output;

/// Arguments of `schema`.
#[derive(Debug, Args)]
pub struct Arguments {}

/// Prints the sale file's JSON Schema.
pub fn run(_arguments: &Arguments, _context: &Context) -> Result<Exit, Failure> {
    let schema = flashsale_engine::sale::schema();
    output::data(
        &serde_json::to_string_pretty(&schema).map_err(|error| Failure::new(Exit::Failed, error.to_string()))?,
    )?;
    Ok(Exit::Done)
}
