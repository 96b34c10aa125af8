//! What the world is told, and that a crash, a full queue or an absent consumer loses none of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod memory;

use std::collections::BTreeSet;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use flashsale_core::{Command, HaltCause, HaltScope};
use flashsale_engine::id::Ids;
use flashsale_engine::publisher::outbox::QUEUE_BATCHES;
use flashsale_engine::record::BatchId;
use memory::engine::{Engine, World};
use memory::sale::*;
use tokio::time::{sleep, timeout};

async fn until(what: &str, condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(300), waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}

async fn open(world: &World) -> Engine {
    let mut engine = world.start(1);
    engine.through(2).await;
    let opened = world.log.push(opening());
    engine.through(opened + 1).await;
    engine
}

/// A payment's way from start to refund, a cancel and a halt.
fn story() -> Vec<Vec<u8>> {
    let pay = |command| entry(command, "");
    vec![
        batch(0, 9, 1, vec![reserve(1), reserve(2)]),
        batch(
            0,
            9,
            2,
            vec![
                pay(Command::PayStart { hold: 0, subject: subject(1), payment: payment(1) }),
                pay(Command::Confirm { hold: 0, subject: subject(1), payment: payment(1) }),
                pay(Command::Captured { payment: payment(1) }),
                pay(Command::Cancel { hold: 1, subject: subject(2) }),
            ],
        ),
        batch(
            0,
            9,
            3,
            vec![
                pay(Command::RefundPlan { hold: 0, restock: true }),
                pay(Command::RefundSent { hold: 0 }),
                pay(Command::RefundConfirmed { hold: 0 }),
            ],
        ),
        batch(
            BatchId::OPERATOR,
            1,
            2,
            vec![
                entry(
                    Command::Halt { change: change(2), scope: HaltScope::Reserve, cause: HaltCause::Operator },
                    "ann: a look",
                ),
                entry(Command::Resume { change: change(3) }, "ann: fine"),
                entry(Command::Close { change: change(4) }, "ann: enough"),
            ],
        ),
    ]
}

const TOLD: [&str; 9] = [
    "sale.opened",
    "reservation.created",
    "reservation.created",
    "order.confirmed",
    "reservation.cancelled",
    "order.refunded",
    "sale.halted",
    "sale.resumed",
    "sale.closed",
];

#[tokio::test(start_paused = true)]
async fn every_change_is_one_event_in_order_with_its_position_as_id() {
    let world = World::new();
    let mut engine = open(&world).await;
    let mut last = 0;
    for record in story() {
        last = world.log.push(record);
    }
    engine.through(last + 1).await;
    until("published", || world.ledger.row().published_through > last).await;
    assert_eq!(world.events.types(), TOLD);

    let events = world.events.published.lock().unwrap().clone();
    let ids: BTreeSet<_> = events.iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), events.len());
    let (names, created) = (Ids::new(RUN), &events[1]);
    assert_eq!(created["specversion"], "1.0");
    assert_eq!(created["source"], format!("/flashsale/small/{RUN}"));
    assert_eq!(created["subject"], names.reservation(0));
    assert_eq!(created["data"]["sku"], "ONE");
    assert_eq!(created["data"]["customer"], "shopper-1");
    assert!(created["data"]["expires_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(events[3]["subject"], names.order(0));
    assert_eq!(events[6]["data"]["by"], "ann: a look");
    engine.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_was_committed_and_not_published_is_published_by_the_next_writer_first() {
    let world = World::new();
    world.events.away.store(true, SeqCst);
    let mut engine = open(&world).await;
    let mut last = 0;
    for record in story() {
        last = world.log.push(record);
    }
    engine.through(last + 1).await;
    assert!(world.events.types().is_empty());
    engine.kill();
    sleep(Duration::from_millis(10)).await;
    world.events.away.store(false, SeqCst);

    let mut next = world.start(2);
    let more = world.log.push(batch(BatchId::OPERATOR, 1, 3, vec![reserve(5)]));
    next.through(more + 1).await;
    until("published", || world.ledger.row().published_through > more).await;
    assert_eq!(world.events.types(), TOLD);
    next.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_crash_between_publishing_and_saying_so_repeats_events_and_their_ids() {
    let world = World::new();
    let mut engine = open(&world).await;
    let last = world.log.push(batch(0, 9, 1, vec![reserve(1), reserve(2)]));
    engine.through(last + 1).await;
    until("published", || world.ledger.row().published_through > last).await;
    engine.kill();
    sleep(Duration::from_millis(10)).await;
    world.ledger.change_row(|row| row.published_through = 0);
    let next = world.start(2);
    until("published again", || world.ledger.row().published_through > last).await;
    let told = world.events.list();
    assert_eq!(told[..3], told[3..6], "the same events under the same ids");
    next.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn absent_consumers_delay_nobody_and_miss_nothing() {
    let world = World::new();
    let mut engine = open(&world).await;
    world.events.away.store(true, SeqCst);
    world.cache.away.store(true, SeqCst);
    // More batches than any queue holds, each committed by itself.
    let count = 3 * QUEUE_BATCHES as u64;
    let mut offset = 0;
    for number in 1..=count {
        offset = world.log.push(batch(0, 9, number, vec![reserve_of(1, number)]));
        engine.through(offset + 1).await;
    }
    assert_eq!(world.ledger.row().next_offset, offset + 1, "every decision was told meanwhile");
    world.events.away.store(false, SeqCst);
    world.cache.away.store(false, SeqCst);
    until("caught up", || world.ledger.row().published_through > offset).await;
    let created = world.events.list().into_iter().filter(|(_, kind)| kind == "reservation.created");
    assert_eq!(created.map(|(id, _)| id).collect::<BTreeSet<_>>().len() as u64, count);
    until("the cache has the newest", || {
        world.cache.stock.lock().unwrap().get(&1).is_some_and(|kept| u64::from(kept.item.held) == count.min(1_000))
    })
    .await;
    engine.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_cache_gets_the_newest_value_and_at_most_one_stock_write_an_item_in_ten_milliseconds() {
    let world = World::new();
    let mut engine = open(&world).await;
    sleep(Duration::from_millis(50)).await;
    let before = world.cache.writes.load(SeqCst);
    let began = tokio::time::Instant::now();
    for number in 1..=200 {
        let offset = world.log.push(batch(0, 9, number, vec![reserve_of(1, number)]));
        engine.through(offset + 1).await;
        sleep(Duration::from_millis(1)).await;
    }
    sleep(Duration::from_millis(20)).await;
    let windows = u64::try_from(began.elapsed().as_millis() / 10).unwrap() + 2;
    let writes = world.cache.writes.load(SeqCst) - before;
    assert!(writes <= 2 * windows, "{writes} writes of two items in {windows} windows");
    assert_eq!(world.cache.stock.lock().unwrap()[&1].item.held, 200);
    assert_eq!(world.cache.holds.lock().unwrap().len(), 200);
    engine.stop().await.unwrap();
}
