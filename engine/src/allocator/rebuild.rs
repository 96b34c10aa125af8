//! A writer's memory from the newest snapshot and the log; never from projection rows. Whatever does not fit is a
//! damaged log: nothing is folded.

use std::time::Duration;

use flashsale_core::{RULES_VERSION, State};
use uuid::Uuid;

use super::fold::{Fold, StepError, Witness};
use crate::audit::chain;
use crate::ports::{Checkpoint, History, LedgerError, Log, LogError, LogRecord, Snapshot};
use crate::record::{Record, decode};

/// Records in one read while replaying.
const READ_RECORDS: usize = 2_048;
/// How long a read waits for records that the log's end says are there.
const READ_WITHIN: Duration = Duration::from_secs(5);

/// Why there is no writer.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// Folding refused: see [`StepError`]; a damaged log is exit 98.
    #[error(transparent)]
    Step(#[from] StepError),
    /// The ledger's and the log's histories differ: exit 98.
    #[error("the rebuilt state is not the ledger's: {0}")]
    Diverged(String),
    /// The log is not reachable.
    #[error(transparent)]
    Log(LogError),
    /// The ledger is not reachable, or holds what cannot be.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl From<LogError> for RebuildError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Damaged(what) => Self::Step(StepError::Damaged(what)),
            other => Self::Log(other),
        }
    }
}

impl RebuildError {
    /// Whether what is stored contradicts itself, so that trying again cannot help (exit 98).
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Step(error) => matches!(error, StepError::Damaged(_) | StepError::Violated(_)),
            Self::Diverged(_) | Self::Ledger(LedgerError::Damaged(_)) => true,
            Self::Log(_) | Self::Ledger(LedgerError::Unavailable(_)) => false,
        }
    }
}

/// The fold as it stood at the ledger's row.
///
/// # Errors
/// See [`RebuildError`].
pub async fn rebuild(log: &dyn Log, history: &dyn History, run: Uuid, row: &Checkpoint) -> Result<Fold, RebuildError> {
    if let Some(other) = row.run.filter(|other| *other != run) {
        return Err(StepError::Damaged(format!("the ledger holds run {other}, not {run}")).into());
    }
    if row.next_offset == 0 {
        return Ok(Fold::new(run, row.generation));
    }
    if begins_further(log, run, row).await? {
        return Ok(Fold::new(run, row.generation + 1));
    }
    verify(log, row).await?;
    let snapshot = history.snapshot(row.next_offset).await?.filter(|found| found.generation == row.generation);
    let mut fold = snapshot.and_then(|found| restore(run, &found)).unwrap_or_else(|| Fold::new(run, row.generation));
    replay(log, &mut fold, row.next_offset).await?;
    if fold.digest() != row.digest {
        return Err(RebuildError::Diverged(format!(
            "digest {:016x} at offset {}, the ledger says {:016x}",
            fold.digest(),
            row.next_offset,
            row.digest
        )));
    }
    Ok(fold)
}

/// Folds exactly to `to`, with no one watching.
///
/// # Errors
/// See [`RebuildError`].
pub async fn replay(log: &dyn Log, fold: &mut Fold, to: u64) -> Result<(), RebuildError> {
    replay_with(log, fold, to, &mut ()).await
}

/// The same with a witness; its errors are the same too.
pub async fn replay_with(
    log: &dyn Log,
    fold: &mut Fold,
    to: u64,
    witness: &mut (impl Witness + Send),
) -> Result<(), RebuildError> {
    while fold.next() < to {
        let limit = usize::try_from(to - fold.next()).unwrap_or(usize::MAX).min(READ_RECORDS);
        for record in read(log, fold.next(), limit).await? {
            fold.record(&record, witness)?;
        }
    }
    Ok(())
}

/// The log is the one that the ledger's row was folded from: its identity, its first and its last folded record.
async fn verify(log: &dyn Log, row: &Checkpoint) -> Result<(), RebuildError> {
    let damaged = |what: String| Err(RebuildError::Step(StepError::Damaged(what)));
    let identity = log.identity().await?;
    if identity != row.log {
        return damaged(format!("the ledger was folded from log {}, this is log {identity}", row.log));
    }
    let end = log.end().await?;
    if end < row.next_offset {
        return damaged(format!("it ends at offset {end}, the ledger has folded up to {}", row.next_offset));
    }
    let last = read(log, row.next_offset - 1, 1).await?;
    if last.first().map(chain::last_record_hash) != Some(row.last_record) {
        return damaged(format!("the record at offset {} is another than was folded", row.next_offset - 1));
    }
    // Its rules: a snapshot would hide under which ones the log was made.
    if let Some(Record::Define(define)) = first_record(log).await?
        && define.rules_version != RULES_VERSION
    {
        return Err(StepError::Rules { found: define.rules_version }.into());
    }
    Ok(())
}

/// A log that begins the generation after the ledger's, with the ledger's own digest.
pub(crate) async fn begins_further(log: &dyn Log, run: Uuid, row: &Checkpoint) -> Result<bool, RebuildError> {
    if log.identity().await? == row.log {
        return Ok(false);
    }
    Ok(matches!(
        first_record(log).await?,
        Some(Record::Continue(further))
            if further.run == run && further.generation == row.generation + 1 && further.digest == row.digest
    ))
}

async fn first_record(log: &dyn Log) -> Result<Option<Record>, RebuildError> {
    if log.end().await? == 0 {
        return Ok(None);
    }
    Ok(read(log, 0, 1).await?.first().and_then(|record| decode(&record.bytes).ok()))
}

/// An unreadable snapshot costs time, not the sale: the log has it all.
pub(crate) fn restore(run: Uuid, snapshot: &Snapshot) -> Option<Fold> {
    let whole = |state: &State| state.digest() == snapshot.digest && state.check_all().is_ok();
    match postcard::from_bytes::<State>(&snapshot.state).ok().filter(whole) {
        Some(state) => Some(Fold::resume(run, snapshot.generation, snapshot.next_offset, state)),
        None => {
            tracing::warn!(next_offset = snapshot.next_offset, "a snapshot is unreadable; replaying the whole log");
            None
        }
    }
}

async fn read(log: &dyn Log, from: u64, limit: usize) -> Result<Vec<LogRecord>, RebuildError> {
    let records = log.read(from, limit, READ_WITHIN).await?;
    if records.is_empty() {
        return Err(StepError::Damaged(format!("no record at offset {from}, before its end")).into());
    }
    Ok(records)
}
