//! Whatever happens to processes, ledgers and logs as a whole.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use flashsale_core::{Command, RequestKey};
use flashsale_engine::id::subject;
use flashsale_engine::record::{Batch, BatchId, Entry, Record, encode};

use crate::faults::Fault;
use crate::ledger::Books;
use crate::sim::{WORLD, lock};
use crate::world::World;

/// What a seed is about, besides everything small that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plot {
    Ordinary,
    Promotion,
    TailLost,
    TailRegrown,
    UnreadLost,
}

/// Lets things happen until faults stop. `length_ms`: of the sale.
pub fn begin(world: &Arc<World>, length_ms: u64) {
    let (plot, at) = world.sim.chance(|chance| {
        let plot = match chance.below(100) {
            0..55 => Plot::Ordinary,
            55..80 => Plot::Promotion,
            80..84 => Plot::TailLost,
            84..92 => Plot::TailRegrown,
            _ => Plot::UnreadLost,
        };
        (plot, chance.between(length_ms / 4, length_ms * 4 / 5))
    });
    world.sim.spawn(WORLD, disturb(Arc::clone(world)));
    world.sim.spawn(WORLD, happen(Arc::clone(world), plot, at));
}

async fn disturb(world: Arc<World>) {
    let sim = world.sim.clone();
    while !world.faults.is_calm() {
        sim.sleep(sim.millis(20, 900)).await;
        if world.faults.strikes(Fault::Crash)
            && let Some(engine) = world.some_engine()
        {
            engine.end(|| "killed".to_owned());
        }
        if world.faults.strikes(Fault::Stop)
            && let Some(engine) = world.some_engine()
        {
            let time = sim.millis(300, 4_000);
            sim.note(|| format!("process {} stands still for {time:?}", engine.process));
            sim.stop(engine.process, time);
        }
        if world.faults.strikes(Fault::SecondWriter) {
            world.hasty.store(true, Relaxed);
        }
        if world.faults.strikes(Fault::CacheGone) {
            world.cache.flush();
        }
        if sim.chance(|chance| chance.percent(40)) {
            world.books().replicate();
        }
    }
}

async fn happen(world: Arc<World>, plot: Plot, at: u64) {
    world.sim.sleep(world.sim.millis(at, at + 1)).await;
    match plot {
        Plot::Ordinary => {}
        Plot::Promotion => promote(&world),
        Plot::TailLost => lose_tail(&world, Fault::TailLost),
        Plot::TailRegrown => lose_tail(&world, Fault::TailRegrown),
        Plot::UnreadLost => lose_unread(&world),
    }
}

/// The lagging standby becomes the ledger of every engine that starts; who runs goes on with the old one.
fn promote(world: &World) {
    let old = world.books();
    let Some((tables, judge)) = lock(&old.standby).take() else { return };
    world.faults.count(Fault::Promotion);
    world.sim.note(|| format!("a standby at {} is promoted, {} is alive", tables.row().next_offset, old.next_offset()));
    let books = Books::new(&world.sim, &world.faults, &world.records, world.switch, (tables, judge));
    world.promote(books);
    // One of the two engines is started anew, the other writes on where it did.
    if let Some(engine) = world.some_engine() {
        engine.end(|| "started anew with the promoted ledger".to_owned());
    }
    world.hasty.store(true, Relaxed);
}

/// The log's servers fail over and lose the end of what the ledger has folded.
fn lose_tail(world: &World, fault: Fault) {
    let books = world.books();
    let (folded, end) = (books.next_offset(), world.records.end());
    if folded < 3 {
        return;
    }
    end_all(world, &books);
    let cut = world.sim.chance(|chance| chance.between(folded.saturating_sub(8).max(1), folded - 1));
    world.faults.count(fault);
    world.damaged.store(true, Relaxed);
    lock(&books.judge).closed = true;
    world.records.cut(cut);
    world.sim.note(|| format!("the log is cut from {end} to {cut}; {folded} were folded"));
    if fault == Fault::TailRegrown {
        let more = world.sim.chance(|chance| chance.between(end - cut, end - cut + 4));
        for number in 1..=more {
            world.records.push(strange(number, cut));
        }
    }
}

/// They lose what nobody has folded: its senders hear nothing.
fn lose_unread(world: &World) {
    let books = world.books();
    let (folded, end) = (books.next_offset(), world.records.end());
    if folded == 0 || end <= folded {
        return;
    }
    end_all(world, &books);
    world.faults.count(Fault::UnreadLost);
    let cut = world.sim.chance(|chance| chance.between(folded, end - 1));
    world.records.cut(cut);
    world.sim.note(|| format!("the log is cut from {end} to {cut}; {folded} were folded"));
}

fn end_all(world: &World, books: &Books) {
    let running: Vec<_> = lock(&world.engines).iter().flatten().cloned().collect();
    for engine in running {
        engine.end(|| "lost the log's servers".to_owned());
    }
    books.end_sessions();
}

/// A record of somebody who was not there before.
fn strange(number: u64, cut: u64) -> Bytes {
    let name = format!("stranger-{number}");
    let request = RequestKey(u128::from(cut << 32 | number).to_le_bytes());
    let command = Command::Reserve { request, subject: subject(&name), item: 0, wait: false };
    let entries = vec![Entry { command, words: name.as_str().into() }];
    let id = BatchId { gateway: 7, boot: cut, number };
    encode(&Record::Batch(Batch { id, entries })).map(Bytes::from).unwrap_or_default()
}
