//! `flashsale rehearse FILE`

use std::path::PathBuf;

use clap::Args;

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::phases::Journey;
use crate::{definition, freeze, output};

/// Arguments of `rehearse`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The sale file
    #[arg(default_value = "sale.yaml")]
    file: String,
    /// Replace a value: key.path=value
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Where reports go [default: ./reports/{sale}-{run}]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Say what would happen, change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Runs the sale as a rehearsal: a folder, a run and ports of its own; the file's crowd, or a storm of 15 s.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Exit, Failure> {
    let mut sets = arguments.set.clone();
    for set in ["engine.listen=127.0.0.1:0", "engine.operator_listen=127.0.0.1:0", "opens_at=in 2s"] {
        sets.push(set.to_owned());
    }
    let mut sale = definition::load(&arguments.file, &sets)?;
    if sale.definition.crowd.is_none() {
        sets.push("crowd.seed=1".to_owned());
        sale = definition::load(&arguments.file, &sets)?;
    }
    // The shop's keys stay out of it: the crowd's tokens are made here.
    sale.definition.engine.token_keys.clear();
    let plan = crate::plan::plan(&sale.definition);
    super::plan::refuse(&plan)?;
    if arguments.dry_run {
        output::answer(context, &plan, || format!("would rehearse {}:\n{}", sale.definition.sale, plan.text()))?;
        return Ok(Exit::Done);
    }
    let text = definition::text(&arguments.file)?;
    let (folder, frozen) = freeze::freeze(context, &sale, &text, &sets, true, true)?;
    let out = arguments.out.clone();
    let journey = Journey { context, folder, frozen, out, verb: "rehearse", force: None, plain: false };
    journey.walk()
}
