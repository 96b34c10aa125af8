//! The way back from a log that lost its tail: the state at the ledger's checkpoint, from the newest snapshot, as much
//! of the log as is still what was folded, and for the rest the decisions and rows that the ledger kept.

use std::time::Duration;

use flashsale_core::recover::{Passed, Tables};
use flashsale_core::{Outcome, Phase, Position, State};
use serde::Serialize;

use super::chain;
use super::pages::Pages;
use crate::allocator::fold::Fold;
use crate::allocator::rebuild::restore;
use crate::ports::{AuditRow, Checkpoint, History, LedgerError, LedgerRows, Log, LogRecord};
use crate::record::{BatchId, Committed, Continue, Decision, Define, decode};

/// How long a read waits for a record that should be there.
const READ: Duration = Duration::from_millis(200);

/// What a new log begins with.
#[derive(Debug)]
pub struct Recovery {
    /// Its first record, but for who approved it and why.
    pub first: Continue,
    /// How it was come by.
    pub report: Report,
}

/// How the state was come by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The generation that begins.
    pub generation: u32,
    /// Every record below was decided; nothing of that is lost.
    pub decided: u64,
    /// Of these, the log still has what was folded up to here.
    pub log_whole_to: u64,
    /// Records beyond, which only the ledger remembers.
    pub from_ledger: u64,
    /// Operators' changes among them whose wording is lost: (Unix ms, offset). Pace and times may have to be set again.
    pub changes: Vec<(i64, u64)>,
}

/// Why there is no way back.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// No record was decided yet.
    #[error("nothing was decided in this run yet: there is nothing to go on from")]
    Empty,
    /// The ledger could not be read, or has a hole.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The ledger contradicts itself as well.
    #[error("the ledger cannot stand for the lost log: {0}")]
    Contradicts(String),
}

/// Makes the state at the ledger's checkpoint. `log` is what is left of it, none when nothing is readable.
///
/// # Errors
/// See [`RecoverError`]; nothing is written in any case.
pub async fn recover(define: &Define, log: Option<&dyn Log>, history: &dyn History) -> Result<Recovery, RecoverError> {
    let books = history.books().await?;
    let Some((row, rows)) = books.filter(|(row, _)| row.next_offset > 0) else { return Err(RecoverError::Empty) };
    let mut fold = base(define, &row, history).await?;
    if let Some(log) = log {
        follow_log(&mut fold, &row, log, history).await?;
    }
    let whole_to = fold.as_ref().map_or(0, Fold::next);
    let mut changes = Vec::new();
    let state = match fold {
        Some(fold) if fold.next() == row.next_offset => fold.state().cloned(),
        other => Some(from_rows(define, &row, &rows, other, history, &mut changes).await?),
    };
    let state = state.ok_or(RecoverError::Empty)?;
    check(&state, &row)?;
    let report = Report {
        generation: row.generation + 1,
        decided: row.next_offset,
        log_whole_to: whole_to,
        from_ledger: row.next_offset - whole_to,
        changes,
    };
    let bytes = postcard::to_stdvec(&state).map_err(|error| RecoverError::Contradicts(error.to_string()))?;
    let first = Continue {
        run: define.run,
        generation: row.generation + 1,
        digest: state.digest(),
        state: bytes,
        reason: String::new(),
    };
    Ok(Recovery { first, report })
}

/// The newest snapshot; without one the beginning of the first generation; none: a later one, whose beginning is lost.
async fn base(define: &Define, row: &Checkpoint, history: &dyn History) -> Result<Option<Fold>, LedgerError> {
    let kept = history.snapshot(row.next_offset).await?.filter(|kept| kept.generation == row.generation);
    let restored = kept.and_then(|kept| restore(define.run, &kept));
    Ok(restored.or_else(|| (row.generation == 0).then(|| Fold::new(define.run, 0))))
}

/// Folds as far as the log's records are those that the ledger's batches were made of.
async fn follow_log(
    fold: &mut Option<Fold>,
    row: &Checkpoint,
    log: &dyn Log,
    history: &dyn History,
) -> Result<(), RecoverError> {
    let Some(folding) = fold else { return Ok(()) };
    let mut pages = Pages::of(history, row.generation, row.generation);
    while let Some(batch) = pages.next().await? {
        if batch.next_offset <= folding.next() {
            continue;
        }
        let Some(records) = same(log, folding.next(), &batch).await else { return Ok(()) };
        for record in &records {
            folding.record(record, &mut ()).map_err(|error| RecoverError::Contradicts(error.to_string()))?;
        }
    }
    Ok(())
}

/// The records of a batch, if they are still the same.
async fn same(log: &dyn Log, from: u64, batch: &AuditRow) -> Option<Vec<LogRecord>> {
    let mut records: Vec<LogRecord> = Vec::new();
    while from + (records.len() as u64) < batch.next_offset {
        let next = from + records.len() as u64;
        let more = log.read(next, usize::try_from(batch.next_offset - next).ok()?, READ).await.ok()?;
        if more.is_empty() {
            return None;
        }
        records.extend(more);
    }
    (chain::records_hash(&records) == batch.records_hash).then_some(records)
}

/// Goes on by decisions where commands are lost; the tables are the ledger's rows.
async fn from_rows(
    define: &Define,
    row: &Checkpoint,
    rows: &LedgerRows,
    fold: Option<Fold>,
    history: &dyn History,
    changes: &mut Vec<(i64, u64)>,
) -> Result<State, RecoverError> {
    // Without any state of this generation, every decision of the run is passed.
    let (first, next) = fold.as_ref().map_or((0, 0), |fold| (row.generation, fold.next()));
    let mut state = fold.and_then(|fold| fold.state().cloned());
    let mut pages = Pages::of(history, first, row.generation);
    while let Some(batch) = pages.next().await? {
        let committed = decode::<Committed>(&batch.committed)
            .map_err(|error| RecoverError::Contradicts(format!("audit row up to {}: {error}", batch.next_offset)))?;
        for decision in &committed.decisions {
            if decision.generation == row.generation && decision.offset < next {
                continue;
            }
            let state = state.get_or_insert_with(|| State::new(define.rules.clone(), decision.timestamp));
            state.pass(&passed(decision));
            let asked = decision.batch.is_some_and(|batch| batch.gateway == BatchId::OPERATOR);
            if asked && decision.sale.is_empty() && decision.outcomes.contains(&Outcome::Done) {
                changes.push((decision.timestamp, decision.offset));
            }
        }
    }
    let mut state = state.ok_or(RecoverError::Empty)?;
    state.adopt(&tables(rows)).map_err(RecoverError::Contradicts)?;
    Ok(state)
}

fn passed(decision: &Decision) -> Passed<'_> {
    let shoppers = decision.batch.is_some_and(|batch| batch.gateway < BatchId::SETTLER);
    Passed {
        position: Position {
            generation: decision.generation,
            offset: decision.offset,
            index: u32::try_from(decision.outcomes.len().saturating_sub(1)).unwrap_or(u32::MAX),
        },
        timestamp: decision.timestamp,
        log_time: decision.log_time,
        epoch: decision.epoch,
        batch: decision.batch.map(|batch| (batch.gateway, batch.boot, batch.number)),
        granted: decision.holds.iter().filter(|hold| hold.request.is_some()).count() as u64,
        outcomes: if shoppers { decision.outcomes.as_slice() } else { &[] },
        phases: decision.sale.iter().map(|change| -> (Phase, Phase) { (change.from, change.to) }).collect(),
    }
}

fn tables(rows: &LedgerRows) -> Tables {
    Tables {
        items: rows.items.iter().map(|row| [row.stock, row.shortage, row.held, row.sold, row.waiting]).collect(),
        holds: rows.holds.iter().map(|row| row.view).collect(),
        payments: rows.payments.clone(),
        requests: rows.holds.iter().filter_map(|row| Some((row.request?, row.view.hold))).collect(),
    }
}

/// Nobody is told anything by a state that is not exactly what was committed.
fn check(state: &State, row: &Checkpoint) -> Result<(), RecoverError> {
    if state.digest() != row.digest {
        let text = format!("its rows add up to {:016x}, its checkpoint says {:016x}", state.digest(), row.digest);
        return Err(RecoverError::Contradicts(text));
    }
    state.check_all().map_err(RecoverError::Contradicts)
}
