//! A prepared batch until the ledger has it, or this writer may not go on.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::commit::{Attempt, COMMIT_WITHIN, go_on, send};
use super::failpoint::{Point, reach};
use super::gauges::Gauges;
use super::service::{Ports, WriterError};
use crate::ports::{Gate, LedgerBatch, Severity};

/// A pause between attempts, while the ledger's end of a commit is unknown.
const PAUSE: Duration = Duration::from_millis(50);
/// A commit's end that is unknown for so long is worth waking someone: a restarted server is back before.
const PAGE_AFTER: Duration = Duration::from_secs(2);
/// How often a stopped writer looks whether the row was put back.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Who the gate's row names when the writer shuts it.
const WRITER: &str = "writer";

/// Brings `batch` into the ledger. Returns once it is there; while a row is not as this writer left it, the writer is
/// stopped, the gate is shut, and it only looks whether the row was put back.
pub(super) async fn land(ports: Ports, gauges: Arc<Gauges>, batch: Arc<LedgerBatch>) -> Result<(), WriterError> {
    let landed = bring(&ports, &gauges, &batch).await;
    gauges.unconfirmed.store(None);
    landed
}

async fn bring(ports: &Ports, gauges: &Gauges, batch: &LedgerBatch) -> Result<(), WriterError> {
    reach(Point::BeforeCommit);
    let mut doubt = Doubt::default();
    let mut attempt = within(send(&*ports.ledger, batch)).await;
    loop {
        match &attempt {
            Attempt::Committed => {
                reach(Point::AfterCommit);
                gauges.stop(None);
                return Ok(());
            }
            Attempt::Again => sleep(PAUSE).await,
            Attempt::Unknown(why) => {
                doubt.show(ports, gauges, batch, why);
                sleep(PAUSE).await;
            }
            Attempt::Mismatch(what) => {
                stop(ports, gauges, &format!("the ledger is not as this writer left it: {what}")).await;
                sleep(LOOK_AGAIN).await;
            }
            Attempt::Fenced(row) => {
                tracing::error!(?row, "the ledger is another writer's");
                return Err(WriterError::Fenced { mine: batch.epoch });
            }
            Attempt::Damaged(what) => return Err(WriterError::Ledger(what.clone())),
        }
        attempt = within(go_on(&*ports.ledger, batch, &attempt)).await;
    }
}

/// A commit whose end is not known, for how long, and what was said of it.
#[derive(Default)]
struct Doubt {
    since: Option<Duration>,
    said: String,
    paged: bool,
}

impl Doubt {
    /// Shows why, so that gateways take nothing more; says each reason once; pages once when it lasts.
    fn show(&mut self, ports: &Ports, gauges: &Gauges, batch: &LedgerBatch, why: &str) {
        let now = ports.clock.monotonic();
        let since = *self.since.get_or_insert(now);
        if self.said != why {
            tracing::warn!(why, next_offset = batch.next_offset, "a commit's end is unknown; resolving it");
            gauges.unconfirmed.store(Some(Arc::new(why.to_owned())));
            self.said = why.to_owned();
        }
        if !self.paged && now.saturating_sub(since) >= PAGE_AFTER {
            let text = format!("The ledger confirms no commits, nothing more is reserved: {}", self.said);
            ports.notifier.notify(Severity::Page, "ledger-unconfirmed", &text);
            self.paged = true;
        }
    }
}

/// Stops the writer: says so and pages once for one reason, and shuts the gate's row unless it is shut already.
pub(super) async fn stop(ports: &Ports, gauges: &Gauges, reason: &str) {
    if gauges.stopped.load().as_deref().is_none_or(|said| said != reason) {
        gauges.stop(Some(reason.to_owned()));
        tracing::error!(reason, "the writer is stopped and the gate is shut");
        ports.notifier.notify(Severity::Page, "writer-stopped", &format!("The writer is stopped: {reason}"));
    }
    if matches!(ports.history.gate().await, Ok(Some(gate)) if gate.invariant) {
        return;
    }
    let gate = Gate { since: ports.clock.now(), by: WRITER.into(), reason: reason.into(), invariant: true };
    if let Err(error) = ports.history.set_gate(Some(&gate)).await {
        tracing::error!(%error, "the gate's row could not be shut");
    }
}

async fn within(attempt: impl Future<Output = Attempt>) -> Attempt {
    timeout(COMMIT_WITHIN, attempt).await.unwrap_or_else(|_| Attempt::Unknown("no answer within the limit".into()))
}
