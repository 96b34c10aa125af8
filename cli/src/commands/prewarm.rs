//! `flashsale prewarm`

use clap::Args;

use crate::client::Client;
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::phases::warm;
use crate::place::Target;
use crate::{lock, output, place};

/// Arguments of `prewarm`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The sale: a file or a name
    target: Option<String>,
    /// Say what would happen, change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Warms cache, pools, producers, consumers, brokers and gateways.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Exit, Failure> {
    let folder = place::local(context, arguments.target.as_deref())?;
    let frozen = place::frozen(&folder)?;
    if arguments.dry_run {
        let steps =
            ["product data and stock into the cache", "connections and statements of the ledger", "ticks", "reads"];
        let value = serde_json::json!({ "would": steps, "sale": frozen.definition.sale });
        output::answer(context, &value, || format!("would warm {}: {}", frozen.definition.sale, steps.join(", ")))?;
        return Ok(Exit::Done);
    }
    let _lease = lock::take(&folder, "prewarm")?;
    let client = Client::to(context, &Target::Local(folder.clone()))?;
    let warmed = crate::runtime()?.block_on(warm::warm(&folder, &frozen, &client))?;
    output::answer(context, &warmed, || warmed.text())?;
    Ok(Exit::Done)
}
