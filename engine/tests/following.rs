//! Processes that are not the writer: they hear of every decision once, in order, whatever they missed; and a writer
//! whose ledger forgot what was told comes to the same, or does not write.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod memory;

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use flashsale_core::Phase;
use flashsale_engine::allocator::gauges::Gauges;
use flashsale_engine::allocator::service::WriterError;
use flashsale_engine::gateway::refill::Refill;
use flashsale_engine::ports::{Cache, CacheWrite, StockPicture};
use flashsale_engine::publisher::answers::Answers;
use flashsale_engine::publisher::board::Board;
use flashsale_engine::publisher::decisions::Told;
use flashsale_engine::publisher::follower::Follower;
use flashsale_engine::record::{Committed, decode, encode};
use memory::TestClock;
use memory::engine::{Engine, World};
use memory::sale::*;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Another process: its board, its gauges, and one who waits for decisions in it.
struct Other {
    board: Arc<Board>,
    gauges: Arc<Gauges>,
    heard: mpsc::Receiver<Arc<Committed>>,
    stop: CancellationToken,
}

impl Other {
    fn start(world: &World) -> Self {
        let clock = Arc::new(TestClock::new());
        let (gauges, stop) = (Arc::new(Gauges::default()), CancellationToken::new());
        let board = Arc::new(Board::new(&frozen(), clock.clone()));
        let answers = Arc::new(Answers::new(board.clone(), Arc::clone(&gauges)));
        let heard = answers.subscribe();
        let (decisions, history) = (world.told.clone(), world.ledger.clone());
        let follower = Follower { decisions, history, answers, gauges: Arc::clone(&gauges), clock };
        tokio::spawn(follower.run(stop.clone()));
        Self { board, gauges, heard, stop }
    }

    /// Batches until everything below `offset` was heard; each once, in order, without a gap.
    async fn through(&mut self, offset: u64) -> Vec<u64> {
        let mut offsets = Vec::new();
        while self.board.through() < offset || !self.heard.is_empty() {
            let batch = timeout(Duration::from_secs(60), self.heard.recv()).await.expect("a decision").unwrap();
            offsets.extend(batch.decisions.iter().map(|decision| decision.offset));
        }
        assert!(offsets.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{offsets:?}");
        offsets
    }
}

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

#[tokio::test(start_paused = true)]
async fn a_fresh_process_knows_the_books_and_hears_what_comes_after_them() {
    let world = World::new();
    let mut engine = open(&world).await;
    let first = world.log.push(batch(0, 9, 1, vec![reserve(1), reserve(2)]));
    engine.through(first + 1).await;

    let mut other = Other::start(&world);
    until("the grants are known", || other.board.granted(request(1)).is_some()).await;
    assert!(other.board.hold(1).is_some() && other.gauges.seated());
    let second = world.log.push(batch(0, 9, 2, vec![reserve(3)]));
    engine.through(second + 1).await;
    let heard = other.through(second + 1).await;
    assert!(heard.first().is_none_or(|offset| *offset > first) && heard.last() >= Some(&second), "{heard:?}");
    assert_eq!((other.board.phase(), other.board.granted(request(3))), (Phase::Live, Some(2)));
    until("a picture came", || other.board.fresh()).await;
    until("the sale's view came", || other.gauges.sale.load().as_ref().is_some_and(|sale| sale.armed)).await;
    assert_eq!(other.gauges.standing().epoch, 1);
    other.stop.cancel();
    engine.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_decision_that_never_reached_the_log_is_read_from_its_audit_row() {
    let world = World::new();
    let engine = open(&world).await;
    let mut other = Other::start(&world);
    until("it follows", || other.board.through() > 2).await;
    let known = other.board.through();
    // The writer dies after a commit and before its publication; the decision is in the ledger alone.
    engine.kill();
    let row = world.ledger.row();
    let lost = world.log.push(batch(0, 9, 1, vec![reserve(1)]));
    let mut next = world.start(2);
    next.through(lost + 1).await;
    until("published", || world.ledger.row().published_through > lost).await;
    let heard = other.through(lost + 1).await;
    assert!(heard.first().is_none_or(|first| *first >= known.min(row.next_offset)), "{heard:?} after {known}");
    assert_eq!(other.board.granted(request(1)), Some(0));
    next.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn without_decisions_the_queue_ages_and_flags_are_void() {
    let world = World::new();
    let engine = open(&world).await;
    let other = Other::start(&world);
    until("it follows", || other.board.fresh()).await;
    let clock = TestClock::new();
    let now = |clock: &TestClock| flashsale_engine::ports::Clock::now(clock);
    assert!(other.gauges.queue_age_ms(now(&clock)) < 100);
    engine.kill();
    sleep(Duration::from_secs(2)).await;
    assert!(!other.board.fresh(), "no picture came for a second");
    assert!(other.gauges.queue_age_ms(now(&clock)) > 1_000);
}

#[tokio::test(start_paused = true)]
async fn what_is_published_is_told_and_an_absent_log_of_decisions_holds_the_mark_back() {
    let world = World::new();
    world.told.away.store(true, SeqCst);
    let mut engine = open(&world).await;
    let granted = world.log.push(batch(0, 9, 1, vec![reserve(1)]));
    engine.through(granted + 1).await;
    until("the event is out", || world.events.types().len() > 1).await;
    sleep(Duration::from_secs(5)).await;
    assert_eq!(world.ledger.row().published_through, 0, "nobody else has heard of it");
    world.told.away.store(false, SeqCst);
    until("published", || world.ledger.row().published_through > granted).await;
    let told: Vec<Told> = world.told.all().iter().map(|record| decode(&record.bytes).unwrap()).collect();
    let offsets: Vec<u64> = told.iter().map(|told| told.committed.next_offset).collect();
    assert!(offsets.is_sorted() && offsets.last() > Some(&granted), "{offsets:?}");
    engine.stop().await.unwrap();
}

/// A ledger put back to an older row: what a promotion of a lagging standby leaves.
async fn forgotten(world: &World) -> u64 {
    let mut engine = open(world).await;
    let kept = world.ledger.copy();
    let granted = world.log.push(batch(0, 9, 1, vec![reserve(1)]));
    engine.through(granted + 1).await;
    until("told", || world.ledger.row().published_through > granted).await;
    engine.kill();
    world.ledger.put_back(kept);
    assert!(world.ledger.row().next_offset <= granted);
    granted
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_forgot_comes_to_the_same_before_it_reopens() {
    let world = World::new();
    let granted = forgotten(&world).await;
    let mut engine = world.start(2);
    engine.through(granted + 1).await;
    until("it reopened", || engine.gauges.seated()).await;
    assert!(world.ledger.row().next_offset > granted);
    engine.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_comes_to_something_else_than_was_told_does_not_write() {
    let world = World::new();
    let granted = forgotten(&world).await;
    // Somebody was told another digest for the same place.
    let last = world.told.all().iter().rev().find_map(|record| {
        let told: Told = decode(&record.bytes).unwrap();
        (told.committed.next_offset > granted).then_some(told)
    });
    let mut told = last.unwrap();
    told.committed.digest ^= 1;
    world.told.push(encode(&told).unwrap());
    let engine = world.start(2);
    let ended = engine.writer.await.unwrap();
    assert!(matches!(&ended, Err(error @ WriterError::Step(_)) if error.is_damage()), "{ended:?}");
    assert!(world.ledger.row().next_offset < told.committed.next_offset);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_no_decision_has_reached_answers_from_the_cache_and_one_asks_for_all() {
    let (cache, clock) = (Arc::new(memory::MemoryCache::default()), Arc::new(TestClock::new()));
    let board = Board::new(&frozen(), clock.clone());
    let refill = Refill::new(cache.clone(), clock, 2);
    let (page, cached) = refill.page(&board, 1).await.unwrap();
    assert_eq!((page.item.sold, cached), (0, false), "an empty cache has nothing newer");
    let item = flashsale_engine::record::ItemNotice { sold: 7, ..page.item };
    cache.write(&[CacheWrite::Stock(StockPicture { generation: 0, offset: 40, as_of: 1, item })]).await.unwrap();
    sleep(Duration::from_millis(250)).await;
    let asked = cache.reads.load(SeqCst);
    let many = futures_util::future::join_all((0..50).map(|_| refill.page(&board, 1))).await;
    assert!(many.iter().flatten().all(|(page, cached)| page.item.sold == 7 && page.offset == 41 && *cached));
    assert_eq!(cache.reads.load(SeqCst), asked + 1);
    assert!(!refill.page(&board, 0).await.unwrap().1, "the other item");
    cache.away.store(true, SeqCst);
    sleep(Duration::from_millis(250)).await;
    let (page, cached) = refill.page(&board, 1).await.unwrap();
    assert_eq!((page.item.sold, cached), (0, false), "what memory knows is still an answer");
}
