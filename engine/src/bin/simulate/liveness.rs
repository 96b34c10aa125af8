//! Liveness: once faults have stopped, everything that was begun comes to its end. And the last look at everything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use flashsale_core::{Command, HoldStatus, ItemStatus, PaymentState};
use flashsale_engine::audit::verify::verify;
use flashsale_engine::ports::ProviderState;
use flashsale_engine::record::Entry;
use flashsale_engine::submit::Submit;

use crate::ledger::Connection;
use crate::log::Line;
use crate::provider::Desk;
use crate::sim::lock;
use crate::workload::Busy;
use crate::world::World;

/// How long everything may take, once faults have stopped.
const WITHIN: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);
/// How long a damaged log is started over, to see that nobody folds it.
const DAMAGED: Duration = Duration::from_secs(6);

/// Lets the sale run, stops the faults, waits until all is well, and ends the seed.
pub async fn watch(world: Arc<World>, busy: Arc<Busy>, length: Duration) {
    let sim = world.sim.clone();
    sim.sleep(length).await;
    world.faults.calm_down();
    if world.damaged.load(Relaxed) {
        sim.sleep(DAMAGED).await;
        if world.noticed.load(Relaxed) == 0 {
            sim.fail(|| "I6: nobody noticed that the log is damaged".to_owned());
        }
        return sim.finish();
    }
    let calm = [at_rest, flags_are_true, requests_are_decided, still_at_rest];
    for look in calm {
        wait_for(&world, &busy, look).await;
    }
    close(&world).await;
    for look in [line_is_empty, money_is_settled, events_are_out] {
        wait_for(&world, &busy, look).await;
    }
    last_look(&world).await;
    sim.finish();
}

type Look = fn(&Arc<World>, &Arc<Busy>) -> Result<(), String>;

/// Looks until all is well; what is not in the end is a failure.
async fn wait_for(world: &Arc<World>, busy: &Arc<Busy>, look: Look) {
    let until = world.sim.now() + WITHIN;
    loop {
        match look(world, busy) {
            Ok(()) => return,
            Err(what) if world.sim.now() > until => {
                world.sim.fail(|| format!("liveness: {what}"));
                return std::future::pending().await;
            }
            Err(_) => world.sim.sleep(LOOK).await,
        }
    }
}

/// Nobody wants anything any more, a writer leads, and no hold is live.
fn at_rest(world: &Arc<World>, busy: &Arc<Busy>) -> Result<(), String> {
    if busy.left() > 0 {
        return Err(format!("{} shoppers and operators wait for an answer", busy.left()));
    }
    let Some(leader) = world.leader() else { return Err("nobody is the writer".to_owned()) };
    let books = world.books();
    let tables = lock(&books.tables);
    let live = |status| matches!(status, HoldStatus::Held | HoldStatus::Offered);
    if let Some(row) = tables.holds.values().find(|row| live(row.view.status)) {
        return Err(format!("a hold is due and not released: {:?}", row.view));
    }
    if !leader.board.fresh() {
        return Err("no decision has come for a second".to_owned());
    }
    Ok(())
}

fn still_at_rest(world: &Arc<World>, busy: &Arc<Busy>) -> Result<(), String> {
    at_rest(world, busy)
}

/// No flag stays over free stock, and what is shown is so.
fn flags_are_true(world: &Arc<World>, _busy: &Arc<Busy>) -> Result<(), String> {
    let Some(leader) = world.leader() else { return Err("nobody is the writer".to_owned()) };
    let books = world.books();
    let judge = lock(&books.judge);
    for shown in leader.board.items() {
        let available = judge.oracle.available(shown.item);
        let refuses = matches!(shown.status, ItemStatus::AllHeld | ItemStatus::SoldOut);
        if i64::from(shown.available) != available || (refuses && available > 0) {
            return Err(format!("{available} units are available, shown is {shown:?}"));
        }
    }
    Ok(())
}

/// A request that was granted is found; what is not found was not granted.
fn requests_are_decided(world: &Arc<World>, _busy: &Arc<Busy>) -> Result<(), String> {
    let Some(leader) = world.leader() else { return Err("nobody is the writer".to_owned()) };
    let books = world.books();
    let judge = lock(&books.judge);
    for (request, subject, item) in world.told.asked() {
        let granted = judge.oracle.requests.get(&request).map(|(hold, _)| *hold);
        if leader.board.granted(request) != granted {
            let found = leader.board.granted(request);
            return Err(format!(
                "request {request:?} of {subject:?}, item {item}: granted {granted:?}, found {found:?}"
            ));
        }
    }
    Ok(())
}

fn line_is_empty(world: &Arc<World>, _busy: &Arc<Busy>) -> Result<(), String> {
    let books = world.books();
    let tables = lock(&books.tables);
    match tables.holds.values().find(|row| row.view.status == HoldStatus::Waiting) {
        Some(row) => Err(format!("the sale is closed and somebody waits: {:?}", row.view)),
        None => Ok(()),
    }
}

/// Every authorization is captured or voided, here and at the provider.
fn money_is_settled(world: &Arc<World>, _busy: &Arc<Busy>) -> Result<(), String> {
    let books = world.books();
    let tables = lock(&books.tables);
    if let Some(paid) = tables.payments.values().find(|paid| paid.state.is_open()) {
        return Err(format!("payment {} is open: {:?}", paid.payment, paid.state));
    }
    let paid = lock(&world.provider.paid);
    match paid.iter().find(|(_, paid)| paid.state == ProviderState::Authorized) {
        Some((key, _)) => Err(format!("money is held for payment {key:?} and nobody lets it go")),
        None => Ok(()),
    }
}

/// Every committed event is published, and no other.
fn events_are_out(world: &Arc<World>, _busy: &Arc<Busy>) -> Result<(), String> {
    let books = world.books();
    let judge = lock(&books.judge);
    let published = lock(&world.events.events);
    let mut expected = BTreeSet::new();
    let mut ordinals: BTreeMap<(u64, u32), u32> = BTreeMap::new();
    for happened in &judge.oracle.happened {
        let ordinal = ordinals.entry((happened.offset, happened.index)).or_insert(0);
        let id = format!("0-{}-{}-{ordinal}", happened.offset, happened.index);
        *ordinal += 1;
        if published.get(&id).map(String::as_str) != Some(happened.kind) {
            return Err(format!("event {id} {} is not published: {:?}", happened.kind, published.get(&id)));
        }
        expected.insert(id);
    }
    match published.keys().find(|id| !expected.contains(*id)) {
        Some(id) => Err(format!("event {id} was published and never happened")),
        None => Ok(()),
    }
}

async fn close(world: &Arc<World>) {
    let change = world.sale.ids.change("close");
    let within = Duration::from_secs(1);
    for _ in 0..100 {
        if let Some(leader) = world.leader() {
            let entry = Entry { command: Command::Close { change }, words: "".into() };
            if let flashsale_engine::submit::Submitted::Decided { .. } = leader.operators.submit(entry, within).await {
                return;
            }
        }
        world.sim.sleep(LOOK).await;
    }
    world.sim.fail(|| "liveness: the sale cannot be closed".to_owned());
}

/// The books, the shoppers and the provider, all of it once more; and the product's own audit.
async fn last_look(world: &Arc<World>) {
    let books = world.books();
    let complaint = {
        let tables = lock(&books.tables);
        let judge = lock(&books.judge);
        judge.told(&tables).and_then(|()| orders(world, &judge.oracle)).and_then(|()| {
            let (given, tallied) = (world.told.refused_by_flag(), judge.oracle.tallied);
            if tallied > given {
                return Err(format!("I7: gateways refused {given} reserves, {tallied} were tallied"));
            }
            Ok(())
        })
    };
    if let Err(complaint) = complaint {
        world.sim.fail(|| complaint);
    }
    let run = world.sale.frozen.run;
    let (log, history) = (Line::new(&world.records), Connection(Arc::clone(&books)));
    let provider = Desk(Arc::clone(&world.provider));
    match verify(run, &world.sale.prices, &*log, &history, &provider).await {
        Ok(audit) if audit.passes() && audit.open_payments.is_empty() => {}
        Ok(audit) => world.sim.fail(|| format!("the audit differs: {:?} {:?}", audit.findings, audit.open_payments)),
        Err(error) => world.sim.fail(|| format!("the audit cannot be made: {error}")),
    }
}

/// I5: captured less refunded is what is sold, by the provider's own records; and every order told as paid was paid.
fn orders(world: &World, oracle: &crate::oracle::Oracle) -> Result<(), String> {
    let paid = lock(&world.provider.paid);
    let captured: i64 =
        paid.values().filter(|paid| paid.state == ProviderState::Captured).map(|paid| paid.amount.minor).sum();
    let price = |item: u16| world.sale.prices.get(usize::from(item)).map_or(0, |price| price.minor);
    let sold = oracle.holds.iter().filter(|hold| hold.status == HoldStatus::Confirmed);
    let sold: i64 = sold.map(|hold| price(hold.item)).sum();
    if captured != sold {
        return Err(format!("I5: {captured} captured and not refunded, {sold} sold"));
    }
    for (hold, payment) in world.told.confirmed() {
        let known = oracle.payments.iter().find(|known| known.key == payment);
        let right = known.is_some_and(|known| known.bought == Some(hold) && known.state == PaymentState::Captured);
        if !right {
            return Err(format!("I2: order {hold} was told as confirmed, its payment is {known:?}"));
        }
    }
    Ok(())
}
