//! Whether the sale may be armed: each check with its evidence.

use flashsale_core::Phase;
use flashsale_engine::operator::wire::Status;

use super::Journey;
use crate::client::Client;
use crate::exit::{Exit, Failure};
use crate::output;

/// How far the engine's clock may be from this one, ms.
const CLOCKS: i64 = 2_000;

/// Checks; a sale that has opened is past its checks.
pub async fn ready(journey: &Journey<'_>, client: &Client) -> Result<Status, Failure> {
    let status = client.status().await?;
    if status.phase != Phase::Upcoming {
        return Ok(status);
    }
    let checks = checks(journey, &status);
    for (what, good, evidence) in &checks {
        output::note(&format!("  {} {what:<12} {evidence}", if *good { "ok  " } else { "FAIL" }));
    }
    if checks.iter().all(|(_, good, _)| *good) {
        Ok(status)
    } else {
        Err(Failure::new(Exit::Unavailable, "no-go: the sale is not armed").help("flashsale status; flashsale logs"))
    }
}

fn checks(journey: &Journey<'_>, status: &Status) -> Vec<(&'static str, bool, String)> {
    let writer = &status.writer;
    let defined = &journey.frozen.definition.items;
    let stock = status.items.iter().zip(defined).all(|(row, item)| row.stock == item.stock);
    let clean = status.items.iter().all(|row| row.held == 0 && row.sold == 0 && row.waiting == 0);
    let apart = (status.now - jiff::Timestamp::now().as_millisecond()).abs();
    vec![
        (
            "writer",
            writer.epoch > 0,
            format!("epoch {}, offset {} of {}", writer.epoch, writer.next_offset, writer.log_end),
        ),
        ("inventory", stock && status.items.len() == defined.len(), format!("{} items as defined", status.items.len())),
        ("clean", clean, "nothing is held, sold or waited for".to_owned()),
        ("gate", status.gate.is_none() && status.stopped.is_none(), "open, no writer stopped".to_owned()),
        ("clock", apart < CLOCKS, format!("{apart} ms apart")),
    ]
}
