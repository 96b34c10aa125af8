//! `flashsale apply FILE`: what may change while a sale runs follows the changed file; everything else is refused.

use clap::Args;
use flashsale_engine::operator::wire::Change;
use serde::Serialize;

use crate::client::Client;
use crate::context::Context;
use crate::difference::{Difference, differences};
use crate::exit::{Exit, Failure};
use crate::{definition, freeze, lock, output, place};

/// Arguments of `apply`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The changed sale file
    #[arg(default_value = "sale.yaml")]
    file: String,
    /// Replace a value: key.path=value
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Why, for the audit
    #[arg(long)]
    reason: String,
    /// Say what would happen, change nothing
    #[arg(long)]
    dry_run: bool,
}

/// The answer.
#[derive(Debug, Serialize)]
struct Applied {
    sale: String,
    dry_run: bool,
    /// The keys that change, from the running sale's value to the file's.
    changes: Vec<(&'static str, String, String)>,
    steps: Vec<String>,
}

/// Applies the file's pace; refuses every other difference by name.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Exit, Failure> {
    let sale = definition::load(&arguments.file, &arguments.set)?;
    let text = definition::text(&arguments.file)?;
    let name = sale.definition.sale.clone();
    let folder = place::local(context, Some(&name))?;
    let _lease = if arguments.dry_run { None } else { Some(lock::take(&folder, "apply")?) };
    let mut frozen = place::frozen(&folder)?;
    refuse(&name, &differences(&frozen.definition, &sale.definition)?)?;
    let client = Client::to(context, &place::Target::Local(folder.clone()))?;
    let runtime = crate::runtime()?;
    // What counts is the running sale's pace: an operator may have changed it since the definition was frozen.
    let (running, wanted) = (runtime.block_on(client.status())?.pace, sale.definition.pace);
    let changes = if running == wanted { Vec::new() } else { vec![("pace", shown(running), shown(wanted))] };
    let mut applied = Applied { sale: name, dry_run: arguments.dry_run, changes, steps: Vec::new() };
    if !arguments.dry_run {
        if running != wanted {
            let what = format!("change the pace of {} from {} to {}", applied.sale, shown(running), shown(wanted));
            output::agree(context, &what)?;
            let change = Change::Pace { units_per_second: wanted };
            applied.steps = runtime.block_on(client.change(change, &arguments.reason))?.steps;
        }
        // From now on `up` and `run` take this file for the sale's own.
        frozen.definition.pace = wanted;
        freeze::adopt(&folder, &mut frozen, &text, &arguments.set)?;
    }
    output::answer(context, &applied, || text_of(&applied))?;
    Ok(Exit::Done)
}

/// Every difference that cannot be applied, with what to do instead.
fn refuse(name: &str, found: &[Difference]) -> Result<(), Failure> {
    let refused: Vec<String> = found
        .iter()
        .filter_map(|differing| {
            let Difference { key, frozen, file, instead } = differing;
            Some(format!("  {key}: {frozen} is frozen, the file says {file}\n    {}", instead.as_ref()?))
        })
        .collect();
    if refused.is_empty() {
        return Ok(());
    }
    let text = format!("{name} is frozen; these keys do not change while it runs:\n{}", refused.join("\n"));
    Err(Failure::new(Exit::BadFile, text).help("put them back, then apply again; nothing was changed"))
}

fn shown(pace: Option<u32>) -> String {
    pace.map_or_else(|| "none".to_owned(), |pace| pace.to_string())
}

fn text_of(applied: &Applied) -> String {
    if applied.changes.is_empty() {
        return format!("{} runs as the file says", applied.sale);
    }
    let would = if applied.dry_run { "would change " } else { "" };
    let lines = applied.changes.iter().map(|(key, from, to)| format!("{would}{key}: {from} -> {to}"));
    lines.chain(applied.steps.iter().cloned()).collect::<Vec<_>>().join("\n")
}
