//! `flashsale recover --new-log`: the way back from a log that lost records.

use clap::Args;
use flashsale_engine::audit::recover::Report;
use flashsale_engine::compose::mend::{MendError, plan_recovery, renew_log};
use serde::Serialize;

use crate::client::operator;
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::stack::Borrowed;
use crate::{lock, output, place, supervisor};

/// Arguments of `recover`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The sale: a file or a name
    target: Option<String>,
    /// Put the damaged log aside and go on with a new one, from the ledger's books
    #[arg(long, required = true)]
    new_log: bool,
    /// Why, for the audit
    #[arg(long)]
    reason: String,
    /// Say what would happen, change nothing
    #[arg(long)]
    dry_run: bool,
}

/// The answer.
#[derive(Debug, Serialize)]
struct Answer {
    sale: String,
    dry_run: bool,
    /// Whether a new log was begun (or would be).
    recovered: bool,
    /// None: the log is whole.
    report: Option<Report>,
    /// Where the damaged log is kept.
    old_log: Option<String>,
}

/// Recovers; the engine is down, because it refuses a damaged log.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Exit, Failure> {
    debug_assert!(arguments.new_log, "clap requires it");
    let folder = place::local(context, arguments.target.as_deref())?;
    let frozen = place::frozen(&folder)?;
    let _lease = if arguments.dry_run { None } else { Some(lock::take(&folder, "recover")?) };
    if supervisor::running(&folder, "engine") {
        return Err(Failure::new(Exit::Failed, "the engine runs: its log is not damaged").help("flashsale down first"));
    }
    let _servers = Borrowed::of(&folder)?;
    let runtime = crate::runtime()?;
    let planned = runtime.block_on(plan_recovery(&folder, &frozen)).map_err(|error| failed(&error))?;
    let sale = frozen.definition.sale.clone();
    let mut answer = Answer { sale, dry_run: arguments.dry_run, recovered: false, report: None, old_log: None };
    if let Some(recovery) = planned {
        answer.report = Some(recovery.report);
        answer.recovered = true;
        if !arguments.dry_run {
            output::note(&text_of(&answer));
            output::approve(context, &format!("begin a new log for {}", answer.sale), &answer.sale)?;
            let reason = format!("{}: {}", operator(), arguments.reason);
            let done = runtime.block_on(renew_log(&folder, &frozen, &reason)).map_err(|error| failed(&error))?;
            answer.old_log = done.map(|(_, aside)| aside);
        }
    }
    output::answer(context, &answer, || text_of(&answer))?;
    if !answer.recovered || arguments.dry_run {
        return Ok(Exit::Done);
    }
    let audit = super::audit::verify(&folder, &frozen)?;
    output::note(&super::audit::text(&audit));
    output::note("next: flashsale up (or run) FILE");
    Ok(if audit.passes() { Exit::Done } else { Exit::Violated })
}

/// Why nothing was mended.
pub fn failed(error: &MendError) -> Failure {
    let exit = if error.is_damage() { Exit::Violated } else { Exit::Failed };
    Failure::new(exit, error.to_string())
}

fn text_of(answer: &Answer) -> String {
    let Some(report) = &answer.report else { return format!("the log of {} is whole: nothing to do", answer.sale) };
    let mut lines = vec![format!(
        "{} decided records: the log still has {} of them, the other {} are in the ledger's books; no decision is lost",
        report.decided, report.log_whole_to, report.from_ledger
    )];
    for (at, offset) in &report.changes {
        let at = jiff::Timestamp::from_millisecond(*at).unwrap_or_default();
        lines.push(format!(
            "  an operator's change at {at:.3} (offset {offset}) is lost in its wording: look at pace, opening and closing"
        ));
    }
    lines.push(match (&answer.old_log, answer.dry_run) {
        (Some(old), _) => format!("generation {} has begun; the old log is {old}", report.generation),
        (None, true) => format!("would begin generation {} and keep the old log beside it", report.generation),
        (None, false) => format!("generation {} will begin, and the old log be kept beside it", report.generation),
    });
    lines.join("\n")
}
