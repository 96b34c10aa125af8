//! Bringing a prepared batch into the ledger: once, or not at all, whatever is lost on the way.

use std::time::Duration;

use crate::ports::{Checkpoint, CommitEnd, Ledger, LedgerBatch, LedgerError};

/// How long a commit may take before its end counts as unknown. The statement is never cancelled: this is the
/// client's timer only.
pub const COMMIT_WITHIN: Duration = Duration::from_secs(5);

/// How one attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempt {
    /// The ledger has it.
    Committed,
    /// The ledger certainly does not have it and still stands before it: send it again.
    Again,
    /// Not known: [`resolve`] it before anything else.
    Unknown(String),
    /// The row is another writer's, or stands elsewhere: stop.
    Fenced(Box<Checkpoint>),
    /// A row is not as this writer left it, or a constraint refused: the writer is stopped, the gate shuts.
    Mismatch(String),
    /// The ledger holds what cannot be: stop.
    Damaged(String),
}

/// Sends a batch once.
pub async fn send(ledger: &dyn Ledger, batch: &LedgerBatch) -> Attempt {
    judge(batch, ledger.commit(batch).await)
}

/// Finds out what became of a batch whose commit ended unknown.
pub async fn resolve(ledger: &dyn Ledger, batch: &LedgerBatch) -> Attempt {
    judge(batch, ledger.resolve(batch).await)
}

/// The next attempt, after one that did not settle it: never sent again before it is resolved.
pub async fn go_on(ledger: &dyn Ledger, batch: &LedgerBatch, last: &Attempt) -> Attempt {
    match last {
        Attempt::Unknown(_) => resolve(ledger, batch).await,
        Attempt::Again | Attempt::Mismatch(_) => send(ledger, batch).await,
        Attempt::Committed | Attempt::Fenced(_) | Attempt::Damaged(_) => last.clone(),
    }
}

fn judge(batch: &LedgerBatch, end: Result<CommitEnd, LedgerError>) -> Attempt {
    match end {
        Ok(CommitEnd::Committed) => Attempt::Committed,
        Ok(CommitEnd::Mismatch(what)) => Attempt::Mismatch(what),
        Ok(CommitEnd::Unknown(why)) | Err(LedgerError::Unavailable(why)) => Attempt::Unknown(why),
        Ok(CommitEnd::Fenced(row)) => stands(batch, row),
        Err(LedgerError::Damaged(why)) => Attempt::Damaged(why),
    }
}

/// What the row itself says: after this batch, before it, or someone else's.
fn stands(batch: &LedgerBatch, row: Box<Checkpoint>) -> Attempt {
    let mine = row.epoch == batch.epoch && row.writer == batch.writer;
    let after = (row.generation, row.next_offset, row.digest, row.chain)
        == (batch.generation, batch.next_offset, batch.digest, batch.chain);
    let before = row.next_offset == batch.first_offset && row.digest == batch.digest_before;
    match mine {
        true if after => Attempt::Committed,
        true if before => Attempt::Again,
        _ => Attempt::Fenced(row),
    }
}
