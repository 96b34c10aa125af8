//! Refusals that a gateway gave by itself: counted here, appended once a second, so that every answer is accounted for.

use std::cell::RefCell;
use std::collections::BTreeMap;

use flashsale_core::{Command, ItemIndex, Refusal, Refused};

use crate::record::Entry;

/// Counts of one thread since its last tally.
#[derive(Debug, Default)]
pub struct Tally(RefCell<BTreeMap<(ItemIndex, Refusal), u64>>);

impl Tally {
    /// Counts one.
    pub fn count(&self, item: ItemIndex, refusal: Refusal) {
        *self.0.borrow_mut().entry((item, refusal)).or_insert(0) += 1;
    }

    /// What is to be appended; the counts begin anew. None: nothing was refused.
    pub fn take(&self) -> Option<Entry> {
        let counts = std::mem::take(&mut *self.0.borrow_mut());
        if counts.is_empty() {
            return None;
        }
        let refusals =
            counts.iter().map(|((item, refusal), count)| Refused { item: *item, refusal: *refusal, count: *count });
        Some(Entry { command: Command::Tally { refusals: refusals.collect() }, words: "".into() })
    }

    /// The last word of a gateway that stops: nothing it refused is left to be counted.
    #[must_use]
    pub fn last_word() -> Entry {
        Entry { command: Command::Tally { refusals: Vec::new() }, words: "".into() }
    }

    /// A tally that could not be appended counts again.
    pub fn put_back(&self, entry: Entry) {
        if let Command::Tally { refusals } = entry.command {
            let mut counts = self.0.borrow_mut();
            for refused in refusals {
                *counts.entry((refused.item, refused.refusal)).or_insert(0) += refused.count;
            }
        }
    }
}
