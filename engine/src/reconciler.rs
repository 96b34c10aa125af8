//! An independent look at the books: sums of rows against the inventory, by SQL that knows nothing of the state machine.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::gateway::gate::GateFlag;
use crate::ports::{Clock, Gate, History, ItemSums, Notifier, Severity, Sums};

/// Between two looks at the sums.
const SUMS: Duration = Duration::from_secs(5);
/// Between two looks at the gate's row.
const GATE: Duration = Duration::from_millis(500);

/// What is wrong with the sums of one item, if anything.
#[must_use]
pub fn wrong(item: &ItemSums) -> Option<String> {
    let right = item.held == item.rows_held && item.sold == item.rows_sold && item.held + item.sold <= item.total;
    (!right).then(|| {
        format!(
            "item {}: inventory says held {} sold {} of {}, its rows say held {} sold {}",
            item.item, item.held, item.sold, item.total, item.rows_held, item.rows_sold
        )
    })
}

/// Two sightings at different offsets stop the sale: one could be a read between two commits.
#[derive(Debug, Default)]
pub struct Sightings(Option<(u64, String)>);

impl Sightings {
    /// Takes one look; answers what is wrong once it is certain.
    pub fn look(&mut self, sums: &Sums) -> Option<String> {
        let Some(what) = sums.items.iter().find_map(wrong) else {
            self.0 = None;
            return None;
        };
        match &self.0 {
            Some((offset, _)) if *offset != sums.next_offset => Some(what),
            Some(_) => None,
            None => {
                self.0 = Some((sums.next_offset, what));
                None
            }
        }
    }
}

/// Looks at the sums until stopped.
pub async fn run(
    history: Arc<dyn History>,
    gate: Arc<GateFlag>,
    notifier: Arc<dyn Notifier>,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) {
    let mut sightings = Sightings::default();
    loop {
        tokio::select! {
            () = tokio::time::sleep(SUMS) => {}
            () = stop.cancelled() => return,
        }
        let Ok(sums) = history.sums().await else { continue };
        if let Some(what) = sightings.look(&sums)
            && !gate.why().is_some_and(|gate| gate.invariant)
        {
            let shut = Gate { since: clock.now(), by: "reconciler".to_owned(), reason: what.clone(), invariant: true };
            gate.set(Some(shut.clone()));
            let _ = history.set_gate(Some(&shut)).await;
            notifier.notify(Severity::Page, "reconciler", &format!("the books do not add up: {what}"));
        }
    }
}

/// Follows the gate's row: shut by anyone, it is shut here within half a second; it opens here when the row goes.
pub async fn follow_gate(history: Arc<dyn History>, gate: Arc<GateFlag>, stop: CancellationToken) {
    let mut seen = false;
    loop {
        match history.gate().await {
            Ok(Some(row)) => {
                seen = true;
                if gate.why().as_ref() != Some(&row) {
                    gate.set(Some(row));
                }
            }
            Ok(None) if seen => {
                seen = false;
                gate.set(None);
            }
            // A gate shut here whose row could not be written stays shut.
            Ok(None) | Err(_) => {}
        }
        tokio::select! {
            () = tokio::time::sleep(GATE) => {}
            () = stop.cancelled() => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(next_offset: u64, rows_sold: i64) -> Sums {
        let item = ItemSums { item: 0, total: 10, held: 1, sold: 2, rows_held: 1, rows_sold };
        Sums { next_offset, items: vec![item] }
    }

    #[test]
    fn one_sighting_is_none() {
        let mut sightings = Sightings::default();
        assert_eq!(sightings.look(&sums(1, 2)), None);
        assert_eq!(sightings.look(&sums(2, 3)), None);
        assert_eq!(sightings.look(&sums(2, 3)), None, "the same offset is the same sighting");
        assert!(sightings.look(&sums(3, 3)).is_some());
        assert_eq!(sightings.look(&sums(4, 2)), None);
        assert_eq!(sightings.look(&sums(5, 3)), None, "a clean look begins anew");
    }
}
