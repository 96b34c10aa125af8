//! Safety: I1 to I6, looked at whenever a commit lands, against the oracle, the shoppers and the provider.

use std::collections::BTreeMap;
use std::sync::Arc;

use flashsale_core::{HoldNumber, HoldStatus, Outcome, PaymentState, RequestKey, SubjectKey};
use flashsale_engine::ports::{HoldRow, LedgerBatch, ProviderState};
use flashsale_engine::record::{Committed, Decision, decode};

use crate::log::Records;
use crate::oracle::{Came, Oracle};
use crate::provider::Provider;
use crate::sim::Sim;
use crate::tables::Tables;
use crate::told::Told;

/// Every so many commits, all rows are compared and not only those that changed.
const ALL_ROWS: u64 = 16;

/// Watches over one ledger.
#[derive(Clone)]
pub struct Judge {
    sim: Sim,
    told: Arc<Told>,
    provider: Arc<Provider>,
    pub oracle: Oracle,
    commits: u64,
    /// Where each hold stood after the last commit.
    stood: BTreeMap<HoldNumber, HoldStatus>,
    /// The log was damaged: nothing may be committed any more.
    pub closed: bool,
    /// Commands that were judged.
    pub commands: u64,
}

impl Judge {
    /// Over an empty ledger.
    pub fn new(sim: &Sim, told: &Arc<Told>, provider: &Arc<Provider>, oracle: Oracle) -> Self {
        Self {
            sim: sim.clone(),
            told: Arc::clone(told),
            provider: Arc::clone(provider),
            oracle,
            commits: 0,
            stood: BTreeMap::new(),
            closed: false,
            commands: 0,
        }
    }

    /// A commit landed.
    pub fn committed(&mut self, batch: &LedgerBatch, tables: &Tables, records: &Records) {
        self.commits += 1;
        self.sim.mark(batch.digest);
        self.sim.note(|| format!("commit {}..{} epoch {}", batch.first_offset, batch.next_offset, batch.epoch));
        let complaint = self.judge(batch, tables, records);
        if let Err(complaint) = complaint {
            let span = format!("commit {}..{} of epoch {}", batch.first_offset, batch.next_offset, batch.epoch);
            self.sim.fail(|| format!("{complaint} ({span})"));
        }
    }

    fn judge(&mut self, batch: &LedgerBatch, tables: &Tables, records: &Records) -> Result<(), String> {
        if self.closed {
            return Err("a damaged log was folded further".to_owned());
        }
        if batch.first_offset != self.oracle.next {
            return Err(format!("I6: the ledger stood at {}, not at {}", self.oracle.next, batch.first_offset));
        }
        let committed: Committed = decode(&batch.committed).map_err(|error| error.to_string())?;
        let length = usize::try_from(batch.next_offset - batch.first_offset).unwrap_or(usize::MAX);
        let folded = records.slice(batch.first_offset, length);
        if folded.len() != length || committed.decisions.len() != length {
            return Err(format!("I6: {} records and {} decisions", folded.len(), committed.decisions.len()));
        }
        let mut came = Vec::with_capacity(length);
        for (record, decision) in folded.iter().zip(&committed.decisions) {
            self.tell_story(decision);
            came.push(self.oracle.fold(record));
        }
        // What a person would call wrong comes before what only differs.
        self.stock(tables)?;
        self.customers(tables)?;
        self.ends(&batch.holds)?;
        for (decision, came) in committed.decisions.iter().zip(&came) {
            self.compare(decision, came)?;
        }
        self.numbers(tables)?;
        let all = self.commits.is_multiple_of(ALL_ROWS);
        let holds: Vec<&HoldRow> = if all { tables.holds.values().collect() } else { batch.holds.iter().collect() };
        self.rows(&holds)?;
        self.money(batch)?;
        if all { self.told(tables) } else { Ok(()) }
    }

    fn tell_story(&self, decision: &Decision) {
        self.sim.note(|| {
            let sender = decision.batch.map(|id| format!("{}/{:x}/{}", id.gateway, id.boot, id.number));
            format!("  record {} {sender:?} repeated {}: {:?}", decision.offset, decision.repeated, decision.outcomes)
        });
    }

    /// The decision is the oracle's.
    fn compare(&mut self, decision: &Decision, came: &Came) -> Result<(), String> {
        let (repeated, outcomes): (bool, &[Outcome]) = match came {
            Came::Nothing => (false, &[]),
            Came::Repeated => (true, &[]),
            Came::To(outcomes) => (false, outcomes),
        };
        self.commands += outcomes.len() as u64;
        if repeated != decision.repeated {
            return Err(format!(
                "record {} is a repeat: {repeated}, and was taken for one: {}",
                decision.offset, !repeated
            ));
        }
        if outcomes != decision.outcomes {
            let pairs = outcomes.iter().zip(&decision.outcomes);
            let first = pairs.enumerate().find(|(_, (expected, found))| expected != found);
            return Err(format!(
                "record {}: the oracle decides otherwise (expected, found): {first:?}",
                decision.offset
            ));
        }
        Ok(())
    }

    /// I1: by the rows, against the stock that there really is.
    fn stock(&self, tables: &Tables) -> Result<(), String> {
        for row in tables.items.values() {
            let expected = self.oracle.numbers(row.item).ok_or("an item that is not on sale")?;
            let found = [row.stock, row.shortage, row.held, row.sold, row.waiting].map(i64::from);
            if found[2] + found[3] > expected[0] {
                return Err(format!(
                    "I1: item {} holds {} and sold {} of {}",
                    row.item, found[2], found[3], expected[0]
                ));
            }
        }
        Ok(())
    }

    /// The items' rows are the oracle's.
    fn numbers(&self, tables: &Tables) -> Result<(), String> {
        for row in tables.items.values() {
            let expected = self.oracle.numbers(row.item).ok_or("an item that is not on sale")?;
            let found = [row.stock, row.shortage, row.held, row.sold, row.waiting].map(i64::from);
            if expected != found {
                return Err(format!("item {}: expected {expected:?}, the row has {found:?}", row.item));
            }
        }
        Ok(())
    }

    /// I3: one grant a request, and nobody has more than the limit.
    fn customers(&self, tables: &Tables) -> Result<(), String> {
        use HoldStatus::{Confirmed, Held, Offered, Waiting};
        let mut counts: BTreeMap<(SubjectKey, u16), u64> = BTreeMap::new();
        let mut requests: BTreeMap<RequestKey, HoldNumber> = BTreeMap::new();
        for row in tables.holds.values() {
            if let Some(request) = row.request
                && let Some(other) = requests.insert(request, row.view.hold)
            {
                return Err(format!("I3: request {request:?} has holds {other} and {}", row.view.hold));
            }
            if matches!(row.view.status, Held | Offered | Waiting | Confirmed) {
                let count = counts.entry((row.view.subject, row.view.item)).or_insert(0);
                *count += 1;
                if *count > self.oracle.limit(row.view.item) {
                    return Err(format!("I3: {:?} has {count} of item {}", row.view.subject, row.view.item));
                }
            }
        }
        Ok(())
    }

    /// I4: a hold that has ended stays so.
    fn ends(&mut self, changed: &[HoldRow]) -> Result<(), String> {
        use HoldStatus::{Cancelled, Confirmed, Expired, Failed, Held, Offered, Refunded, Waiting};
        for row in changed {
            let (hold, now) = (row.view.hold, row.view.status);
            let before = self.stood.insert(hold, now);
            // Several steps may lie between two commits.
            let may = match before {
                None | Some(Waiting) => true,
                Some(Offered | Held) => now != Waiting,
                Some(Confirmed) => matches!(now, Confirmed | Failed | Refunded),
                Some(Cancelled | Expired | Failed | Refunded) => before == Some(now),
            };
            if !may {
                return Err(format!("I4: hold {hold} was {before:?} and is {now:?}"));
            }
        }
        Ok(())
    }

    /// The rows are the oracle's.
    fn rows(&self, rows: &[&HoldRow]) -> Result<(), String> {
        for row in rows {
            let view = &row.view;
            let Some(hold) = self.oracle.holds.get(view.hold as usize) else {
                return Err(format!("I2: hold {} is nobody's", view.hold));
            };
            let expected = (hold.subject, hold.item, hold.status, hold.since, hold.payment, hold.refund);
            let refund = view.refund.map(|refund| (refund.state, refund.restock));
            let payment = view.payment.and_then(|payment| usize::try_from(payment).ok());
            let found = (view.subject, view.item, view.status, view.since, payment, refund);
            if expected != found {
                return Err(format!("hold {}: expected {expected:?}, the row has {found:?}", view.hold));
            }
        }
        Ok(())
    }

    /// I5: what is finished is finished at the provider too.
    fn money(&self, batch: &LedgerBatch) -> Result<(), String> {
        for paid in &batch.payments {
            let Some(expected) = self.oracle.payments.get(paid.payment as usize) else {
                return Err(format!("I5: payment {} is nobody's", paid.payment));
            };
            if (expected.key, expected.hold, expected.bought, expected.state)
                != (paid.key, paid.hold, paid.bought, paid.state)
            {
                return Err(format!("I5: payment {}: expected {expected:?}, the row has {paid:?}", paid.payment));
            }
            let provider = self.provider.state(paid.key);
            let agrees = match paid.state {
                PaymentState::Captured => matches!(provider, ProviderState::Captured | ProviderState::Refunded),
                PaymentState::Voided => provider != ProviderState::Captured,
                _ => true,
            };
            if !agrees {
                return Err(format!(
                    "I5: payment {} is {:?}, the provider says {provider:?}",
                    paid.payment, paid.state
                ));
            }
        }
        Ok(())
    }

    /// I2: what a shopper was told is in the ledger, as soon as it has folded so far.
    pub fn told(&self, tables: &Tables) -> Result<(), String> {
        for (request, grant) in self.told.grants() {
            if grant.offset.is_none_or(|offset| offset >= self.oracle.next) {
                continue;
            }
            let row = tables.holds.get(&grant.hold).map(|row| (row.request, row.view.subject, row.view.item));
            if row != Some((Some(request), grant.subject, grant.item)) {
                return Err(format!("I2: {request:?} was told of {grant:?}, the ledger has {row:?}"));
            }
        }
        Ok(())
    }

    /// Whether a request was granted below an offset.
    pub fn granted_below(&self, request: RequestKey, offset: u64) -> bool {
        self.oracle.requests.get(&request).is_some_and(|(_, at)| *at < offset)
    }
}
