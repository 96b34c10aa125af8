//! `flashsale watch`

use clap::Args;

use crate::client::{Client, operator};
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::warroom::{self, Left, Options};
use crate::{output, place};

/// Arguments of `watch`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The sale: a file, an operator URL or a name
    target: Option<String>,
    /// Allow changes, each after a typed confirmation
    #[arg(long)]
    interactive: bool,
    /// Print one frame and leave
    #[arg(long)]
    once: bool,
}

impl Arguments {
    /// To watch a sale of this machine, by its name.
    pub fn of(sale: String) -> Self {
        Self { target: Some(sale), interactive: false, once: false }
    }
}

/// Shows the war room.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Exit, Failure> {
    let target = place::target(context, arguments.target.as_deref())?;
    let options = options(&Client::to(context, &target)?, arguments.interactive, false);
    let runtime = crate::runtime()?;
    if arguments.once {
        let (width, height) = crossterm::terminal::size().unwrap_or((80, 24));
        let frame = runtime.block_on(warroom::once(&options, width.max(80), height.max(24)))?;
        output::answer(context, &serde_json::json!({ "frame": frame }), || frame.clone())?;
        return Ok(Exit::Done);
    }
    if !context.screen {
        return Err(Failure::new(Exit::Usage, "the war room needs a terminal").help("watch --once, or status"));
    }
    Ok(match runtime.block_on(warroom::run(&options))? {
        Left::Interrupted => Exit::Interrupted,
        Left::Terminated => Exit::Terminated,
        Left::Quit | Left::Ended => Exit::Done,
    })
}

/// How the war room follows a sale.
pub fn options(client: &Client, interactive: bool, leave_at_end: bool) -> Options {
    Options {
        url: client.url.clone(),
        token: client.token.clone(),
        interactive,
        colour: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        leave_at_end,
        operator: operator(),
    }
}
