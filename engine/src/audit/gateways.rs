//! Who sent what: each gateway's boots, and which of them ended without saying the last of their own refusals (I7).

use std::collections::BTreeMap;

use flashsale_core::Command;
use serde::Serialize;

use crate::ports::LogRecord;
use crate::record::{BatchId, Record, decode};

/// A tally covers a second, and the flags behind it are void after another: a crashed gateway loses no more than what
/// it refused in these two.
const UNTALLIED_SECONDS: u64 = 2;

/// A gateway from one start to its end, as its records tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Boot {
    /// The gateway's number.
    pub gateway: u32,
    /// Its boot, hexadecimal.
    pub boot: String,
    /// Its first and its last record, Unix ms.
    pub first_at: i64,
    /// See `first_at`.
    pub last_at: i64,
    /// Refusals that it gave by itself, as tallied.
    pub tallied: u64,
    /// The most of them in one tally, which covers a second.
    pub most: u64,
    /// It said that it had tallied everything; false: it runs, or it crashed.
    pub closed: bool,
    /// A later boot of the same gateway is known, so it does not run.
    pub replaced: bool,
}

impl Boot {
    /// The most refusals that may be missing from the books: of a crashed gateway what it had not yet tallied.
    #[must_use]
    pub const fn may_miss(&self) -> u64 {
        if self.closed { 0 } else { self.most.saturating_mul(UNTALLIED_SECONDS) }
    }
}

/// Every boot that the log knows, in the order of their first records.
#[derive(Debug, Default)]
pub(super) struct Boots {
    known: BTreeMap<(u32, u64), usize>,
    boots: Vec<Boot>,
}

impl Boots {
    /// Takes a folded record in.
    pub(super) fn record(&mut self, record: &LogRecord) {
        let Ok(Record::Batch(batch)) = decode::<Record>(&record.bytes) else { return };
        let id = batch.id;
        if id.gateway >= BatchId::SETTLER {
            return;
        }
        let place = *self.known.entry((id.gateway, id.boot)).or_insert(self.boots.len());
        if place == self.boots.len() {
            for before in self.boots.iter_mut().filter(|before| before.gateway == id.gateway) {
                before.replaced = true;
            }
            self.boots.push(Boot {
                gateway: id.gateway,
                boot: format!("{:016x}", id.boot),
                first_at: record.timestamp,
                last_at: record.timestamp,
                tallied: 0,
                most: 0,
                closed: false,
                replaced: false,
            });
        }
        let Some(boot) = self.boots.get_mut(place) else { return };
        boot.last_at = record.timestamp;
        for entry in &batch.entries {
            boot.closed = false;
            if let Command::Tally { refusals } = &entry.command {
                let count = refusals.iter().map(|refused| refused.count).sum();
                boot.tallied += count;
                boot.most = boot.most.max(count);
                boot.closed = refusals.is_empty();
            }
        }
    }

    /// All of them.
    pub(super) fn all(self) -> Vec<Boot> {
        self.boots
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use flashsale_core::{Refusal, Refused};

    use super::*;
    use crate::record::{Batch, Entry, encode};

    fn record(gateway: u32, boot: u64, at: i64, counts: &[u64]) -> LogRecord {
        let refused = |count: &u64| Refused { item: 0, refusal: Refusal::SoldOut, count: *count };
        let command = Command::Tally { refusals: counts.iter().map(refused).collect() };
        let entries = vec![Entry { command, words: "".into() }];
        let batch = Record::Batch(Batch { id: BatchId { gateway, boot, number: 1 }, entries });
        LogRecord { offset: 0, timestamp: at, bytes: encode(&batch).unwrap().into() }
    }

    #[test]
    fn a_boot_that_never_said_its_last_word_may_miss_two_seconds_of_refusals() {
        let mut boots = Boots::default();
        for tally in [record(0, 1, 10, &[5, 2]), record(0, 1, 11, &[90]), record(0, 2, 20, &[3]), record(0, 2, 21, &[])]
        {
            boots.record(&tally);
        }
        boots.record(&record(BatchId::OPERATOR, 7, 30, &[1]));
        let all = boots.all();
        let said: Vec<_> = all.iter().map(|boot| (boot.tallied, boot.closed, boot.replaced, boot.may_miss())).collect();
        assert_eq!(said, [(97, false, true, 180), (3, true, false, 0)]);
        assert_eq!((all[0].first_at, all[0].last_at), (10, 11));
    }
}
