//! Operators: open the sale, change it while it runs, give money back, and put everything right in the end.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use flashsale_core::{
    ChangeId, Command, HaltCause, HaltScope, HoldNumber, HoldStatus, Outcome, PaymentKey, RefundState,
};
use flashsale_engine::ports::{Payments, ProviderState};
use flashsale_engine::record::Entry;
use flashsale_engine::submit::{Submit, Submitted};

use crate::provider::Desk;
use crate::sale::NOON;
use crate::sim::lock;
use crate::workload::Busy;
use crate::world::World;

/// How long an operator waits for a decision before asking again with the same id.
const WITHIN: Duration = Duration::from_millis(900);
/// How often; beyond it something never comes back.
const TRIES: u32 = 400;

/// Sends the operators in.
pub fn begin(world: &Arc<World>, busy: &Arc<Busy>) {
    let operator = Operator { world: Arc::clone(world), changes: 0, refunding: BTreeSet::new() };
    busy.start(world, operator.work());
}

struct Operator {
    world: Arc<World>,
    changes: u64,
    refunding: BTreeSet<HoldNumber>,
}

impl Operator {
    async fn work(mut self) {
        let sim = self.world.sim.clone();
        let change = self.change();
        self.submit(Command::Arm { change }).await;
        self.submit(Command::Open).await;
        while !self.world.faults.is_calm() {
            sim.sleep(sim.millis(50, 1_500)).await;
            let item = sim.chance(|chance| chance.below(self.world.sale.rules.items.len() as u64));
            let item = u16::try_from(item).unwrap_or(0);
            let change = self.change();
            match sim.chance(|chance| chance.below(10)) {
                0 | 1 => self.adjust(change, item).await,
                2 => {
                    let units = sim.chance(|chance| u32::try_from(chance.below(3)).unwrap_or(0));
                    self.submit(Command::Shortage { change, item, units }).await;
                }
                3 => {
                    let rate = sim.chance(|chance| chance.percent(60).then(|| chance.between(0, 30)));
                    let units_per_second = rate.and_then(|rate| u32::try_from(rate).ok());
                    self.submit(Command::Pace { change, units_per_second }).await;
                }
                4 => self.halt(change).await,
                5 => {
                    let closes_at = NOON + sim.now_ms() + 600_000;
                    self.submit(Command::Extend { change, closes_at }).await;
                }
                _ => self.refund().await,
            }
        }
        self.put_right().await;
    }

    /// Everything goes on: no halt, no pace, no refund half made.
    async fn put_right(&mut self) {
        let change = self.change();
        self.submit(Command::Resume { change }).await;
        let change = self.change();
        self.submit(Command::Pace { change, units_per_second: None }).await;
        for hold in std::mem::take(&mut self.refunding) {
            self.go_on_refunding(hold, TRIES).await;
        }
    }

    async fn adjust(&mut self, change: ChangeId, item: u16) {
        let by = self.world.sim.chance(|chance| chance.between(0, 5));
        let by = i32::try_from(by).unwrap_or(0) - 3;
        self.submit(Command::Adjust { change, item, by }).await;
        if self.world.sim.chance(|chance| chance.percent(20)) {
            // Twice with one id: once.
            self.submit(Command::Adjust { change, item, by }).await;
        }
    }

    async fn halt(&mut self, change: ChangeId) {
        let sim = self.world.sim.clone();
        let all = sim.chance(|chance| chance.percent(40));
        let scope = if all { HaltScope::All } else { HaltScope::Reserve };
        self.submit(Command::Halt { change, scope, cause: HaltCause::Operator }).await;
        sim.sleep(sim.millis(10, 600)).await;
        let change = self.change();
        self.submit(Command::Resume { change }).await;
    }

    async fn refund(&mut self) {
        let sold: Vec<HoldNumber> = {
            let books = self.world.books();
            let tables = lock(&books.tables);
            tables
                .holds
                .values()
                .filter(|row| row.view.status == HoldStatus::Confirmed)
                .map(|row| row.view.hold)
                .collect()
        };
        let (picked, restock) = self.world.sim.chance(|chance| (chance.pick(&sold), chance.percent(60)));
        let Some(hold) = picked else { return };
        if let Some(Outcome::Done | Outcome::Unchanged) = self.submit(Command::RefundPlan { hold, restock }).await {
            self.refunding.insert(hold);
            self.go_on_refunding(hold, 3).await;
        }
    }

    /// planned -> sent -> the provider -> confirmed; each step as often as it takes.
    async fn go_on_refunding(&mut self, hold: HoldNumber, tries: u32) {
        let sim = self.world.sim.clone();
        let Some(payment) = self.payment_of(hold) else { return };
        if !matches!(self.submit(Command::RefundSent { hold }).await, Some(Outcome::Done | Outcome::Unchanged)) {
            self.refunding.insert(hold);
            return;
        }
        let provider = Desk(Arc::clone(&self.world.provider));
        for _ in 0..tries {
            if let Ok(ProviderState::Refunded) = provider.refund(payment, &format!("refund-{hold}")).await {
                self.submit(Command::RefundConfirmed { hold }).await;
                self.refunding.remove(&hold);
                return;
            }
            sim.sleep(sim.millis(10, 200)).await;
        }
        self.refunding.insert(hold);
    }

    fn payment_of(&self, hold: HoldNumber) -> Option<PaymentKey> {
        let books = self.world.books();
        let judge = lock(&books.judge);
        let known = judge.oracle.holds.get(hold as usize)?;
        known.refund.filter(|(state, _)| *state != RefundState::Confirmed)?;
        judge.oracle.payments.get(known.payment?).map(|paid| paid.key)
    }

    fn change(&mut self) -> ChangeId {
        self.changes += 1;
        self.world.sale.ids.change(&format!("operator-{}", self.changes))
    }

    /// The same command until it is decided.
    async fn submit(&self, command: Command) -> Option<Outcome> {
        let sim = &self.world.sim;
        for _ in 0..TRIES {
            if self.world.damaged.load(Relaxed) {
                return None;
            }
            if let Some(engine) = self.world.some_engine() {
                let entry = Entry { command: command.clone(), words: "ann: because".into() };
                let operators = Arc::clone(&engine.operators);
                let (tell, told) = tokio::sync::oneshot::channel();
                sim.spawn(engine.process, async move { _ = tell.send(operators.submit(entry, WITHIN).await) });
                if let Ok(Submitted::Decided { outcome, .. }) = told.await {
                    return Some(outcome);
                }
            }
            sim.sleep(sim.millis(5, 150)).await;
        }
        sim.fail(|| format!("liveness: an operator's {command:?} is never decided"));
        None
    }
}
