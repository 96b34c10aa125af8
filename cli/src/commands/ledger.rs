//! `flashsale ledger repair`: rows that were changed behind the writer's back, made anew from the log.

use clap::{Args, Subcommand};
use flashsale_engine::audit::repair::Repair;
use flashsale_engine::compose::mend::{plan_repair, repair};

use super::audit::finding;
use super::recover::failed;
use crate::client::{Client, operator};
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::place::Target;
use crate::stack::Borrowed;
use crate::{lock, output, place, supervisor};

/// Arguments of `ledger`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Rewrite the ledger's rows from the log; the engine is stopped for it and started again
    Repair {
        /// The sale: a file or a name
        target: Option<String>,
        /// Why, for the audit
        #[arg(long)]
        reason: String,
        /// Say which rows would change, change nothing
        #[arg(long)]
        dry_run: bool,
    },
}

/// Repairs.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Exit, Failure> {
    let Verb::Repair { target, reason, dry_run } = &arguments.verb;
    let folder = place::local(context, target.as_deref())?;
    let frozen = place::frozen(&folder)?;
    let name = &frozen.definition.sale;
    let runtime = crate::runtime()?;
    let _lease = if *dry_run { None } else { Some(lock::take(&folder, "ledger repair")?) };
    let _servers = Borrowed::of(&folder)?;
    let planned = runtime.block_on(plan_repair(&folder, &frozen)).map_err(|error| failed(&error))?;
    if *dry_run || planned.differences == 0 {
        return tell(context, name, &planned, false);
    }
    output::note(&listed(&planned));
    output::approve(context, &format!("rewrite {} rows of {name} from its log", planned.differences), name)?;
    let was_running = supervisor::running(&folder, "supervisor") || supervisor::running(&folder, "engine");
    supervisor::stop_engine(&folder);
    let words = format!("{}: {reason}", operator());
    let repaired = runtime.block_on(repair(&folder, &frozen, &words)).map_err(|error| failed(&error))?;
    if was_running {
        supervisor::start(&folder)?;
        let client = Client::to(context, &Target::Local(folder.clone()))?;
        runtime.block_on(supervisor::seated(&folder, &client))?;
        output::note("the engine runs again; a gate that was shut stays shut: flashsale resume --reason WHY");
    }
    tell(context, name, &repaired, true)
}

fn tell(context: &Context, name: &str, repair: &Repair, done: bool) -> Result<Exit, Failure> {
    let value = serde_json::json!({
        "sale": name, "repaired": done, "next_offset": repair.at.next_offset,
        "differences": repair.differences, "rows": repair.findings,
    });
    output::answer(context, &value, || match (repair.differences, done) {
        (0, _) => format!("every row of {name} is as its log makes it: nothing to do"),
        (count, false) => format!("{}\nwould rewrite {name} from its log: {count} differences", listed(repair)),
        (count, true) => format!("{name} is rewritten from its log: {count} differences are gone"),
    })?;
    Ok(Exit::Done)
}

fn listed(repair: &Repair) -> String {
    let mut lines: Vec<String> = repair.findings.iter().map(finding).collect();
    if repair.differences > repair.findings.len() as u64 {
        lines.push(format!("... {} differences in all", repair.differences));
    }
    lines.join("\n")
}
