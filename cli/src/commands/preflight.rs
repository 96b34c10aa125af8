//! `flashsale preflight`

use clap::Args;

use crate::client::Client;
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::place::Target;
use crate::stack::Borrowed;
use crate::{output, place, preflight};

/// Arguments of `preflight`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The sale: a file or a name
    target: Option<String>,
}

/// Answers every line of the checklist; exit 69 on no-go.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Exit, Failure> {
    let folder = place::local(context, arguments.target.as_deref())?;
    let frozen = place::frozen(&folder)?;
    let _servers = Borrowed::of(&folder)?;
    let client = Client::to(context, &Target::Local(folder.clone()))?;
    let checked = crate::runtime()?.block_on(preflight::check(&folder, &frozen, &client))?;
    output::answer(context, &checked, || checked.text())?;
    Ok(if checked.go { Exit::Done } else { Exit::Unavailable })
}
