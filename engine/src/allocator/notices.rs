//! What a record's effects say to everyone downstream: collected while its commands are applied.

use std::collections::BTreeSet;

use compact_str::CompactString;
use flashsale_core::{
    Command, Effect, HoldChange, HoldNumber, ItemIndex, ItemView, PaymentNumber, Position, RequestKey, State,
    SubjectKey,
};

use super::fold::{Applied, Witness, pictures_all};
use crate::id::hex;
use crate::record::{BatchId, HoldNotice, ItemNotice, SaleNotice};

/// What a hold's row says beyond its numbers; each is written once.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct RowWords {
    pub(crate) name: Option<CompactString>,
    pub(crate) request: Option<RequestKey>,
    pub(crate) confirmed_at: Option<Position>,
}

impl RowWords {
    pub(crate) fn absorb(&mut self, later: Self) {
        self.name = self.name.take().or(later.name);
        self.request = self.request.or(later.request);
        self.confirmed_at = later.confirmed_at.or(self.confirmed_at);
    }
}

/// What one record tells.
#[derive(Debug, Default)]
pub(crate) struct Telling {
    pub(super) holds: Vec<HoldNotice>,
    pub(crate) rows: Vec<(HoldNumber, RowWords)>,
    pub(super) payments: BTreeSet<PaymentNumber>,
    pub(super) items: BTreeSet<ItemIndex>,
    pub(super) sale: Vec<SaleNotice>,
    pub(super) takeovers: Vec<(BatchId, u64)>,
    /// Every item is to be told: a sign of life, or something changed for all of them.
    pub(super) picture: bool,
}

impl Witness for Telling {
    fn applied(&mut self, state: &State, applied: &Applied<'_>) {
        let command = &applied.entry.command;
        self.picture |= pictures_all(command);
        if let Command::Takeover { epoch } = command {
            self.takeovers.push((applied.batch, *epoch));
        }
        for effect in applied.effects {
            match *effect {
                Effect::Hold { hold, change } => self.hold(state, applied, hold, change),
                Effect::Payment { payment } => _ = self.payments.insert(payment),
                Effect::Item { item } => _ = self.items.insert(item),
                Effect::Sale => self.picture = true,
            }
        }
        let after = state.phase();
        if after != applied.before {
            let words = applied.entry.words.clone();
            self.sale.push(SaleNotice { index: applied.position.index, from: applied.before, to: after, words });
        }
    }
}

impl Telling {
    fn hold(&mut self, state: &State, applied: &Applied<'_>, hold: HoldNumber, change: HoldChange) {
        let Some(view) = state.hold(hold) else { return };
        let began = matches!(change, HoldChange::Reserved | HoldChange::Waiting);
        let name = began.then(|| named(applied, view.subject));
        let request = began.then(|| requested(&applied.entry.command)).flatten();
        let confirmed_at = (change == HoldChange::Confirmed).then_some(applied.position);
        self.rows.push((hold, RowWords { name: name.clone(), request, confirmed_at }));
        self.holds.push(HoldNotice {
            index: applied.position.index,
            hold,
            change,
            status: view.status,
            item: view.item,
            subject: view.subject,
            name,
            request,
            expires_at: view.expires_at,
            parent: view.parent,
        });
    }
}

/// Whose hold began. A late confirm that begins a hold may come from someone who knows the key alone; the ledger's row
/// always has a name.
fn named(applied: &Applied<'_>, subject: SubjectKey) -> CompactString {
    let words = &applied.entry.words;
    let says = matches!(applied.entry.command, Command::Reserve { .. } | Command::Confirm { .. });
    if says && !words.is_empty() { words.clone() } else { hex(&subject.0).into() }
}

fn requested(command: &Command) -> Option<RequestKey> {
    match command {
        Command::Reserve { request, .. } => Some(*request),
        _ => None,
    }
}

/// An item's numbers as they travel.
#[must_use]
pub fn item_notice(view: ItemView) -> ItemNotice {
    ItemNotice {
        item: view.item,
        stock: view.stock,
        shortage: view.shortage,
        held: view.held,
        sold: view.sold,
        waiting: view.waiting,
        available: view.available,
        status: view.status,
        earliest_deadline: view.earliest_deadline,
    }
}
