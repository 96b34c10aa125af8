//! The commands behind decisions, as far as the logs still have them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::ports::{Log, LogRecord};
use crate::record::{Decision, Entry, Record, decode};

/// Records in one read.
const PAGE: usize = 1_000;
const READ: Duration = Duration::from_millis(200);

/// Reads logs beside the decisions that were made of them, in order; holds one read's records in memory.
pub(super) struct Commands<'a> {
    logs: &'a [(u32, Arc<dyn Log>)],
    generation: u32,
    read: VecDeque<LogRecord>,
}

impl<'a> Commands<'a> {
    pub(super) fn of(logs: &'a [(u32, Arc<dyn Log>)]) -> Self {
        Self { logs, generation: u32::MAX, read: VecDeque::new() }
    }

    /// What was asked for, in order; none where the log is lost or the record is no batch.
    pub(super) async fn behind(&mut self, decision: &Decision) -> Option<Vec<Entry>> {
        if self.generation != decision.generation {
            (self.generation, self.read) = (decision.generation, VecDeque::new());
        }
        while self.read.front().is_some_and(|record| record.offset < decision.offset) {
            self.read.pop_front();
        }
        if self.read.front().is_none_or(|record| record.offset > decision.offset) {
            let (_, log) = self.logs.iter().find(|(generation, _)| *generation == decision.generation)?;
            self.read = log.read(decision.offset, PAGE, READ).await.ok()?.into();
        }
        let record = self.read.front().filter(|record| record.offset == decision.offset)?;
        match decode(&record.bytes) {
            Ok(Record::Batch(batch)) => Some(batch.entries),
            _ => None,
        }
    }
}
