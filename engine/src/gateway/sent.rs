//! Batches that were sent and are not decided yet. Pure: whoever drives it brings the log, the feed and the time.

use std::collections::VecDeque;

use bytes::Bytes;
use flashsale_core::Position;

use crate::ports::LogError;
use crate::record::{Batch, BatchId, Committed, Decision, DecodeError, Entry, Record, encode};
use crate::submit::Submitted;

/// Batches whose decision is awaited; beyond it nothing more is appended until decisions come.
const UNDECIDED: usize = 4_096;

/// Said when the log does not take records.
pub const LOG_AWAY: &str = "the log is not available";

/// One batch and who waits for it, in command order.
#[derive(Debug)]
struct Sent<W> {
    number: u64,
    waiters: Vec<W>,
}

/// A sender's batches, the oldest in front: numbered once, never sent twice.
#[derive(Debug)]
pub struct SentBatches<W> {
    gateway: u32,
    boot: u64,
    number: u64,
    sent: VecDeque<Sent<W>>,
}

impl<W> SentBatches<W> {
    /// Of a sender that has sent nothing; `boot` is random at its start.
    #[must_use]
    pub fn new(gateway: u32, boot: u64) -> Self {
        Self { gateway, boot, number: 0, sent: VecDeque::new() }
    }

    /// Whether every batch is decided or given up.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }

    /// The number of the oldest that is neither.
    #[must_use]
    pub fn oldest(&self) -> Option<u64> {
        self.sent.front().map(|sent| sent.number)
    }

    /// Whether fewer batches wait than may.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.sent.len() < UNDECIDED
    }

    /// Makes the next batch: its number, and its record's bytes to append once.
    ///
    /// # Errors
    /// As [`encode`]; the waiters come back.
    pub fn record(&mut self, entries: Vec<Entry>, waiters: Vec<W>) -> Result<(u64, Bytes), (DecodeError, Vec<W>)> {
        self.number += 1;
        let id = BatchId { gateway: self.gateway, boot: self.boot, number: self.number };
        match encode(&Record::Batch(Batch { id, entries })) {
            Ok(bytes) => {
                self.sent.push_back(Sent { number: self.number, waiters });
                Ok((self.number, bytes.into()))
            }
            Err(error) => Err((error, waiters)),
        }
    }

    /// The log did not say that it took a batch. Only a certain "no" is a refusal; everything else may be decided yet.
    pub fn not_appended(&mut self, number: u64, error: &LogError, mut answer: impl FnMut(W, Submitted)) {
        let submitted = match error {
            LogError::Unknown(_) => Submitted::Pending,
            LogError::Unavailable(_) | LogError::Damaged(_) => Submitted::Overloaded(LOG_AWAY),
        };
        if let Ok(place) = self.sent.binary_search_by_key(&number, |sent| sent.number)
            && let Some(sent) = self.sent.remove(place)
        {
            sent.waiters.into_iter().for_each(|waiter| answer(waiter, submitted));
        }
    }

    /// Decisions came. Other senders' are passed over, and so are those of another boot.
    pub fn decided(&mut self, committed: &Committed, mut answer: impl FnMut(W, Submitted)) {
        for decision in &committed.decisions {
            if let Some(id) = decision.batch.filter(|id| (id.gateway, id.boot) == (self.gateway, self.boot)) {
                self.answer(committed, decision, id.number, &mut answer);
            }
        }
    }

    /// Answers a batch's waiters; those of batches that were skipped are told to ask again.
    fn answer(
        &mut self,
        committed: &Committed,
        decision: &Decision,
        number: u64,
        answer: &mut impl FnMut(W, Submitted),
    ) {
        while self.sent.front().is_some_and(|sent| sent.number <= number) {
            let Some(sent) = self.sent.pop_front() else { return };
            if sent.number < number || decision.repeated || decision.outcomes.len() != sent.waiters.len() {
                tracing::warn!(number = sent.number, epoch = committed.epoch, "a batch was skipped");
                sent.waiters.into_iter().for_each(|waiter| answer(waiter, Submitted::Pending));
                continue;
            }
            for ((index, outcome), waiter) in (0..).zip(&decision.outcomes).zip(sent.waiters) {
                let position = Position { generation: decision.generation, offset: decision.offset, index };
                answer(waiter, Submitted::Decided { position, timestamp: decision.timestamp, outcome: *outcome });
            }
        }
    }
}
