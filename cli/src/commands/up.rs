//! `flashsale up FILE`

use clap::Args;

use crate::client::Client;
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::place::Target;
use crate::{definition, freeze, lock, output, supervisor};

/// Arguments of `up`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The sale file
    #[arg(default_value = "sale.yaml")]
    file: String,
    /// Replace a value: key.path=value
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Say what would happen, change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Freezes the definition and starts the engine under its supervisor.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Exit, Failure> {
    let sale = definition::load(&arguments.file, &arguments.set)?;
    super::plan::refuse(&crate::plan::plan(&sale.definition))?;
    let name = &sale.definition.sale;
    if arguments.dry_run {
        let value = serde_json::json!({ "would": ["freeze", "start supervisor", "start engine"], "sale": name });
        output::answer(context, &value, || format!("would freeze {name} and start its supervisor and engine"))?;
        return Ok(Exit::Done);
    }
    let text = definition::text(&arguments.file)?;
    let (folder, frozen) = freeze::freeze(context, &sale, &text, &arguments.set, false, false)?;
    let _lease = lock::take(&folder, "up")?;
    let addresses = supervisor::start(&folder)?;
    let client = Client::to(context, &Target::Local(folder.clone()))?;
    crate::runtime()?.block_on(supervisor::seated(&folder, &client))?;
    output::answer(context, &serde_json::json!({ "sale": name, "run": frozen.run, "addresses": addresses }), || {
        format!(
            "{name} is up (run {})\n  shoppers   http://{}\n  operators  http://{}",
            frozen.run, addresses.listen, addresses.operator
        )
    })?;
    Ok(Exit::Done)
}
