//! `flashsale audit verify` and `flashsale audit export`

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use flashsale_engine::audit::export::export as each_line;
use flashsale_engine::audit::verify::{Audit, Finding};
use flashsale_engine::compose::Stores;
use flashsale_engine::sale::{Folder, Frozen};

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::stack::Borrowed;
use crate::{output, place};

/// Arguments of `audit`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Replay the log and compare everything with it; exit 98 when something differs
    Verify {
        /// The sale: a file or a name
        target: Option<String>,
    },
    /// Write every record and every decision as JSON lines
    Export {
        /// The sale: a file or a name
        target: Option<String>,
        /// The file to write
        #[arg(long)]
        out: PathBuf,
        /// Say what would happen, change nothing
        #[arg(long)]
        dry_run: bool,
    },
}

/// Audits.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Exit, Failure> {
    match &arguments.verb {
        Verb::Verify { target } => {
            let folder = place::local(context, target.as_deref())?;
            let _servers = Borrowed::of(&folder)?;
            let audit = verify(&folder, &place::frozen(&folder)?)?;
            output::answer(context, &audit, || text(&audit))?;
            Ok(if audit.passes() { Exit::Done } else { Exit::Violated })
        }
        Verb::Export { target, out, dry_run: true } => {
            let folder = place::local(context, target.as_deref())?;
            let audit = verify(&folder, &place::frozen(&folder)?)?;
            let told = serde_json::json!({ "would": "write", "out": out, "verified": audit.passes() });
            output::answer(context, &told, || format!("would write {}", out.display()))?;
            Ok(if audit.passes() { Exit::Done } else { Exit::Violated })
        }
        Verb::Export { target, out, .. } => export(context, target.as_deref(), out),
    }
}

/// Audits a run beside its engine, or without one.
pub fn verify(folder: &Folder, frozen: &Frozen) -> Result<Audit, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::new(Exit::Failed, error.to_string());
    crate::runtime()?.block_on(async {
        let stores = Stores::open_reader(folder, frozen).await.map_err(|error| failed(&error))?;
        stores.audit(frozen).await.map_err(|error| failed(&error))
    })
}

fn export(context: &Context, target: Option<&str>, out: &PathBuf) -> Result<Exit, Failure> {
    let folder = place::local(context, target)?;
    let _servers = Borrowed::of(&folder)?;
    let frozen = place::frozen(&folder)?;
    let audit = verify(&folder, &frozen)?;
    let failed = |error: &dyn std::fmt::Display| Failure::new(Exit::Failed, error.to_string());
    let mut file = BufWriter::new(File::create(out)?);
    let mut lines = 0_u64;
    crate::runtime()?.block_on(async {
        let stores = Stores::open_reader(&folder, &frozen).await.map_err(|error| failed(&error))?;
        let logs = stores.logs(&folder, &frozen).await;
        let written = each_line(&logs, &*stores.history, |line| -> std::io::Result<()> {
            lines += 1;
            serde_json::to_writer(&mut file, line)?;
            file.write_all(b"\n")
        });
        written.await.map_err(|error| failed(&error))?.map_err(Failure::from)
    })?;
    file.flush()?;
    if audit.passes() {
        let mark = serde_json::json!({ "out": out, "lines": lines, "digest": audit.digest, "chain": audit.chain });
        std::fs::write(folder.run(frozen.run).join("exported.json"), mark.to_string())?;
    }
    let value = serde_json::json!({ "out": out, "lines": lines, "verified": audit.passes() });
    output::answer(context, &value, || format!("{lines} lines in {}", out.display()))?;
    Ok(if audit.passes() { Exit::Done } else { Exit::Violated })
}

/// An audit for people.
pub fn text(audit: &Audit) -> String {
    let mut lines = vec![format!(
        "{}: {} records replayed, {} batches in the chain; granted {}, refused {}, by gateways {}; sold {}; oversold {}",
        if audit.passes() { "PASSED" } else { "FAILED" },
        audit.records,
        audit.batches,
        audit.granted,
        audit.refused,
        audit.tallied,
        audit.sold,
        audit.oversold,
    )];
    lines.push(format!("digest {}, chain {}", audit.digest, audit.chain));
    if audit.generation > 0 {
        lines.push(format!(
            "generation {} of the log; {} records of former ones are known by their decisions alone",
            audit.generation, audit.unreplayed
        ));
    }
    if !audit.open_payments.is_empty() {
        lines.push(format!("open payments: {}", audit.open_payments.join(", ")));
    }
    for boot in audit.boots.iter().filter(|boot| boot.may_miss() > 0) {
        lines.push(format!(
            "gateway {} (boot {}) {}: at most {} of its own refusals are not counted",
            boot.gateway,
            boot.boot,
            if boot.replaced { "crashed" } else { "runs, or crashed" },
            boot.may_miss()
        ));
    }
    lines.extend(audit.findings.iter().map(finding));
    if audit.differences > audit.findings.len() as u64 {
        lines.push(format!("... {} differences in all", audit.differences));
    }
    lines.join("\n")
}

/// One difference for people.
pub fn finding(finding: &Finding) -> String {
    let Finding { check, place, expected, found } = finding;
    format!("{check} {place}\n    expected {expected}\n    found    {found}")
}
