//! `flashsale validate FILE`

use clap::Args;

use crate::context::Context;
use crate::definition;
use crate::exit::{Exit, Failure};
use crate::output;

/// Arguments of `validate`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The sale file
    #[arg(default_value = "sale.yaml")]
    file: String,
    /// Replace a value: key.path=value
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

/// Checks a file.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Exit, Failure> {
    let sale = definition::load(&arguments.file, &arguments.set)?;
    let items = sale.definition.items.len();
    let value = serde_json::json!({ "file": arguments.file, "sale": sale.definition.sale, "items": items });
    let text = || format!("{}: sale {} is fine", arguments.file, sale.definition.sale);
    output::answer(context, &value, text)?;
    Ok(Exit::Done)
}
