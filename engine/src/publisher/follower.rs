//! How a process that is not the writer hears of decisions: the ledger's books first, then the decisions log, without a
//! gap between them.
//!
//! The decisions log's end is taken before the books are read. A commit precedes its publication, so whatever is
//! published before that end is in the books, and whatever comes after it is read: nothing lies between. Batches that
//! the books hold already are left out; one that is missing is read from its audit row.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::answers::Answers;
use super::decisions::Told;
use crate::allocator::gauges::Gauges;
use crate::ports::{Clock, History, LedgerError, Log, LogError};
use crate::record::{Committed, DecodeError, decode};

/// Decisions in one read.
const READ_RECORDS: usize = 512;
/// How long a read waits; nothing depends on it but how often a quiet log is asked.
const READ_WITHIN: Duration = Duration::from_secs(1);
/// Audit rows in one read.
const ROWS: u32 = 256;
/// A pause after a part of the world did not answer.
const PAUSE: Duration = Duration::from_millis(100);

/// Why the feed is interrupted.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error("audit row up to offset {0}: {1}")]
    Row(u64, DecodeError),
    #[error("no audit row covers offset {0}")]
    Missing(u64),
}

/// Follows the decisions of whoever is the writer.
pub struct Follower {
    /// The decisions log.
    pub decisions: Arc<dyn Log>,
    /// The books to begin with.
    pub history: Arc<dyn History>,
    /// Whom it tells.
    pub answers: Arc<Answers>,
    /// What it shows.
    pub gauges: Arc<Gauges>,
    /// Ages.
    pub clock: Arc<dyn Clock>,
}

/// Everything below is known: (generation, offset).
type Place = (u32, u64);

impl Follower {
    /// Follows until stopped, or until this process has the writer itself.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            let followed = tokio::select! {
                followed = self.follow() => followed,
                () = stop.cancelled() => return,
            };
            match followed {
                Ok(()) => return,
                // Whatever was missed meanwhile is in the books that the next round begins with.
                Err(error) => tracing::warn!(%error, "decisions are not heard; beginning again"),
            }
            tokio::select! { () = tokio::time::sleep(PAUSE) => {}, () = stop.cancelled() => return }
        }
    }

    /// Returns once this process leads.
    async fn follow(&self) -> Result<(), FollowError> {
        let mut at = self.decisions.end().await?;
        let Some(mut place) = self.load().await? else { return Ok(()) };
        loop {
            for record in self.decisions.read(at, READ_RECORDS, READ_WITHIN).await? {
                at = record.offset + 1;
                match decode::<Told>(&record.bytes) {
                    Ok(told) => {
                        if !self.hear(&mut place, told).await? {
                            return Ok(());
                        }
                    }
                    Err(error) => tracing::warn!(%error, offset = record.offset, "not a decision"),
                }
            }
        }
    }

    /// The books; none: this process leads.
    async fn load(&self) -> Result<Option<Place>, FollowError> {
        let Some((row, rows)) = self.history.books().await? else { return Ok(Some((0, 0))) };
        if !self.answers.load(&rows, row.generation, row.next_offset) {
            return Ok(None);
        }
        if row.next_offset > 0 {
            self.gauges.stand(row.epoch, row.generation, row.next_offset, row.digest, row.chain);
            self.gauges.hear(self.clock.now(), 0);
        }
        Ok(Some((row.generation, row.next_offset)))
    }

    /// Takes one batch in, after those that are missing before it. False: this process leads.
    async fn hear(&self, place: &mut Place, told: Told) -> Result<bool, FollowError> {
        let Told { committed, sale } = told;
        let Some(first) = committed.decisions.first() else { return Ok(true) };
        let (generation, from) = (first.generation, first.offset);
        if (generation, committed.next_offset) <= *place {
            return Ok(true);
        }
        if generation > place.0 {
            *place = (generation, 0);
        }
        while place.1 < from {
            if !self.fill(place, from).await? {
                return Ok(false);
            }
        }
        let leads = !self.tell(place, committed);
        if let Some(sale) = sale.filter(|_| !leads) {
            self.gauges.sale.store(Some(Arc::new(sale)));
        }
        Ok(!leads)
    }

    /// Batches between `place` and `to`, from the audit rows. False: this process leads.
    async fn fill(&self, place: &mut Place, to: u64) -> Result<bool, FollowError> {
        let before = place.1;
        for row in self.history.audit(place.0, before, ROWS).await? {
            // The first row of a further generation begins where the last one's offsets ended.
            if before > 0 && row.first_offset >= to {
                continue;
            }
            let committed = decode::<Committed>(&row.committed);
            let committed = committed.map_err(|error| FollowError::Row(row.next_offset, error))?;
            if !self.tell(place, committed) {
                return Ok(false);
            }
        }
        if place.1 == before { Err(FollowError::Missing(before)) } else { Ok(true) }
    }

    fn tell(&self, place: &mut Place, committed: Committed) -> bool {
        let committed = Arc::new(committed);
        if !self.answers.pass_on(&committed) {
            return false;
        }
        let Some(last) = committed.decisions.last() else { return true };
        let now = self.clock.now();
        let commands = committed.decisions.iter().map(|decision| decision.outcomes.len() as u64).sum();
        self.gauges.stand(committed.epoch, last.generation, committed.next_offset, committed.digest, committed.chain);
        self.gauges.reading(committed.next_offset, 0, None);
        self.gauges.count_batch(committed.decisions.len() as u64, commands);
        self.gauges.hear(now, now.saturating_sub(last.timestamp));
        *place = (last.generation, committed.next_offset);
        true
    }
}
