//! What rows say beyond the state's numbers: whose a hold is by name, by which request it began, where it was confirmed.

use std::collections::BTreeMap;

use compact_str::CompactString;
use flashsale_core::{HoldChange, HoldNumber, Position, RequestKey, State};

use crate::allocator::fold::{Applied, Witness};
use crate::allocator::notices::{RowWords, Telling, item_notice};
use crate::ports::{HoldRow, LedgerRows};
use crate::record::Decision;

/// The words of every hold, as commands (or, where these are lost, decisions) said them.
#[derive(Debug, Default)]
pub struct Words(BTreeMap<HoldNumber, RowWords>);

impl Witness for Words {
    fn applied(&mut self, state: &State, applied: &Applied<'_>) {
        let mut telling = Telling::default();
        telling.applied(state, applied);
        for (hold, words) in telling.rows {
            self.0.entry(hold).or_default().absorb(words);
        }
    }
}

impl Words {
    /// Takes a decision's word for it.
    pub fn decided(&mut self, decision: &Decision) {
        for notice in &decision.holds {
            let at = Position { generation: decision.generation, offset: decision.offset, index: notice.index };
            let confirmed_at = (notice.change == HoldChange::Confirmed).then_some(at);
            let words = RowWords { name: notice.name.clone(), request: notice.request, confirmed_at };
            self.0.entry(notice.hold).or_default().absorb(words);
        }
    }

    /// Whose a hold is, by name.
    #[must_use]
    pub fn name(&self, hold: HoldNumber) -> Option<&CompactString> {
        self.0.get(&hold)?.name.as_ref()
    }

    /// The request that it began by.
    #[must_use]
    pub fn request(&self, hold: HoldNumber) -> Option<RequestKey> {
        self.0.get(&hold)?.request
    }

    /// Where it was confirmed.
    #[must_use]
    pub fn confirmed_at(&self, hold: HoldNumber) -> Option<Position> {
        self.0.get(&hold)?.confirmed_at
    }

    /// Every row as a state and these words make it.
    #[must_use]
    pub fn rows(&self, state: &State) -> LedgerRows {
        let hold = |view: flashsale_core::HoldView| HoldRow {
            view,
            name: self.name(view.hold).cloned(),
            request: self.request(view.hold),
            confirmed_at: self.confirmed_at(view.hold),
        };
        LedgerRows {
            items: state.items().map(item_notice).collect(),
            holds: state.holds().map(hold).collect(),
            payments: state.payments().collect(),
        }
    }
}
