//! The writer as a service: becomes the writer, writes until it is stopped or may not go on.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::fold::StepError;
use super::gauges::Gauges;
use super::landing;
use super::rebuild::RebuildError;
use super::step::Allocator;
use super::takeover::{Claim, take_over, wait_for_still};
use super::ticks::Layers;
use super::witnesses::beyond;
use super::writing::Writing;
use crate::ports::{Checkpoint, Clock, History, Ledger, Log, Notifier};
use crate::publisher::service::Publisher;

/// How often a snapshot is kept.
pub const SNAPSHOT_EVERY: Duration = Duration::from_secs(30);
/// A pause before trying to become the writer again, while a store is not reachable.
const PAUSE: Duration = Duration::from_millis(500);

/// What the writer needs of the world.
#[derive(Clone)]
pub struct Ports {
    /// The commands.
    pub log: Arc<dyn Log>,
    /// The decisions that other processes heard of; none: there are no others.
    pub decisions: Option<Arc<dyn Log>>,
    /// Its own connection to the ledger.
    pub ledger: Arc<dyn Ledger>,
    /// Everyone's: snapshots, the gate's row.
    pub history: Arc<dyn History>,
    /// Who is told when it stops by itself.
    pub notifier: Arc<dyn Notifier>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// How it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// An exclusive lock proves that no other writer lives: nobody's beat is waited for.
    pub alone: bool,
    /// Which layers release units; all, outside tests.
    pub layers: Layers,
    /// [`SNAPSHOT_EVERY`], outside tests.
    pub snapshot_every: Duration,
    /// The log comes back by itself after an outage, so that the writer waits for it; else it starts afresh.
    pub log_returns: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { alone: false, layers: Layers::default(), snapshot_every: SNAPSHOT_EVERY, log_returns: false }
    }
}

/// Why a writer ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum WriterError {
    /// Another writer has the ledger.
    #[error("the ledger is another writer's: epoch {mine} is over")]
    Fenced {
        /** This writer's epoch. */
        mine: u64,
    },
    /// Folding refused.
    #[error(transparent)]
    Step(#[from] StepError),
    /// Memory could not be rebuilt.
    #[error(transparent)]
    Rebuild(#[from] RebuildError),
    /// The ledger holds what cannot be.
    #[error("the ledger is damaged: {0}")]
    Ledger(String),
    /// The log has taken no record for too long: only a fresh start can tell what became of the last ones.
    #[error("the log takes no records: {0}")]
    Log(String),
}

impl WriterError {
    /// Whether what is stored contradicts itself, so that starting again cannot help: exit 98.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Step(error) => matches!(error, StepError::Damaged(_) | StepError::Violated(_)),
            Self::Rebuild(error) => error.is_damage(),
            Self::Ledger(_) => true,
            Self::Fenced { .. } | Self::Log(_) => false,
        }
    }
}

/// The writer.
pub struct Service {
    /// The world.
    pub ports: Ports,
    /// What it brings.
    pub claim: Claim,
    /// How it runs.
    pub options: Options,
    /// What it shows.
    pub gauges: Arc<Gauges>,
    /// Whom it tells.
    pub publisher: Arc<Publisher>,
    /// Asked for a tick by [`nudges`](super::nudges).
    pub nudge: Arc<Notify>,
    /// Cancelled to stop it in good order: after everything appended is decided.
    pub stop: CancellationToken,
}

impl Service {
    /// Runs until stopped. A writer stopped by a violated invariant stays, shut, until it is told to stop: reads go on.
    ///
    /// # Errors
    /// When this process may not be the writer any more; its memory is worth nothing then.
    pub async fn run(self) -> Result<(), WriterError> {
        let Some((allocator, row)) = self.seat().await? else { return Ok(()) };
        tracing::info!(epoch = row.epoch, next_offset = row.next_offset, "this is the writer now");
        self.gauges.lead();
        self.gauges.stand(row.epoch, row.generation, row.next_offset, row.digest, row.chain);
        self.gauges.published(row.published_through);
        self.publisher.begin(allocator.state(), &row);
        if row.next_offset > 0 && allocator.generation() != row.generation && !self.all_published(&row).await {
            return Ok(());
        }
        let (ports, gauges, stop) = (self.ports.clone(), Arc::clone(&self.gauges), self.stop.clone());
        let ended = Writing::new(self, allocator).run().await;
        if let Err(WriterError::Step(StepError::Violated(what))) = &ended {
            landing::stop(&ports, &gauges, &format!("an invariant would be violated: {what}")).await;
            stop.cancelled().await;
        } else if let Err(error) = &ended {
            gauges.stop(Some(error.to_string()));
        }
        ended
    }

    /// A further generation begins only when everything of the last one is published: its rows are read by offsets that
    /// begin anew. False: stopped before.
    async fn all_published(&self, row: &Checkpoint) -> bool {
        while self.gauges.standing().published_through < row.next_offset {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(20)) => {}
                () = self.stop.cancelled() => return false,
            }
        }
        true
    }

    /// Becomes the writer; none when stopped before.
    async fn seat(&self) -> Result<Option<(Allocator, Checkpoint)>, WriterError> {
        loop {
            let seated = tokio::select! {
                seated = self.try_seat() => seated,
                () = self.stop.cancelled() => return Ok(None),
            };
            match seated {
                Ok(Some(seat)) => return Ok(Some(seat)),
                Ok(None) => tracing::info!("another process became the writer first"),
                Err(error) if error.is_damage() || matches!(error, RebuildError::Step(_)) => {
                    self.gauges.stop(Some(error.to_string()));
                    return Err(error.into());
                }
                Err(error) => tracing::warn!(%error, "not the writer yet"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn try_seat(&self) -> Result<Option<(Allocator, Checkpoint)>, RebuildError> {
        let Ports { log, decisions, ledger, history, clock, .. } = &self.ports;
        let seen = wait_for_still(&**ledger, &**clock, self.options.alone).await?;
        let seat = take_over(&**log, &**ledger, &**history, &self.claim, &seen).await?;
        let (Some((allocator, row)), Some(decisions)) = (&seat, decisions) else { return Ok(seat) };
        if allocator.generation() != row.generation {
            return Ok(seat);
        }
        let told = beyond(&**decisions, row).await?;
        Ok(seat.map(|(allocator, row)| (allocator.held_to(told), row)))
    }
}
