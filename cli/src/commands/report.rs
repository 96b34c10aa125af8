//! `flashsale report`

use std::path::PathBuf;

use clap::Args;

use crate::context::Context;
use crate::crowd::Outcome;
use crate::exit::{Exit, Failure};
use crate::report::{self, facts::Facts};
use crate::stack::Borrowed;
use crate::{output, place};

/// Arguments of `report`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The sale: a file or a name
    target: Option<String>,
    /// Where it goes [default: ./reports/{sale}-{run}]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Say what would be written, write nothing
    #[arg(long)]
    dry_run: bool,
}

/// Writes the report of a run, running or finished.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Exit, Failure> {
    let folder = place::local(context, arguments.target.as_deref())?;
    let frozen = place::frozen(&folder)?;
    let _servers = Borrowed::of(&folder)?;
    let audit = super::audit::verify(&folder, &frozen)?;
    let violated = !audit.passes();
    let run = folder.run(frozen.run);
    let crowd: Option<Outcome> =
        std::fs::read(run.join("crowd.json")).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let facts = Facts::gather(&frozen, &run, audit, crowd, Vec::new())?;
    let out = arguments
        .out
        .clone()
        .unwrap_or_else(|| PathBuf::from("reports").join(format!("{}-{}", frozen.definition.sale, frozen.run)));
    if arguments.dry_run {
        let told = serde_json::json!({ "would": "write", "folder": out, "formats": frozen.definition.report.formats });
        output::answer(context, &told, || format!("would write the report into {}", out.display()))?;
        return Ok(if violated { Exit::Violated } else { Exit::Done });
    }
    let written = report::write(&facts, &out, &frozen.definition.report.formats)?;
    let list = || written.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join("\n");
    output::answer(context, &written, list)?;
    Ok(if violated { Exit::Violated } else { Exit::Done })
}
