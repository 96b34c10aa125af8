//! `flashsale status`

use clap::Args;
use flashsale_engine::operator::wire::Status;

use crate::client::Client;
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::{output, place};

/// Arguments of `status`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The sale: a file, an operator URL or a name
    target: Option<String>,
}

/// Prints how the sale stands.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Exit, Failure> {
    let target = place::target(context, arguments.target.as_deref())?;
    let client = Client::to(context, &target)?;
    let status = crate::runtime()?.block_on(client.status())?;
    output::answer(context, &status, || text(&status))?;
    Ok(if status.stopped.is_some() { Exit::Violated } else { Exit::Done })
}

fn text(status: &Status) -> String {
    let mut lines = vec![format!(
        "{}  {:?}{}{}",
        status.sale,
        status.phase,
        if status.armed { ", armed" } else { "" },
        if status.ended { ", ended" } else { "" }
    )];
    for item in &status.items {
        lines.push(format!(
            "  {:<20} stock {:>8}  sold {:>8}  held {:>8}  free {:>8}  waiting {}",
            item.sku, item.stock, item.sold, item.held, item.available, item.waiting
        ));
    }
    let writer = &status.writer;
    lines.push(format!(
        "  writer: epoch {}, offset {} of {}, published {}, digest {}",
        writer.epoch, writer.next_offset, writer.log_end, writer.published_through, writer.digest
    ));
    if let Some(gate) = &status.gate {
        lines.push(format!("  GATE SHUT by {}: {}", gate.by, gate.reason));
    }
    if let Some(stopped) = &status.stopped {
        lines.push(format!("  WRITER STOPPED: {stopped}"));
    }
    lines.join("\n")
}
