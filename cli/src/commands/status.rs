//! `flashsale status`

use clap::Args;
use flashsale_engine::operator::wire::Status;
use flashsale_engine::sale::Folder;
use serde::Serialize;

use crate::client::Client;
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::place::Target;
use crate::stack::Running;
use crate::{output, place};

/// Arguments of `status`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The sale: a file, an operator URL or a name
    target: Option<String>,
}

/// The engine's status, and the servers that this machine runs for it.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    status: &'a Status,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    servers: Vec<Server>,
}

/// A server of the stack.
#[derive(Debug, Serialize)]
struct Server {
    name: String,
    /// Absent while it does not run.
    pid: Option<i32>,
    ports: Vec<u16>,
}

/// Prints how the sale stands.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Exit, Failure> {
    let target = place::target(context, arguments.target.as_deref())?;
    let client = Client::to(context, &target)?;
    let status = crate::runtime()?.block_on(client.status())?;
    let servers = match &target {
        Target::Local(folder) => servers(folder)?,
        Target::Remote(_) => Vec::new(),
    };
    let answer = Answer { status: &status, servers };
    output::answer(context, &answer, || format!("{}{}", text(&status), told(&answer.servers)))?;
    Ok(if status.stopped.is_some() { Exit::Violated } else { Exit::Done })
}

fn servers(folder: &Folder) -> Result<Vec<Server>, Failure> {
    let stack = Running::known(folder)?;
    let server = |server: &crate::stack::background::Background| {
        let pid = server.pid(folder).map(|pid| pid.as_raw_nonzero().get());
        Server { name: server.name.clone(), pid, ports: server.ports.clone() }
    };
    Ok(stack.iter().flat_map(Running::servers).map(server).collect())
}

fn told(servers: &[Server]) -> String {
    let line = |server: &Server| {
        let stands = server.pid.map_or_else(|| "DOWN".to_owned(), |pid| format!("pid {pid}"));
        let ports = server.ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
        format!("\n  {:<20} {stands:<14} 127.0.0.1:{ports}", server.name)
    };
    servers.iter().map(line).collect()
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
    if let Some(why) = &status.unconfirmed {
        lines.push(format!("  LEDGER CONFIRMS NOTHING: {why}"));
    }
    if let Some(since) = status.cache_away_since {
        let seconds = (status.now - since) / 1_000;
        lines.push(format!("  cache away for {seconds} s: the sale goes on without it"));
    }
    lines.join("\n")
}
