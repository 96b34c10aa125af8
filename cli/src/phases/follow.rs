//! From armed to ended: the crowd, if the sale has one; the war room or a line a second; Ctrl-C only detaches.

use std::time::Duration;

use flashsale_core::Phase;
use flashsale_engine::operator::wire::Status;
use flashsale_engine::sale::Addresses;
use flashsale_engine::token::{LOCAL_KID, Mint};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{Journey, countdown};
use crate::args::Format;
use crate::client::Client;
use crate::commands::watch;
use crate::crowd::{self, Outcome};
use crate::exit::{Exit, Failure};
use crate::output;
use crate::warroom::{self, Left};

/// Between two lines of progress.
const LINE: Duration = Duration::from_secs(1);
/// Failed looks in a row (the engine is being restarted) before it is given up.
const AWAY: u32 = 120;

/// How following ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Followed {
    /// The sale has ended.
    Ended,
    /// By Ctrl-C or a signal, with the exit code that says which; it goes on.
    Detached(Exit),
}

/// Follows the sale to its end.
pub fn follow(
    journey: &Journey<'_>,
    client: &Client,
    addresses: &Addresses,
    runtime: &Runtime,
) -> Result<Followed, Failure> {
    let stop = CancellationToken::new();
    let crowd = start_crowd(journey, client, addresses, runtime, &stop)?;
    let shown = journey.context.screen && !journey.plain && journey.context.format == Format::Table;
    let followed = runtime.block_on(async {
        tokio::select! {
            followed = look_on(journey, client, shown) => followed,
            warmed = warm_then_wait(journey, client, shown) => warmed,
        }
    });
    if !matches!(followed, Ok(Followed::Ended)) {
        stop.cancel();
    }
    if let Some(crowd) = crowd {
        let outcome = crowd.join().map_err(|_| Failure::new(Exit::Failed, "the crowd broke"))??;
        if matches!(followed, Ok(Followed::Ended)) {
            let bytes = serde_json::to_vec(&outcome).map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
            std::fs::write(journey.run_folder().join("crowd.json"), bytes)?;
        }
    }
    followed
}

/// By the war room, or by lines.
async fn look_on(journey: &Journey<'_>, client: &Client, shown: bool) -> Result<Followed, Failure> {
    if !shown {
        return lines(journey).await;
    }
    Ok(match warroom::run(&watch::options(client, true, true)).await? {
        Left::Ended => Followed::Ended,
        // The war room is left, the sale is followed on by lines.
        Left::Quit => lines(journey).await?,
        Left::Interrupted => Followed::Detached(Exit::Interrupted),
        Left::Terminated => Followed::Detached(Exit::Terminated),
    })
}

/// A sale that could not be warmed is slower at first, no more.
async fn warm_then_wait(journey: &Journey<'_>, client: &Client, shown: bool) -> Result<Followed, Failure> {
    let _ = countdown::warm_later(journey, client, shown).await;
    std::future::pending().await
}

type CrowdThread = std::thread::JoinHandle<Result<Outcome, Failure>>;

fn start_crowd(
    journey: &Journey<'_>,
    client: &Client,
    addresses: &Addresses,
    runtime: &Runtime,
    stop: &CancellationToken,
) -> Result<Option<CrowdThread>, Failure> {
    let definition = &journey.frozen.definition;
    let Some(crowd) = definition.crowd.clone() else { return Ok(None) };
    if !addresses.listen.ip().is_loopback() {
        return Err(Failure::new(Exit::BadFile, "crowd: a crowd storms loopback addresses only")
            .help("listen on 127.0.0.1, or take `crowd` out of the file"));
    }
    let status = runtime.block_on(client.status())?;
    if status.closed_at.is_some() {
        return Ok(None);
    }
    let opens_at = status.opened_at.or(status.opens_at).unwrap_or(status.now);
    let secret = std::fs::read_to_string(journey.folder.shopper_key())?;
    let failed = |error: &dyn std::fmt::Display| Failure::new(Exit::Failed, error.to_string());
    let mint = Mint::new(&definition.sale, LOCAL_KID, &secret).map_err(|error| failed(&error))?;
    let plan = crowd::Plan {
        crowd,
        skus: definition.items.iter().map(|item| item.sku.clone()).collect(),
        address: addresses.listen,
        mint,
        opens_at,
        stop: stop.clone(),
    };
    let thread = std::thread::Builder::new().name("crowd".to_owned()).spawn(move || crowd::drive(plan))?;
    Ok(Some(thread))
}

/// A line a second until the sale has ended.
async fn lines(journey: &Journey<'_>) -> Result<Followed, Failure> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut away = 0;
    loop {
        tokio::select! {
            () = tokio::time::sleep(LINE) => {}
            _ = interrupt.recv() => return Ok(Followed::Detached(Exit::Interrupted)),
            _ = terminate.recv() => return Ok(Followed::Detached(Exit::Terminated)),
        }
        // A restarted engine may listen elsewhere.
        let looked = match Client::to(journey.context, &crate::place::Target::Local(journey.folder.clone())) {
            Ok(client) => client.status().await,
            Err(away) => Err(away),
        };
        match looked {
            Ok(status) => {
                away = 0;
                if journey.context.format == Format::Table {
                    output::note(&line(&status));
                }
                if let Some(stopped) = &status.stopped {
                    return Err(Failure::new(Exit::Violated, format!("the writer stopped: {stopped}"))
                        .help("flashsale audit verify"));
                }
                if status.ended {
                    return Ok(Followed::Ended);
                }
            }
            Err(error) => {
                away += 1;
                output::note(&format!("  the engine does not answer ({away}): {error}"));
                if away > AWAY {
                    return Err(error);
                }
            }
        }
    }
}

fn line(status: &Status) -> String {
    let sum = |part: fn(&flashsale_engine::operator::wire::ItemStatusLine) -> u32| -> u32 {
        status.items.iter().map(part).sum()
    };
    let clock = match (status.opened_at, status.opens_at) {
        (Some(at), _) => format!("T+{:.0}s", seconds(status.now - at)),
        (None, Some(at)) => format!("T-{:.0}s", seconds(at - status.now)),
        (None, None) => "T-?".to_owned(),
    };
    let phase = match status.phase {
        Phase::Closed if status.ended => "ended".to_owned(),
        Phase::Closed => "draining".to_owned(),
        other => format!("{other:?}").to_lowercase(),
    };
    format!(
        "{clock:>7} {phase:<9} sold {:>7} held {:>7} free {:>7}  log {:>8}",
        sum(|item| item.sold),
        sum(|item| item.held),
        sum(|item| item.available),
        status.writer.next_offset
    )
}

#[allow(clippy::cast_precision_loss)]
fn seconds(millis: i64) -> f64 {
    millis as f64 / 1_000.0
}
