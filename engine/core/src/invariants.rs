//! The sale's invariants as code: I1 for every batch, all of them by recounting for tests, simulator and audit.

use std::collections::{BTreeMap, BTreeSet};

use crate::command::ItemIndex;
use crate::state::State;
use crate::switch::{Safeguard, stands};
use crate::view::{HoldStatus, PaymentState};

impl State {
    /// I1 over the items, in constant time an item: held + sold <= stock.
    ///
    /// # Errors
    /// The text names the item and its numbers.
    pub fn check(&self) -> Result<(), String> {
        for (number, item) in self.items.iter().enumerate() {
            let taken = u64::from(item.held) + u64::from(item.sold);
            if taken > u64::from(item.stock) && stands(Safeguard::StockCheck) {
                return Err(format!("I1: item {number} holds {} and sold {} of {}", item.held, item.sold, item.stock));
            }
        }
        Ok(())
    }

    /// I1, I3, I4 and every table against every other, by recounting: linear in the holds.
    ///
    /// # Errors
    /// The text names the first table that disagrees.
    pub fn check_all(&self) -> Result<(), String> {
        self.check()?;
        self.check_items()?;
        self.check_customers()?;
        self.check_queues()?;
        self.check_money()?;
        if self.digest() != self.recount_digest() {
            return Err("I6: the digest is not that of the rows".to_owned());
        }
        Ok(())
    }

    fn check_items(&self) -> Result<(), String> {
        let mut counted: BTreeMap<ItemIndex, [u32; 3]> = BTreeMap::new();
        for hold in self.holds() {
            let counts = counted.entry(hold.item).or_default();
            match hold.status {
                HoldStatus::Held | HoldStatus::Offered => counts[0] += 1,
                HoldStatus::Confirmed => counts[1] += 1,
                HoldStatus::Waiting => counts[2] += 1,
                _ => {}
            }
        }
        for item in self.items() {
            let rows = counted.get(&item.item).copied().unwrap_or_default();
            if rows != [item.held, item.sold, item.waiting] {
                return Err(format!("I4: item {} counts {:?}, its holds {rows:?}", item.item, item));
            }
        }
        Ok(())
    }

    fn check_customers(&self) -> Result<(), String> {
        let mut counted = BTreeMap::new();
        for hold in self.holds() {
            if matches!(
                hold.status,
                HoldStatus::Held | HoldStatus::Offered | HoldStatus::Waiting | HoldStatus::Confirmed
            ) {
                *counted.entry((hold.subject, hold.item)).or_insert(0_u16) += 1;
            }
        }
        for ((subject, item), count) in &counted {
            let limit = self.rules.items.get(usize::from(*item)).map_or(0, |rules| rules.per_customer);
            if *count > limit {
                return Err(format!("I3: customer {subject:?} has {count} of item {item}, the limit is {limit}"));
            }
        }
        if counted.len() != self.allowance.len()
            || counted.iter().any(|((subject, item), count)| self.allowed(*subject, *item) != *count)
        {
            return Err("I3: the allowances are not those of the holds".to_owned());
        }
        // Each is found by its own key, and there are no more: no two were granted one hold.
        let found = self.requests().filter(|(request, hold)| self.granted(*request) == Some(*hold)).count();
        if found != self.requests.len() {
            return Err("I3: the requests are not those of the holds".to_owned());
        }
        Ok(())
    }

    fn check_queues(&self) -> Result<(), String> {
        let queued: BTreeSet<_> = self.expiring.iter().collect();
        let offered: BTreeSet<_> = self.offers.iter().map(|(number, _)| number).collect();
        let mut live = 0;
        for hold in self.holds() {
            let (missing, counts) = match hold.status {
                HoldStatus::Held => (!queued.contains(&hold.hold), true),
                HoldStatus::Offered => (!offered.contains(&hold.hold), true),
                _ => (false, false),
            };
            if missing {
                return Err(format!("I4: hold {} would never end", hold.hold));
            }
            live += u64::from(counts);
        }
        if live == self.live { Ok(()) } else { Err(format!("I4: {live} holds live, {} counted", self.live)) }
    }

    fn check_money(&self) -> Result<(), String> {
        for hold in self.holds().filter(|hold| hold.status == HoldStatus::Confirmed) {
            let paid = hold.payment.and_then(|payment| self.payment(payment));
            let taken = paid.is_some_and(|paid| {
                paid.bought == Some(hold.hold) && matches!(paid.state, PaymentState::Confirmed | PaymentState::Captured)
            });
            if !taken {
                return Err(format!("I5: hold {} is sold without a payment", hold.hold));
            }
        }
        let open: Vec<_> = self.payments().filter(|paid| paid.state.is_open()).map(|paid| paid.payment).collect();
        if open.iter().eq(self.open_payments.iter()) {
            Ok(())
        } else {
            Err("I5: the open payments are not those that are open".to_owned())
        }
    }
}
