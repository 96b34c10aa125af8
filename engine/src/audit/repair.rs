//! What a repair of the ledger would write: every row as the log makes it, and which rows are otherwise.

use uuid::Uuid;

use super::past::past;
use super::rows::compare_rows;
use super::verify::{Audit, AuditError, Finding};
use super::words::Words;
use crate::allocator::fold::Fold;
use crate::allocator::rebuild::{self, RebuildError};
use crate::ports::{Checkpoint, History, LedgerRows, Log};

/// A repair, before it is made.
#[derive(Debug)]
pub struct Repair {
    /// The ledger's row that it was made for.
    pub at: Checkpoint,
    /// Every row as it must be.
    pub rows: LedgerRows,
    /// The rows that are otherwise, up to [`LISTED`](super::verify::LISTED) of them.
    pub findings: Vec<Finding>,
    /// How many there are.
    pub differences: u64,
}

/// Why a ledger is not repaired.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// The log is not the one that was folded, or the ledger's own checkpoint is not what the log comes to: rows cannot
    /// be made from it.
    #[error(transparent)]
    Rebuild(#[from] RebuildError),
    /// A store could not be read.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// No record was folded yet.
    #[error("the ledger is empty: there is nothing to repair")]
    Empty,
}

/// Folds the whole log to where the ledger's row stands and compares every row.
///
/// # Errors
/// See [`RepairError`].
pub async fn plan(run: Uuid, log: &dyn Log, history: &dyn History) -> Result<Repair, RepairError> {
    let books = history.books().await.map_err(AuditError::from)?;
    let Some((at, found)) = books.filter(|(at, _)| at.next_offset > 0) else { return Err(RepairError::Empty) };
    // Its log hash, its identity, its digest: whatever is wrong there is no row's fault.
    rebuild::rebuild(log, history, run, &at).await?;
    let mut audit = Audit { run, ..Audit::default() };
    let mut words = past(&mut audit, history, at.generation).await?.words;
    let mut fold = Fold::new(run, at.generation);
    rebuild::replay_with(log, &mut fold, at.next_offset, &mut words).await?;
    let mut compared = Audit { run, ..Audit::default() };
    let rows = match fold.state() {
        Some(state) => {
            compare_rows(&mut compared, state, &found, &words);
            Words::rows(&words, state)
        }
        None => LedgerRows::default(),
    };
    Ok(Repair { at, rows, findings: compared.findings, differences: compared.differences })
}
