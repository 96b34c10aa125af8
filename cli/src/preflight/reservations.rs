//! No existing reservations for SKU.

use super::{Finding, Scene, judged};

pub(super) fn check(scene: &Scene<'_>) -> Finding {
    let rows = scene.rows.holds.len();
    judged(rows == 0, format!("{rows} reservations and {} payments in the ledger", scene.rows.payments.len()))
}
