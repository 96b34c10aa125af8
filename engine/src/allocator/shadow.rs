//! A second fold of what was committed, off the hot path: a snapshot is its state, so that no commit ever waits for a
//! state to be copied or written out.
//!
//! It folds the records of committed batches in pieces, on the runtime's blocking threads. When it falls behind by more
//! than [`MOST_BYTES`] it lets the waiting records go and reads them from the log again. Its digest must be the writer's
//! wherever they meet; a shadow that differs is given up, and said, and keeps nothing.
//!
//! It costs the state's memory a second time, about 100 bytes a hold, and its share of folding: under a hundredth of a
//! core at 25,000 reserves a second.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::task::spawn_blocking;

use super::failpoint::{Point, reach};
use super::fold::Fold;
use crate::ports::{Ledger, LedgerBatch, Log, LogRecord, Snapshot};

/// Records that are worth a turn on another thread.
const ENOUGH: usize = 64;
/// Bytes of records that may wait; beyond it they are read from the log again.
const MOST_BYTES: usize = 8 << 20;
/// Records in one read and one turn while it catches up.
const CATCH_UP: usize = 128;
/// How long a read waits for records that are known to be there.
const READ_WITHIN: Duration = Duration::from_secs(5);

/// A moment at which writer and shadow must agree: after a committed batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Meeting {
    next_offset: u64,
    digest: u64,
}

/// A fold that follows the writer's. None of its methods waits.
pub(super) struct Shadow {
    log: Arc<dyn Log>,
    ledger: Arc<dyn Ledger>,
    /// Here while it rests; none while it works, and for good once it was given up.
    fold: Option<Fold>,
    waiting: Vec<LogRecord>,
    bytes: usize,
    /// A snapshot is due at the next meeting.
    due: bool,
    given_up: bool,
}

/// A turn of work; ends with the fold, or none when it is given up.
pub(super) type Turn = BoxFuture<'static, Option<Fold>>;

impl Shadow {
    /// From where the writer begins.
    pub(super) fn new(log: Arc<dyn Log>, ledger: Arc<dyn Ledger>, fold: Fold) -> Self {
        Self { log, ledger, fold: Some(fold), waiting: Vec::new(), bytes: 0, due: false, given_up: false }
    }

    /// A snapshot is wanted.
    pub(super) fn want_snapshot(&mut self) {
        self.due = true;
    }

    /// A batch was committed. Answers the next turn of work, when it rests and there is enough of it; the caller polls
    /// it and brings its end to [`Shadow::rest`].
    pub(super) fn follow(&mut self, batch: &LedgerBatch, records: Vec<LogRecord>) -> Option<Turn> {
        if self.given_up {
            return None;
        }
        self.bytes += records.iter().map(|record| record.bytes.len()).sum::<usize>();
        self.waiting.extend(records);
        if self.fold.is_some() && (self.due || self.waiting.len() >= ENOUGH) {
            let meeting = Meeting { next_offset: batch.next_offset, digest: batch.digest };
            let (fold, records) = (self.fold.take()?, std::mem::take(&mut self.waiting));
            self.bytes = 0;
            let keep = std::mem::take(&mut self.due);
            return Some(Box::pin(work(Arc::clone(&self.log), Arc::clone(&self.ledger), fold, records, meeting, keep)));
        }
        if self.bytes > MOST_BYTES {
            (self.waiting, self.bytes) = (Vec::new(), 0);
        }
        None
    }

    /// A turn ended.
    pub(super) fn rest(&mut self, fold: Option<Fold>) {
        self.given_up = fold.is_none();
        self.fold = fold;
    }
}

async fn work(
    log: Arc<dyn Log>,
    ledger: Arc<dyn Ledger>,
    fold: Fold,
    records: Vec<LogRecord>,
    meeting: Meeting,
    keep: bool,
) -> Option<Fold> {
    // What was let go while it worked is between the fold and the oldest that waited.
    let oldest = records.first().map_or(meeting.next_offset, |record| record.offset);
    let fold = catch_up(&*log, fold, oldest).await?;
    let (fold, state) = spawn_blocking(move || meet(fold, &records, meeting, keep)).await.ok().flatten()?;
    if let Some(state) = state {
        reach(Point::DuringSnapshot);
        let (generation, Meeting { next_offset, digest }, state) = (fold.generation(), meeting, state.into());
        if let Err(error) = ledger.save_snapshot(&Snapshot { generation, next_offset, digest, state }).await {
            tracing::warn!(%error, next_offset, "a snapshot was not kept; a start would replay more");
        }
    }
    Some(fold)
}

async fn catch_up(log: &dyn Log, mut fold: Fold, to: u64) -> Option<Fold> {
    while fold.next() < to {
        let limit = usize::try_from(to - fold.next()).unwrap_or(CATCH_UP).min(CATCH_UP);
        let records = match log.read(fold.next(), limit, READ_WITHIN).await {
            Ok(records) if !records.is_empty() => records,
            other => {
                given_up(fold.next(), &format!("the log answered {other:?}"));
                return None;
            }
        };
        fold = spawn_blocking(move || follow_all(fold, &records)).await.ok().flatten()?;
    }
    Some(fold)
}

fn follow_all(mut fold: Fold, records: &[LogRecord]) -> Option<Fold> {
    for record in records {
        if let Err(error) = fold.record(record, &mut ()) {
            given_up(record.offset, &error.to_string());
            return None;
        }
    }
    Some(fold)
}

/// Folds up to the meeting, compares, and writes the state out when it is to be kept.
fn meet(fold: Fold, records: &[LogRecord], meeting: Meeting, keep: bool) -> Option<(Fold, Option<Vec<u8>>)> {
    let fold = follow_all(fold, records)?;
    if (fold.next(), fold.digest()) != (meeting.next_offset, meeting.digest) {
        let (own, its) = (fold.digest(), meeting.digest);
        given_up(
            meeting.next_offset,
            &format!("digest {own:016x} at offset {}, the writer's is {its:016x}", fold.next()),
        );
        return None;
    }
    let state = fold.state().filter(|_| keep).map(postcard::to_stdvec).transpose();
    match state {
        Ok(state) => Some((fold, state)),
        Err(error) => {
            given_up(meeting.next_offset, &format!("the state cannot be written out: {error}"));
            None
        }
    }
}

fn given_up(offset: u64, why: &str) {
    tracing::error!(offset, why, "no more snapshots are kept; the sale goes on, and a start replays more");
}

#[cfg(test)]
mod tests {
    use flashsale_core::{ItemRules, RULES_VERSION, Rules};
    use uuid::Uuid;

    use super::*;
    use crate::record::{Define, Record, encode};

    fn first_record() -> (Fold, LogRecord) {
        let run = Uuid::from_u128(1);
        let items = vec![ItemRules { stock: 3, per_customer: 1 }];
        let rules = Rules { items, hold_ms: 1_000, offer_ms: 500, pace: None, opens_at: None, duration_ms: 60_000 };
        let define = Define { run, rules_version: RULES_VERSION, rules, definition: "{}".into() };
        let bytes = encode(&Record::Define(define)).unwrap().into();
        (Fold::new(run, 0), LogRecord { offset: 0, timestamp: 1_000, bytes })
    }

    #[test]
    fn a_shadow_that_differs_keeps_nothing() {
        let (fold, record) = first_record();
        let digest = follow_all(fold.clone(), std::slice::from_ref(&record)).unwrap().digest();
        let meeting = Meeting { next_offset: 1, digest };
        let (met, state) = meet(fold.clone(), std::slice::from_ref(&record), meeting, true).unwrap();
        assert_eq!((met.next(), met.digest(), state.is_some()), (1, digest, true));
        for other in [Meeting { digest: digest + 1, ..meeting }, Meeting { next_offset: 2, ..meeting }] {
            assert!(meet(fold.clone(), std::slice::from_ref(&record), other, true).is_none());
        }
    }
}
