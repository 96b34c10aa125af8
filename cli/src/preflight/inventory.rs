//! Inventory record exists: sku_id, total_stock, reserved=0, sold=0.

use super::{Finding, Scene, judged};

pub(super) fn check(scene: &Scene<'_>) -> Finding {
    let mut evidence = Vec::new();
    let mut good = true;
    for (place, item) in scene.definition().items.iter().enumerate() {
        match scene.rows.items.iter().find(|row| usize::from(row.item) == place) {
            None => {
                good = false;
                evidence.push(format!("{}: no row", item.sku));
            }
            Some(row) => {
                // An operator may have adjusted it since; then the log says so, too.
                let told = scene.status.items.get(place).map_or(item.stock, |told| told.stock);
                good &= row.stock == told && row.held == 0 && row.sold == 0 && row.waiting == 0;
                let adjusted = format!(" (defined {}, adjusted to {told})", item.stock);
                let other = if row.stock == item.stock { "" } else { &adjusted };
                evidence
                    .push(format!("{}: total={}{other}, held={}, sold={}", item.sku, row.stock, row.held, row.sold));
            }
        }
    }
    judged(good, format!("ledger rows: {}", evidence.join("; ")))
}
