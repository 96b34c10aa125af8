//! `flashsale plan FILE`

use clap::Args;
use flashsale_engine::sale::{Source, environment};

use crate::context::Context;
use crate::definition;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::plan::{Plan, plan};

/// Arguments of `plan`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The sale file
    #[arg(default_value = "sale.yaml")]
    file: String,
    /// Replace a value: key.path=value
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Print each resolved value and where it came from
    #[arg(long)]
    resolved: bool,
}

/// Predicts what a sale will need, and refuses what cannot work.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Exit, Failure> {
    let sale = definition::load(&arguments.file, &arguments.set)?;
    if arguments.resolved {
        let text = || {
            let lines = sale.resolved.iter().map(|(path, (value, source))| {
                format!("{path:<40} {value:<28} {}", from(path, source, &arguments.file))
            });
            lines.collect::<Vec<_>>().join("\n")
        };
        output::answer(context, &sale.resolved, text)?;
        return Ok(Exit::Done);
    }
    let plan = plan(&sale.definition);
    output::answer(context, &plan, || plan.text())?;
    refuse(&plan)?;
    Ok(Exit::Done)
}

/// Where a value came from, for people.
fn from(path: &str, source: &Source, file: &str) -> String {
    match source {
        Source::Flag => "--set".to_owned(),
        Source::Environment => environment::variable(path).unwrap_or_default(),
        Source::File(line) => format!("{file}:{line}"),
        Source::Default => "default".to_owned(),
    }
}

/// A plan that cannot work is a bad file.
pub fn refuse(plan: &Plan) -> Result<(), Failure> {
    if plan.refusals.is_empty() {
        return Ok(());
    }
    Err(Failure::new(Exit::BadFile, format!("this cannot work:\n  {}", plan.refusals.join("\n  "))))
}
