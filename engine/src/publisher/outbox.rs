//! What was committed, on its way out: from memory while it keeps up, from the audit rows after a crash or a full queue.
//! Events and decisions have an outbox each, so that neither waits for the other; `published_through` moves only after
//! both are acknowledged.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::decisions::{self, Shown};
use super::events::Encoder;
use crate::allocator::failpoint::{Point, reach};
use crate::allocator::gauges::Gauges;
use crate::ports::{Checkpoint, Events, EventsError, History, Ledger, LedgerError, Log, LogError};
use crate::record::{Committed, DecodeError, decode};

/// Committed batches that wait in memory; beyond it the audit rows are read instead.
pub const QUEUE_BATCHES: usize = 256;
/// Audit rows in one read.
const ROWS: u32 = 256;
/// Events in one publication, about.
const EVENTS: usize = 2_048;
/// Events are gathered for this long, off the reply path, and the ledger hears of progress as often: what was published
/// since then is published again after a crash. Decisions are gathered for no time: shoppers wait for them.
pub const LINGER: Duration = Duration::from_millis(50);
/// Waits after failures.
const BACK_OFF: [Duration; 4] =
    [Duration::from_millis(20), Duration::from_millis(100), Duration::from_millis(500), Duration::from_secs(2)];

/// Why something is not out yet.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// The events' log.
    #[error(transparent)]
    Events(#[from] EventsError),
    /// The decisions' log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The audit rows.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// An audit row is unreadable.
    #[error("audit row up to offset {next_offset}: {error}")]
    Row {
        /** The row. */
        next_offset: u64,
        /** Why. */
        error: DecodeError,
    },
    /// An audit row that must be there is not.
    #[error("no audit row covers offset {0}")]
    Missing(u64),
}

/// The ports an outbox needs.
#[derive(Clone)]
pub struct Ports {
    /// Where events go.
    pub events: Arc<dyn Events>,
    /// The audit rows.
    pub history: Arc<dyn History>,
    /// `published_through`.
    pub ledger: Arc<dyn Ledger>,
}

/// How far the decisions are out: (generation, offset). What is marked as published is not beyond it.
#[derive(Debug, Default)]
pub struct Reached(Mutex<(u32, u64)>);

impl Reached {
    fn set(&self, generation: u32, through: u64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (generation, through);
    }

    /// How far within a generation.
    fn within(&self, generation: u32) -> u64 {
        let (reached, through) = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match reached.cmp(&generation) {
            std::cmp::Ordering::Less => 0,
            std::cmp::Ordering::Equal => through,
            std::cmp::Ordering::Greater => u64::MAX,
        }
    }
}

/// Where it goes.
enum Outlet {
    Events { events: Arc<dyn Events>, encoder: Encoder, beside: Option<Arc<Reached>> },
    Decisions { log: Arc<dyn Log>, reached: Arc<Reached>, shown: Shown },
}

/// How far events or decisions are out. Drivable step by step: no clock, no sleep.
pub struct Outbox {
    outlet: Outlet,
    history: Arc<dyn History>,
    ledger: Arc<dyn Ledger>,
    gauges: Arc<Gauges>,
    epoch: u64,
    generation: u32,
    through: u64,
    marked: u64,
}

impl Outbox {
    /// Of events, from the ledger's row at the takeover.
    #[must_use]
    pub fn new(ports: Ports, encoder: Encoder, gauges: Arc<Gauges>, row: &Checkpoint) -> Self {
        let Ports { events, history, ledger } = ports;
        Self::of(Outlet::Events { events, encoder, beside: None }, history, ledger, gauges, row)
    }

    /// The same, which marks nothing as published that the decisions beside it have not reached.
    #[must_use]
    pub fn beside(mut self, reached: Arc<Reached>) -> Self {
        if let Outlet::Events { beside, .. } = &mut self.outlet {
            *beside = Some(reached);
        }
        self
    }

    /// Of decisions, from the same row; it shows how far it is and leaves the marking to the events' outbox.
    #[must_use]
    pub fn of_decisions(
        log: Arc<dyn Log>,
        reached: Arc<Reached>,
        ports: Ports,
        gauges: Arc<Gauges>,
        row: &Checkpoint,
    ) -> Self {
        reached.set(row.generation, row.published_through);
        let outlet = Outlet::Decisions { log, reached, shown: Shown::default() };
        Self::of(outlet, ports.history, ports.ledger, gauges, row)
    }

    fn of(
        outlet: Outlet,
        history: Arc<dyn History>,
        ledger: Arc<dyn Ledger>,
        gauges: Arc<Gauges>,
        row: &Checkpoint,
    ) -> Self {
        let (epoch, generation, through) = (row.epoch, row.generation, row.published_through);
        Self { outlet, history, ledger, gauges, epoch, generation, through, marked: through }
    }

    /// Everything below is published.
    #[must_use]
    pub fn through(&self) -> u64 {
        self.through
    }

    /// Publishes the audit rows up to `to`: what a crash or a full queue left.
    ///
    /// # Errors
    /// When a part of the world does not answer; what is out stays counted.
    pub async fn catch_up(&mut self, to: u64) -> Result<(), OutboxError> {
        while self.through < to {
            let rows = self.history.audit(self.generation, self.through, ROWS).await?;
            let before = self.through;
            for row in rows {
                let committed = decode::<Committed>(&row.committed)
                    .map_err(|error| OutboxError::Row { next_offset: row.next_offset, error })?;
                self.send(&[Arc::new(committed)]).await?;
            }
            if self.through == before {
                return Err(OutboxError::Missing(before));
            }
        }
        Ok(())
    }

    /// Publishes batches that were just committed, in order; whatever is missing before them comes from the rows.
    ///
    /// # Errors
    /// As [`Outbox::catch_up`]; the batches are to be given again then.
    pub async fn publish(&mut self, batches: &VecDeque<Arc<Committed>>) -> Result<(), OutboxError> {
        let mut together: Vec<Arc<Committed>> = Vec::new();
        for batch in batches {
            let Some(first) = batch.decisions.first() else { continue };
            if first.generation != self.generation {
                self.send(&together).await?;
                together.clear();
                (self.generation, self.through, self.marked) = (first.generation, 0, 0);
            }
            let reached = together.last().map_or(self.through, |last| last.next_offset);
            if batch.next_offset <= reached {
                continue;
            }
            if first.offset > reached {
                self.send(&together).await?;
                together.clear();
                self.catch_up(first.offset).await?;
            }
            together.push(Arc::clone(batch));
        }
        self.send(&together).await
    }

    async fn send(&mut self, batches: &[Arc<Committed>]) -> Result<(), OutboxError> {
        let Some(last) = batches.last() else { return Ok(()) };
        reach(Point::BeforePublish);
        match &mut self.outlet {
            Outlet::Events { events, encoder, .. } => {
                let told: Vec<_> = batches.iter().flat_map(|batch| encoder.encode(batch)).collect();
                for part in told.chunks(EVENTS) {
                    events.publish(part).await?;
                }
            }
            Outlet::Decisions { log, reached, shown } => {
                decisions::publish(&**log, batches, shown, &self.gauges).await?;
                reached.set(self.generation, last.next_offset);
            }
        }
        self.through = last.next_offset;
        if let Some(through) = self.published() {
            self.gauges.published(through);
        }
        reach(Point::AfterPublish);
        Ok(())
    }

    /// What this outbox may call published; none: it leaves that to another.
    fn published(&self) -> Option<u64> {
        match &self.outlet {
            Outlet::Events { beside: None, .. } => Some(self.through),
            Outlet::Events { beside: Some(reached), .. } => Some(self.through.min(reached.within(self.generation))),
            Outlet::Decisions { .. } => None,
        }
    }

    /// What a crash left below `left`, then what was committed since, then the mark.
    ///
    /// # Errors
    /// As its parts; to be called again with the same, which then begins where it is.
    pub async fn turn(&mut self, left: u64, waiting: &VecDeque<Arc<Committed>>) -> Result<(), OutboxError> {
        self.catch_up(left).await?;
        self.publish(waiting).await?;
        self.mark().await
    }

    /// Lets the ledger know how far it is.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn mark(&mut self) -> Result<(), OutboxError> {
        if let Some(through) = self.published().filter(|through| self.marked < *through) {
            self.ledger.published(self.epoch, through).await?;
            self.marked = through;
            self.gauges.published(through);
        }
        Ok(())
    }
}

/// Publishes until stopped; then what is still queued, once.
pub async fn run(
    begin: oneshot::Receiver<Checkpoint>,
    mut queue: mpsc::Receiver<Arc<Committed>>,
    make: impl FnOnce(&Checkpoint) -> Outbox,
    linger: Duration,
    stop: CancellationToken,
) {
    let row = tokio::select! { row = begin => row, () = stop.cancelled() => return };
    let Ok(row) = row else { return };
    let mut outbox = make(&row);
    let mut waiting: VecDeque<Arc<Committed>> = VecDeque::new();
    let mut failures = 0_usize;
    let mut left = row.next_offset;
    loop {
        let stopping = stop.is_cancelled();
        while waiting.len() < QUEUE_BATCHES
            && let Ok(batch) = queue.try_recv()
        {
            waiting.push_back(batch);
        }
        let more = waiting.len() == QUEUE_BATCHES;
        match outbox.turn(left, &waiting).await {
            Ok(()) => {
                (failures, left) = (0, 0);
                waiting.clear();
            }
            Err(error) => {
                if failures == 0 {
                    tracing::warn!(%error, "publishing is behind; the sale goes on");
                }
                failures += 1;
            }
        }
        let pause = match failures {
            0 if more => continue,
            0 => linger,
            times => BACK_OFF[times.min(BACK_OFF.len()) - 1],
        };
        if stopping {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(pause), if !pause.is_zero() => {}
            Some(batch) = queue.recv(), if pause.is_zero() => waiting.push_back(batch),
            () = stop.cancelled() => {}
        }
    }
}
