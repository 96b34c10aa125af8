//! `flashsale down`

use clap::Args;

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::{lock, output, place, supervisor};

/// Arguments of `down`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The sale: a file or a name
    target: Option<String>,
    /// Delete everything that is kept of the sale
    #[arg(long)]
    delete_data: bool,
    /// The sale's name, in place of typing it
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
    /// Delete although the run was not exported and verified: why
    #[arg(long, value_name = "REASON")]
    without_export: Option<String>,
    /// Say what would happen, change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Stops the sale's processes; its data stays unless it is to be deleted.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Exit, Failure> {
    let folder = place::local(context, arguments.target.as_deref())?;
    let frozen = place::frozen(&folder)?;
    let name = &frozen.definition.sale;
    if arguments.dry_run {
        let what = if arguments.delete_data { "stop and delete" } else { "stop" };
        output::answer(context, &serde_json::json!({ "would": what, "sale": name }), || {
            format!("would {what} {name}")
        })?;
        return Ok(Exit::Done);
    }
    let lease = lock::take(&folder, "down")?;
    if arguments.delete_data {
        may_delete(arguments, context, &folder, &frozen)?;
    }
    let stopped = supervisor::stop(&folder)?;
    drop(lease);
    if arguments.delete_data {
        if let Some(stack) = crate::stack::Running::known(&folder)? {
            stack.delete_elsewhere()?;
        }
        std::fs::remove_dir_all(folder.path())?;
    }
    let value = serde_json::json!({ "sale": name, "stopped": stopped, "deleted": arguments.delete_data });
    output::answer(context, &value, || {
        let what = if stopped { "stopped" } else { "was not running" };
        let kept = if arguments.delete_data {
            "its data is deleted".to_owned()
        } else {
            format!("its data is in {}", folder.path().display())
        };
        format!("{name} {what}; {kept}")
    })?;
    Ok(Exit::Done)
}

/// Deleting needs the sale's name, an ended (or never opened, unarmed) sale, and a verified export of this run.
fn may_delete(
    arguments: &Arguments,
    context: &Context,
    folder: &flashsale_engine::sale::Folder,
    frozen: &flashsale_engine::sale::Frozen,
) -> Result<(), Failure> {
    let name = &frozen.definition.sale;
    // By the books, so that an engine that is down protects the sale as well; damaged ones are nobody's to wait for.
    let audit = super::audit::verify(folder, frozen).ok();
    if audit.as_ref().is_some_and(|audit| audit.passes() && audit.armed && !audit.ended) {
        return Err(Failure::new(Exit::Denied, format!("{name} is armed, live or draining"))
            .help("flashsale close, and wait for the last hold to end"));
    }
    let exported = std::fs::read(folder.run(frozen.run).join("exported.json")).unwrap_or_default();
    let exported: serde_json::Value = serde_json::from_slice(&exported).unwrap_or_default();
    let same = audit.as_ref().is_some_and(|audit| exported["digest"] == audit.digest.as_str());
    if !same && arguments.without_export.is_none() {
        return Err(Failure::new(Exit::Denied, "this run has no verified export of what is in its books now")
            .help("flashsale audit export --out FILE, or --without-export REASON"));
    }
    match &arguments.confirm {
        Some(typed) if typed == name => Ok(()),
        Some(typed) => Err(Failure::new(Exit::Usage, format!("--confirm {typed}: the sale's name is {name}"))),
        None => output::typed(context, &format!("delete everything that is kept of {name}"), name),
    }
}
