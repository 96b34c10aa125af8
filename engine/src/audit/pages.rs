//! The audit rows of a run from its first batch on, generation after generation.

use std::collections::VecDeque;

use crate::ports::{AuditRow, History, LedgerError};

/// Rows in one read.
const PAGE: u32 = 1_000;

/// A walk over audit rows, in order; holds one read's rows in memory.
pub struct Pages<'a> {
    history: &'a dyn History,
    generation: u32,
    last: u32,
    from: u64,
    read: VecDeque<AuditRow>,
}

impl<'a> Pages<'a> {
    /// Every row of every generation that the ledger's writer has seen.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn all(history: &'a dyn History) -> Result<Self, LedgerError> {
        let last = history.writer().await?.map_or(0, |row| row.generation);
        Ok(Self::of(history, 0, last))
    }

    /// The rows of the generations `first..=last`.
    #[must_use]
    pub fn of(history: &'a dyn History, first: u32, last: u32) -> Self {
        Self { history, generation: first, last, from: 0, read: VecDeque::new() }
    }

    /// The next row; none at the end.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn next(&mut self) -> Result<Option<AuditRow>, LedgerError> {
        loop {
            if let Some(row) = self.read.pop_front() {
                self.from = row.next_offset;
                return Ok(Some(row));
            }
            if self.generation > self.last {
                return Ok(None);
            }
            self.read = self.history.audit(self.generation, self.from, PAGE).await?.into();
            if self.read.is_empty() {
                (self.generation, self.from) = (self.generation + 1, 0);
            }
        }
    }
}
