//! From up to armed: preflight at T-60m and at T-5m, warm at T-30s. A phase whose time has passed runs at once.

use std::time::Duration;

use flashsale_engine::operator::wire::{Change, Status};
use tokio::signal::unix::{SignalKind, signal};

use super::{Journey, warm};
use crate::client::Client;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::preflight::{self, Checked};

/// The first look: an hour before the opening, while there is time to put things right.
const FIRST_LOOK: i64 = 3_600_000;
/// The look that arms.
const LAST_LOOK: i64 = 300_000;
/// Warm.
const WARM: i64 = 30_000;
/// Between two looks at the clock while it waits; `reschedule` may move the opening.
const LOOK: Duration = Duration::from_secs(1);

/// How the countdown ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// The sale is armed, or has opened.
    Armed,
    /// By Ctrl-C or a signal, before it was armed; the exit code says which.
    Detached(Exit),
}

/// Counts down until the sale is armed, and warm if that is due.
pub async fn countdown(journey: &Journey<'_>, client: &Client) -> Result<Counted, Failure> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        counted = count(journey, client) => counted.map(|()| Counted::Armed),
        _ = interrupt.recv() => Ok(Counted::Detached(Exit::Interrupted)),
        _ = terminate.recv() => Ok(Counted::Detached(Exit::Terminated)),
    }
}

async fn count(journey: &Journey<'_>, client: &Client) -> Result<(), Failure> {
    let status = client.status().await?;
    if status.armed || begun(&status) {
        return journey.say("ready", &serde_json::json!({ "phase": status.phase, "epoch": status.writer.epoch }));
    }
    let status = until(client, FIRST_LOOK).await?;
    if left(&status).is_some_and(|left| left > LAST_LOOK) {
        let checked = look(journey, client).await?;
        if !checked.go {
            output::note("no-go for now: it is looked at again five minutes before the opening");
        }
    }
    let status = until(client, LAST_LOOK).await?;
    let checked = look(journey, client).await?;
    let reason = reason(journey, &checked)?;
    // Without a time it opens as soon as it is armed.
    if status.opens_at.is_none() {
        warmed(journey, client).await?;
    }
    client.change(Change::Arm, &reason).await?;
    journey.say("armed", &serde_json::json!({ "opens_at": status.opens_at, "reason": reason }))?;
    if left(&status).is_some_and(|left| left <= WARM) {
        warmed(journey, client).await?;
    }
    Ok(())
}

/// Warms at T-30s beside whoever follows an armed sale; quiet: the screen is the war room's.
pub async fn warm_later(journey: &Journey<'_>, client: &Client, quiet: bool) -> Result<(), Failure> {
    let status = client.status().await?;
    if begun(&status) || left(&status).is_none_or(|left| left <= WARM) {
        return Ok(());
    }
    until(client, WARM).await?;
    if quiet {
        return warm::warm(&journey.folder, &journey.frozen, client).await.map(|_| ());
    }
    warmed(journey, client).await
}

async fn warmed(journey: &Journey<'_>, client: &Client) -> Result<(), Failure> {
    match warm::warm(&journey.folder, &journey.frozen, client).await {
        Ok(warm) => journey.say("prewarm", &warm),
        // Cold is slower, not wrong.
        Err(failure) => journey.say("prewarm", &serde_json::json!({ "failed": failure.message })),
    }
}

async fn look(journey: &Journey<'_>, client: &Client) -> Result<Checked, Failure> {
    let checked = preflight::check(&journey.folder, &journey.frozen, client).await?;
    journey.say("preflight", &checked)?;
    Ok(checked)
}

/// What the audit will say of the arming; an error when it must not happen.
fn reason(journey: &Journey<'_>, checked: &Checked) -> Result<String, Failure> {
    if checked.go {
        return Ok("preflight says go".to_owned());
    }
    let failed = checked.failed().join("; ");
    match &journey.force {
        Some(why) => Ok(format!("forced over no-go ({failed}): {why}").chars().take(LONGEST_REASON).collect()),
        None => Err(Failure::new(Exit::Unavailable, format!("no-go: the sale is not armed: {failed}"))
            .help("put it right and run again; or `run FILE --force REASON`, which the audit keeps")),
    }
}

/// The most of a reason that the audit keeps, bytes of ASCII.
const LONGEST_REASON: usize = 400;

/// Waits until the opening is at most so far away, ms; at once without an opening time.
async fn until(client: &Client, before: i64) -> Result<Status, Failure> {
    loop {
        match client.status().await {
            Ok(status) if left(&status).is_none_or(|left| left <= before) => return Ok(status),
            Ok(status) if begun(&status) => return Ok(status),
            // An engine that is being restarted comes back.
            Ok(_) | Err(_) => tokio::time::sleep(LOOK).await,
        }
    }
}

/// Opened, or closed before it could: a halt before the opening is neither.
fn begun(status: &Status) -> bool {
    status.opened_at.is_some() || status.closed_at.is_some()
}

/// Until the opening, ms.
fn left(status: &Status) -> Option<i64> {
    status.opens_at.map(|at| at - status.now)
}
