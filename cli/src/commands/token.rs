//! `flashsale token`

use clap::Args;
use flashsale_engine::token::{LOCAL_KID, Mint};

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::place;

/// Arguments of `token`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The sale: a file or a name
    target: Option<String>,
    /// The shopper
    #[arg(long, default_value = "tester")]
    subject: String,
    /// suspect, new, verified, premium, or server for the shop's own server
    #[arg(long, default_value = "new")]
    tier: String,
    /// How long it is good, seconds (at most 24 h)
    #[arg(long, default_value_t = 3_600)]
    life: u64,
}

/// Mints a token for trying, with the key that `up` made.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Exit, Failure> {
    let folder = place::local(context, arguments.target.as_deref())?;
    let frozen = place::frozen(&folder)?;
    if !frozen.definition.engine.token_keys.is_empty() {
        return Err(Failure::new(Exit::Denied, "this sale's keys are the shop's own: its server mints the tokens"));
    }
    let secret = std::fs::read_to_string(folder.shopper_key())?;
    let token = Mint::new(&frozen.definition.sale, LOCAL_KID, &secret)
        .and_then(|mint| mint.token(&arguments.subject, &arguments.tier, arguments.life))
        .map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
    output::answer(context, &serde_json::json!({ "token": token }), || token.clone())?;
    Ok(Exit::Done)
}
