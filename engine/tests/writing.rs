//! The writer's loop over ports in memory: what it tells, what stops it, what it leaves behind. Time is paused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod memory;

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use flashsale_core::{Command, HoldChange};
use flashsale_engine::allocator::fold::StepError;
use flashsale_engine::allocator::service::WriterError;
use flashsale_engine::allocator::takeover::own_batch;
use flashsale_engine::allocator::ticks::Layers;
use flashsale_engine::ports::{History, Severity};
use flashsale_engine::record::{Committed, Record, decode};
use memory::engine::World;
use memory::sale::*;
use memory::{Fault, NOON};
use tokio::time::{sleep, timeout};

/// Waits for a condition that the writer brings about; five minutes of paused time are the limit.
async fn until(what: &str, condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(300), waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// A sale that is open, with a writer.
async fn open(world: &World) -> memory::engine::Engine {
    let mut engine = world.start(1);
    engine.through(2).await;
    let opened = world.log.push(opening());
    engine.through(opened + 1).await;
    engine
}

#[tokio::test(start_paused = true)]
async fn an_empty_log_is_defined_taken_over_and_ticks_from_then_on() {
    let world = World::new();
    let mut engine = world.start(1);
    let told = engine.through(4).await;
    let records = world.log.all();
    assert_eq!(records[0].bytes, bytes(&Record::Define(define())));
    assert_eq!(records[1].bytes, bytes(&own_batch(2, 1, Command::Takeover { epoch: 1 })));
    let last = told.last().unwrap().decisions.last().unwrap().clone();
    assert_eq!((last.items.len(), last.epoch), (2, 1), "a tick shows every item");
    let gaps: Vec<_> = records.windows(2).skip(1).map(|pair| pair[1].timestamp - pair[0].timestamp).collect();
    assert!(gaps.iter().all(|gap| (1_000..1_020).contains(gap)), "before the opening it rests: {gaps:?}");
    let row = world.ledger.row();
    assert_eq!((row.run, row.epoch, row.next_offset), (Some(RUN), 1, engine.gauges.standing().next_offset));
}

#[tokio::test(start_paused = true)]
async fn nobody_is_told_before_the_commit() {
    let world = World::new();
    let mut engine = open(&world).await;
    *world.ledger.slow.lock().unwrap() = Duration::from_millis(40);
    let offset = world.log.push(batch(0, 9, 1, vec![reserve(1)]));
    let told = engine.through(offset + 1).await;
    let row = world.ledger.row();
    assert!(row.next_offset >= told.last().unwrap().next_offset, "the ledger had it first");
    assert_eq!(world.ledger.hold(0).await.unwrap().unwrap().name.as_deref(), Some("shopper-1"));
}

#[tokio::test(start_paused = true)]
async fn what_arrives_during_a_commit_shares_the_next() {
    let world = World::new();
    let mut engine = open(&world).await;
    *world.ledger.slow.lock().unwrap() = Duration::from_millis(40);
    let first = world.log.push(batch(0, 9, 1, vec![reserve_of(1, 1)]));
    sleep(Duration::from_millis(5)).await;
    for number in 2..=30 {
        world.log.push(batch(0, 9, number, vec![reserve_of(1, number)]));
    }
    let told = engine.through(first + 30).await;
    let sizes: Vec<_> = told.iter().map(|committed| committed.decisions.len()).collect();
    assert_eq!(sizes, [1, 29]);
    assert_eq!(engine.gauges.batch_size.take().map(|sizes| sizes.max()), Some(29));
}

#[tokio::test(start_paused = true)]
async fn a_hold_ends_by_its_own_deadline_without_a_record_of_anyone_else() {
    let world = World::new();
    let mut engine = open(&world).await;
    let offset = world.log.push(batch(0, 9, 1, vec![reserve(1)]));
    engine.through(offset + 1).await;
    let expired = loop {
        let committed = engine.next().await;
        let ends = committed.decisions.iter().find(|decision| {
            decision.holds.iter().any(|notice| notice.hold == 0 && notice.change == HoldChange::Expired)
        });
        if let Some(decision) = ends {
            break decision.timestamp;
        }
    };
    let held = world.log.all()[usize::try_from(offset).unwrap()].timestamp;
    assert!((1_000..=1_300).contains(&(expired - held)), "1 s of hold: {}", expired - held);
}

#[tokio::test(start_paused = true)]
async fn a_nudge_alone_releases_a_unit_once() {
    let mut world = World::new();
    world.options.layers = Layers { idle_ticks: false, notices: false, sweep: false };
    let mut engine = open(&world).await;
    let offset = world.log.push(batch(0, 9, 1, vec![reserve(1)]));
    engine.through(offset + 1).await;
    sleep(Duration::from_secs(5)).await;
    assert_eq!(world.log.all().len() as u64, offset + 1, "without idle ticks nothing is appended");
    for _ in 0..50 {
        engine.nudge.notify_one();
    }
    let told = engine.through(offset + 2).await;
    let ended: Vec<_> = told.iter().flat_map(|told| &told.decisions).flat_map(|decision| &decision.holds).collect();
    assert_eq!(ended.iter().map(|notice| notice.change).collect::<Vec<_>>(), [HoldChange::Expired]);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(world.log.all().len() as u64, offset + 2, "fifty nudges are one tick");
}

/// From the hold's deadline to its release, with some layers only.
async fn release_after(layers: Layers) -> i64 {
    let mut world = World::new();
    world.options.layers = layers;
    let mut engine = open(&world).await;
    let offset = world.log.push(batch(0, 9, 1, vec![reserve(1)]));
    let told = engine.through(offset + 1).await;
    let deadline = told.last().unwrap().decisions[0].holds[0].expires_at;
    let mut ends = Vec::new();
    while ends.is_empty() {
        for decision in &engine.next().await.decisions {
            let over = decision.holds.iter().filter(|notice| notice.change == HoldChange::Expired);
            ends.extend(over.map(|_| decision.timestamp - deadline));
        }
    }
    sleep(Duration::from_secs(25)).await;
    let rows = world.ledger.tables.lock().unwrap().audit.clone();
    let decisions = rows.iter().flat_map(|row| decode::<Committed>(&row.committed).unwrap().decisions);
    let expired = decisions.flat_map(|decision| decision.holds).filter(|notice| notice.change == HoldChange::Expired);
    assert_eq!(expired.count(), 1, "released once");
    assert_eq!(ends.len(), 1);
    ends[0]
}

#[tokio::test(start_paused = true)]
async fn each_expiry_layer_alone_releases_the_unit_and_all_together_release_it_once() {
    let none = Layers { idle_ticks: false, notices: false, sweep: false };
    let ticks = release_after(Layers { idle_ticks: true, ..none }).await;
    assert!((0..=1_000).contains(&ticks), "{ticks}");
    let notices = release_after(Layers { notices: true, ..none }).await;
    assert!((0..=2_000).contains(&notices), "{notices}");
    let sweep = release_after(Layers { sweep: true, ..none }).await;
    assert!((0..=10_000).contains(&sweep), "{sweep}");
    let all = release_after(Layers::default()).await;
    assert!((0..=1_000).contains(&all), "{all}");
}

#[tokio::test(start_paused = true)]
async fn a_mass_expiry_is_worked_off_at_once_in_bounded_steps() {
    let world = World::new();
    let mut engine = open(&world).await;
    let offset = world.log.push(batch(0, 9, 1, (1..=900).map(|number| reserve_of(1, number)).collect()));
    engine.through(offset + 1).await;
    let (mut ends, mut first, mut last) = (Vec::new(), 0, 0);
    while ends.iter().sum::<usize>() < 900 {
        for decision in &engine.next().await.decisions {
            let expired = decision.holds.iter().filter(|notice| notice.change == HoldChange::Expired).count();
            if expired > 0 {
                first = if ends.is_empty() { decision.timestamp } else { first };
                last = decision.timestamp;
                ends.push(expired);
            }
        }
    }
    assert_eq!(ends, [256, 256, 256, 132]);
    assert!(last - first < 100, "without waiting for the next idle tick: {}", last - first);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_commit_is_resolved_whichever_way_it_went() {
    for (fault, what) in
        [(Fault::AnswerLost, "it was there"), (Fault::RequestLost, "sent again"), (Fault::Hangs, "late")]
    {
        let world = World::new();
        let mut engine = open(&world).await;
        world.ledger.faults.lock().unwrap().push_back(fault);
        let offset = world.log.push(batch(0, 9, 1, vec![reserve(1)]));
        let told = engine.through(offset + 1).await;
        assert_eq!(told[0].decisions[0].outcomes.len(), 1, "{what}");
        assert!(world.ledger.resolved.load(SeqCst) >= 1, "{what}");
        let audit: Vec<_> = world.ledger.tables.lock().unwrap().audit.iter().map(|row| row.next_offset).collect();
        assert!(audit.windows(2).all(|pair| pair[0] < pair[1]), "{what}: no batch is there twice: {audit:?}");
        assert!(audit.contains(&told[0].next_offset), "{what}");
        engine.stop().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_confirms_nothing_is_shown_and_paged_once_and_forgotten_when_it_does() {
    let world = World::new();
    let mut engine = open(&world).await;
    world.ledger.faults.lock().unwrap().extend([Fault::RequestLost; 80]);
    let offset = world.log.push(batch(0, 9, 1, vec![reserve(1)]));
    until("unconfirmed", || engine.gauges.unconfirmed.load().is_some()).await;
    assert_eq!(engine.gauges.unconfirmed.load().as_deref().map(String::as_str), Some("the request was lost"));
    assert!(engine.gauges.stopped.load().is_none(), "the writer is not stopped: it waits");
    engine.through(offset + 1).await;
    assert!(engine.gauges.unconfirmed.load().is_none());
    let pages = world.notifier.0.lock().unwrap().clone();
    assert_eq!(pages.iter().filter(|page| page.0 == Severity::Page).count(), 1, "{pages:?}");
    engine.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_changed_row_stops_the_writer_and_shuts_the_gate_until_it_is_put_back() {
    let world = World::new();
    let mut engine = open(&world).await;
    let right = world.ledger.tables.lock().unwrap().items[&0];
    world.ledger.tables.lock().unwrap().items.get_mut(&0).unwrap().sold += 1;
    let offset = world.log.push(batch(0, 9, 1, vec![reserve(1)]));
    until("stopped", || engine.gauges.stopped.load().is_some()).await;
    sleep(Duration::from_secs(3)).await;
    assert!(world.ledger.row().next_offset <= offset, "the batch is not committed");
    let gate = world.ledger.gate().await.unwrap().unwrap();
    assert!(gate.invariant && gate.reason.contains("item 0"), "{gate:?}");
    let pages = world.notifier.0.lock().unwrap().clone();
    assert_eq!(pages.iter().filter(|page| page.0 == Severity::Page).count(), 1, "{pages:?}");
    let waited = NOON + 3_000;
    assert!(engine.gauges.queue_age_ms(waited) >= 2_000, "whoever sheds by queue age sheds");

    world.ledger.tables.lock().unwrap().items.insert(0, right);
    let told = engine.through(offset + 1).await;
    assert_eq!(told[0].decisions[0].outcomes.len(), 1);
    assert!(engine.gauges.stopped.load().is_none());
    assert!(world.ledger.gate().await.unwrap().is_some(), "only a person opens the gate again");
}

#[tokio::test(start_paused = true)]
async fn of_two_writers_the_older_stops_and_commits_nothing_more() {
    let world = World::new();
    let mut old = open(&world).await;
    // Its commit is on its way while another process takes over.
    *world.ledger.slow.lock().unwrap() = Duration::from_millis(400);
    let offset = world.log.push(batch(0, 9, 1, vec![reserve(1)]));
    sleep(Duration::from_millis(10)).await;
    let mut new = world.start(2);
    let told = new.through(offset + 1).await;
    let ended = old.writer.await.unwrap();
    assert!(matches!(ended, Err(WriterError::Fenced { .. } | WriterError::Step(StepError::Superseded { .. }))));
    assert!(old.decisions.try_recv().is_err(), "it told nobody of what it could not commit");
    let epochs: Vec<_> = world.ledger.tables.lock().unwrap().audit.iter().map(|row| row.epoch).collect();
    assert!(epochs.is_sorted() && epochs.last() == Some(&2), "{epochs:?}");
    assert!(told.iter().flat_map(|told| &told.decisions).any(|decision| decision.offset == offset));
}

#[tokio::test(start_paused = true)]
async fn a_standby_waits_for_a_still_beat_and_not_for_a_writer_that_left() {
    let mut world = World::new();
    world.options.alone = false;
    let first = open(&world).await;
    let standby = world.start(2);
    sleep(Duration::from_secs(20)).await;
    assert_eq!(world.ledger.row().epoch, 1, "the first lives");
    first.kill();
    sleep(Duration::from_millis(1_300)).await;
    assert_eq!(world.ledger.row().epoch, 1, "not still for long enough");
    sleep(Duration::from_millis(900)).await;
    assert_eq!(world.ledger.row().epoch, 2);
    standby.stop().await.unwrap();
    let mut third = world.start(3);
    let asked = tokio::time::Instant::now();
    third.next().await;
    assert!(asked.elapsed() < Duration::from_millis(100), "who left in good order is not waited for");
}

#[tokio::test(start_paused = true)]
async fn a_graceful_stop_decides_what_was_appended_and_keeps_a_snapshot() {
    let world = World::new();
    let engine = open(&world).await;
    *world.ledger.slow.lock().unwrap() = Duration::from_millis(40);
    let mut last = 0;
    for number in 1..=300 {
        last = world.log.push(batch(0, 9, number, vec![reserve_of(1, number)]));
    }
    engine.stop().await.unwrap();
    let row = world.ledger.row();
    assert!(row.next_offset > last && row.writer.is_nil());
    assert_eq!(row.published_through, row.next_offset, "and every event is out");
    let tables = world.ledger.tables.lock().unwrap();
    let kept = tables.snapshots.last().unwrap();
    assert_eq!((kept.next_offset, kept.digest), (row.next_offset, row.digest));
    assert_eq!(world.events.types().iter().filter(|kind| *kind == "reservation.created").count(), 300);
}

#[tokio::test(start_paused = true)]
async fn a_stop_at_any_moment_ends_however_many_wait_for_the_ledger() {
    for moment in (0..1_200).step_by(15) {
        let mut world = World::new();
        world.options.snapshot_every = Duration::from_millis(100);
        let engine = open(&world).await;
        *world.ledger.slow.lock().unwrap() = Duration::from_millis(70);
        for number in 1..=moment {
            world.log.push(batch(0, 9, number, vec![reserve_of(1, number)]));
            sleep(Duration::from_millis(1)).await;
        }
        let ended = timeout(Duration::from_secs(20), engine.stop()).await;
        ended.unwrap_or_else(|_| panic!("never ended when stopped after {moment} ms")).unwrap();
        let row = world.ledger.row();
        assert_eq!((row.next_offset, row.writer.is_nil()), (world.log.all().len() as u64, true), "{moment}");
    }
}

#[tokio::test(start_paused = true)]
async fn snapshots_are_kept_every_thirty_seconds_of_committed_states() {
    let world = World::new();
    let engine = open(&world).await;
    until("two snapshots", || world.ledger.tables.lock().unwrap().snapshots.len() >= 2).await;
    let tables = world.ledger.tables.lock().unwrap();
    for kept in &tables.snapshots {
        let row = tables.audit.iter().find(|row| row.next_offset == kept.next_offset).expect("a committed offset");
        assert_eq!(row.digest, kept.digest);
    }
    drop(tables);
    engine.kill();
}

#[tokio::test(start_paused = true)]
async fn commits_do_not_wait_for_a_snapshot_and_a_shadow_left_behind_reads_the_log_again() {
    let mut world = World::new();
    world.options.snapshot_every = Duration::from_secs(1);
    let mut engine = open(&world).await;
    let store = world.ledger.snapshot_store.lock().await;
    sleep(Duration::from_secs(3)).await;
    // More than a shadow lets wait, while its last snapshot is on its way to a store that does not answer.
    let padding = "x".repeat(1 << 20);
    let mut last = 0;
    for number in 1..=20 {
        last = world.log.push(batch(0, 9, number, vec![entry(Command::Tick, &padding)]));
    }
    engine.through(last + 1).await;
    assert!(world.ledger.tables.lock().unwrap().snapshots.is_empty());
    drop(store);
    let newest = || world.ledger.tables.lock().unwrap().snapshots.last().map(|kept| (kept.next_offset, kept.digest));
    until("a snapshot of all of it", || newest().is_some_and(|(next_offset, _)| next_offset > last)).await;
    let (next_offset, digest) = newest().unwrap();
    let tables = world.ledger.tables.lock().unwrap();
    assert_eq!(tables.audit.iter().find(|row| row.next_offset == next_offset).map(|row| row.digest), Some(digest));
    drop(tables);
    engine.kill();
}
