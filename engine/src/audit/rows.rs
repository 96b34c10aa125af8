//! Every projection row against the replayed state, and the digest from the rows alone.

use std::collections::BTreeMap;

use flashsale_core::digest::{hold_word, item_word, payment_word};
use flashsale_core::{HoldNumber, RequestKey, State};

use super::verify::Audit;
use super::words::Words;
use crate::id::hex;
use crate::ports::LedgerRows;

/// Names every row that is not as the replay says.
pub(super) fn compare_rows(audit: &mut Audit, state: &State, rows: &LedgerRows, words: &Words) {
    items(audit, state, rows);
    holds(audit, state, rows);
    names(audit, state, rows, words);
    payments(audit, state, rows);
    requests(audit, state, rows);
    let digest = rows
        .items
        .iter()
        .map(|item| item_word(item.item, item.stock, item.shortage, item.held, item.sold, item.waiting))
        .chain(rows.holds.iter().map(|row| hold_word(&row.view)))
        .chain(rows.payments.iter().map(payment_word))
        .fold(0, u64::wrapping_add);
    if digest != state.digest() {
        let (expected, found) = (format!("{:016x}", state.digest()), format!("{digest:016x}"));
        audit.differs("I6", "the digest of the rows".to_owned(), expected, found);
    }
}

fn items(audit: &mut Audit, state: &State, rows: &LedgerRows) {
    let found: BTreeMap<u16, [u32; 5]> = rows
        .items
        .iter()
        .map(|item| (item.item, [item.stock, item.shortage, item.held, item.sold, item.waiting]))
        .collect();
    for item in state.items() {
        let expected = [item.stock, item.shortage, item.held, item.sold, item.waiting];
        if found.get(&item.item) != Some(&expected) {
            audit.differs(
                "I1",
                format!("inventory {} (total, shortage, held, sold, waiting)", item.item),
                format!("{expected:?}"),
                format!("{:?}", found.get(&item.item)),
            );
        }
    }
}

fn holds(audit: &mut Audit, state: &State, rows: &LedgerRows) {
    let found: BTreeMap<HoldNumber, _> = rows.holds.iter().map(|row| (row.view.hold, &row.view)).collect();
    for hold in state.holds() {
        if found.get(&hold.hold).copied() != Some(&hold) {
            let row = found.get(&hold.hold);
            audit.differs("I2", format!("reservations {}", hold.hold), format!("{hold:?}"), format!("{row:?}"));
        }
    }
    for number in found.keys().filter(|number| state.hold(**number).is_none()) {
        audit.differs("I2", format!("reservations {number}"), "no such row".to_owned(), "a row".to_owned());
    }
}

/// By whom, and where it was confirmed: what the digest does not cover.
fn names(audit: &mut Audit, state: &State, rows: &LedgerRows, words: &Words) {
    for row in rows.holds.iter().filter(|row| state.hold(row.view.hold).is_some()) {
        let (hold, name) = (row.view.hold, words.name(row.view.hold));
        if row.name.as_ref() != name {
            audit.differs(
                "I2",
                format!("reservations {hold} (subject)"),
                format!("{name:?}"),
                format!("{:?}", row.name),
            );
        }
        let at = words.confirmed_at(hold);
        if row.confirmed_at != at {
            audit.differs("I2", format!("orders {hold}"), format!("{at:?}"), format!("{:?}", row.confirmed_at));
        }
    }
}

fn payments(audit: &mut Audit, state: &State, rows: &LedgerRows) {
    let found: BTreeMap<u32, _> = rows.payments.iter().map(|paid| (paid.payment, paid)).collect();
    for paid in state.payments() {
        if found.get(&paid.payment).copied() != Some(&paid) {
            let row = found.get(&paid.payment);
            audit.differs("I5", format!("payments {}", paid.payment), format!("{paid:?}"), format!("{row:?}"));
        }
    }
    for number in found.keys().filter(|number| state.payment(**number).is_none()) {
        audit.differs("I5", format!("payments {number}"), "no such row".to_owned(), "a row".to_owned());
    }
}

fn requests(audit: &mut Audit, state: &State, rows: &LedgerRows) {
    let found: BTreeMap<RequestKey, HoldNumber> =
        rows.holds.iter().filter_map(|row| Some((row.request?, row.view.hold))).collect();
    for (request, hold) in state.requests() {
        if found.get(&request) != Some(&hold) {
            let row = found.get(&request);
            audit.differs("I3", format!("requests {}", hex(&request.0)), format!("hold {hold}"), format!("{row:?}"));
        }
    }
}
