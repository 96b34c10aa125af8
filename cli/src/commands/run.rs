//! `flashsale run FILE`

use std::path::PathBuf;

use clap::Args;

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::phases::Journey;
use crate::{definition, freeze, output, place, supervisor};

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The sale file
    #[arg(default_value = "sale.yaml")]
    file: String,
    /// Replace a value: key.path=value
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Start the next run of a sale whose last one is finished
    #[arg(long)]
    new_run: bool,
    /// Where reports go [default: ./reports/{sale}-{run}]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Open although preflight says no-go; the audit keeps the reason
    #[arg(long, value_name = "REASON")]
    force: Option<String>,
    /// A line a second in place of the war room
    #[arg(long)]
    plain: bool,
    /// Say what would happen, change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Runs a whole sale.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Exit, Failure> {
    let sale = definition::load(&arguments.file, &arguments.set)?;
    let plan = crate::plan::plan(&sale.definition);
    super::plan::refuse(&plan)?;
    if arguments.dry_run {
        output::answer(context, &plan, || format!("would run {}:\n{}", sale.definition.sale, plan.text()))?;
        return Ok(Exit::Done);
    }
    if arguments.new_run {
        finished(context, &sale.definition.sale)?;
    }
    let text = definition::text(&arguments.file)?;
    let (folder, frozen) = freeze::freeze(context, &sale, &text, &arguments.set, arguments.new_run, false)?;
    let (out, force) = (arguments.out.clone(), arguments.force.clone());
    let journey = Journey { context, folder, frozen, out, verb: "run", force, plain: arguments.plain };
    journey.say("plan", &plan)?;
    match journey.walk() {
        Err(failure) if failure.exit == Exit::Locked && context.screen => {
            output::note(&failure.message);
            output::agree(context, "Watch it instead")?;
            super::watch::run(&super::watch::Arguments::of(sale.definition.sale), context)
        }
        ended => ended,
    }
}

/// A next run begins when the last one is finished, or never was.
fn finished(context: &Context, sale: &str) -> Result<(), Failure> {
    let folder = flashsale_engine::sale::Folder::new(place::state_dir(context)?.join(sale));
    let Ok(frozen) = folder.read_frozen() else { return Ok(()) };
    if folder.run(frozen.run).join("summary.json").exists() || !supervisor::running(&folder, "engine") {
        return Ok(());
    }
    Err(Failure::new(Exit::Denied, format!("{sale} is running")).help("flashsale close, then run it to its end"))
}
