//! Start, restart and takeover: which memory a writer begins with, and when it refuses to begin.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod memory;

use std::sync::Arc;

use flashsale_core::{Command, RULES_VERSION};
use flashsale_engine::allocator::fold::{Fold, StepError};
use flashsale_engine::allocator::rebuild::{RebuildError, replay};
use flashsale_engine::allocator::step::Allocator;
use flashsale_engine::allocator::takeover::{own_batch, take_over};
use flashsale_engine::ports::{CommitEnd, Ledger, Log, LogRecord, Snapshot};
use flashsale_engine::record::{Continue, Record};
use memory::sale::*;
use memory::{MemoryLedger, MemoryLog};

/// A log, a ledger, and writers that are driven step by step.
struct World {
    log: Arc<MemoryLog>,
    ledger: MemoryLedger,
}

impl World {
    fn new() -> Self {
        Self { log: MemoryLog::new(), ledger: MemoryLedger::default() }
    }

    async fn start(&self, number: u128) -> Result<Allocator, RebuildError> {
        let seen = self.ledger.checkpoint().await?;
        let seat = take_over(&*self.log, &self.ledger, &self.ledger, &claim(number), &seen).await?;
        Ok(seat.expect("nobody else takes over").0)
    }

    /// Folds and commits what the log holds, `together` records at a time, up to `to`.
    async fn work(&self, writer: &mut Allocator, together: usize, to: u64) {
        while writer.next() < to {
            let limit = together.min(usize::try_from(to - writer.next()).unwrap());
            let records = self.log.read(writer.next(), limit, std::time::Duration::ZERO).await.unwrap();
            let prepared = writer.fold(&records).unwrap().unwrap();
            assert_eq!(self.ledger.commit(&prepared.batch).await.unwrap(), CommitEnd::Committed);
        }
    }

    async fn end(&self) -> u64 {
        self.log.end().await.unwrap()
    }

    /// A sale of a hundred holds, some cancelled; a writer that has decided all of it.
    async fn busy() -> (Self, Allocator) {
        let world = Self::new();
        let mut writer = world.start(1).await.unwrap();
        world.log.push(opening());
        for number in 1..=100 {
            world.log.push(batch(0, 9, number, vec![reserve_of(1, number), reserve(number)]));
        }
        let cancel = Command::Cancel { hold: 0, subject: subject(1) };
        world.log.push(batch(0, 9, 101, vec![entry(cancel, "")]));
        world.work(&mut writer, 7, world.end().await).await;
        (world, writer)
    }

    /// What a fold of the whole log comes to.
    async fn undisturbed(&self, to: u64) -> u64 {
        let mut fold = Fold::new(RUN, 0);
        replay(&*self.log, &mut fold, to).await.unwrap();
        fold.digest()
    }

    async fn damaged(&self) -> String {
        match self.start(9).await {
            Err(error @ RebuildError::Step(StepError::Damaged(_))) => {
                assert!(error.is_damage());
                error.to_string()
            }
            other => panic!("{other:?}"),
        }
    }
}

fn snapshot(writer: &Allocator) -> Snapshot {
    let state = writer.state().unwrap();
    Snapshot {
        generation: 0,
        next_offset: writer.next(),
        digest: state.digest(),
        state: postcard::to_stdvec(state).unwrap().into(),
    }
}

#[tokio::test]
async fn a_restart_comes_to_the_same_digest_from_the_log_alone_and_from_a_snapshot() {
    let (world, mut writer) = World::busy().await;
    let digest = world.ledger.row().digest;
    let again = world.start(2).await.unwrap();
    assert_eq!(again.state().unwrap().digest(), digest, "from the log alone");
    assert_eq!(again.state(), writer.state());

    world.ledger.save_snapshot(&snapshot(&writer)).await.unwrap();
    world.log.push(batch(0, 9, 102, vec![reserve_of(1, 777)]));
    let me = writer.identity();
    world.ledger.change_row(|row| (row.epoch, row.writer) = (me.epoch, me.writer));
    let takeover = world.end().await - 1;
    world.work(&mut writer, 3, takeover - 1).await;
    let third = world.start(3).await.unwrap();
    assert_eq!(third.state().unwrap().digest(), world.ledger.row().digest, "from the snapshot and the log after it");
}

#[tokio::test]
async fn a_snapshot_that_is_not_what_it_says_costs_time_and_not_the_sale() {
    let (world, writer) = World::busy().await;
    let good = snapshot(&writer);
    let half = Snapshot { state: good.state.slice(..good.state.len() / 2), ..good.clone() };
    let other = Snapshot { digest: good.digest ^ 1, ..good.clone() };
    let mut bytes = good.state.to_vec();
    bytes[good.state.len() / 3] ^= 1;
    let flipped = Snapshot { state: bytes.into(), ..good.clone() };
    for bad in [half, other, flipped] {
        world.ledger.tables.lock().unwrap().snapshots = vec![bad];
        assert_eq!(world.start(2).await.unwrap().state().unwrap().digest(), good.digest);
    }
}

#[tokio::test]
async fn a_ledger_behind_the_log_by_any_amount_folds_on() {
    let (world, _) = World::busy().await;
    let digest = world.ledger.row().digest;
    let end = world.ledger.row().next_offset;
    // A power cut took the ledger's tail, epochs included: only the first batch is left.
    let behind = World { log: Arc::clone(&world.log), ledger: MemoryLedger::default() };
    for round in 0..3 {
        world.log.push(bytes(&own_batch(50 + round, 1, Command::Takeover { epoch: 2 + round })));
    }
    let mut writer = behind.start(4).await.unwrap();
    assert_eq!(writer.identity().epoch, 5, "above every takeover that the log knows of");
    behind.work(&mut writer, 11, end).await;
    assert_eq!(behind.ledger.row().digest, digest);
    behind.work(&mut writer, 11, behind.end().await).await;
    assert!(writer.leads());
}

#[tokio::test]
async fn a_log_that_lost_its_tail_is_not_folded_even_if_it_grew_again() {
    let (world, _) = World::busy().await;
    world.log.cut(90);
    assert!(world.damaged().await.contains("ends at offset 90"));
    for number in 0..50 {
        world.log.push(batch(1, 1, number + 1, vec![reserve_of(1, 5_000 + number)]));
    }
    assert!(world.damaged().await.contains("is another than was folded"));
}

#[tokio::test]
async fn a_log_made_again_or_another_runs_ledger_is_not_folded() {
    let (world, _) = World::busy().await;
    let right = std::mem::replace(&mut *world.log.id.lock().unwrap(), uuid::Uuid::from_u128(78));
    assert!(world.damaged().await.contains("this is log"));
    *world.log.id.lock().unwrap() = right;
    world.ledger.change_row(|row| row.run = Some(uuid::Uuid::from_u128(3)));
    assert!(world.damaged().await.contains("holds run"));
}

#[tokio::test]
async fn another_rules_version_refuses_even_with_a_snapshot() {
    let (world, writer) = World::busy().await;
    world.ledger.save_snapshot(&snapshot(&writer)).await.unwrap();
    let mut newer = define();
    newer.rules_version = RULES_VERSION + 1;
    world.log.records.lock().unwrap()[0].bytes = bytes(&Record::Define(newer)).into();
    let error = world.start(2).await.unwrap_err();
    assert!(matches!(error, RebuildError::Step(StepError::Rules { .. })), "{error}");
}

#[tokio::test]
async fn a_digest_that_differs_from_the_ledgers_is_damage() {
    let (world, _) = World::busy().await;
    world.ledger.change_row(|row| row.digest ^= 1);
    let error = world.start(2).await.unwrap_err();
    assert!(matches!(error, RebuildError::Diverged(_)) && error.is_damage(), "{error}");
}

#[tokio::test]
async fn the_stale_writer_changes_no_row() {
    let (world, mut old) = World::busy().await;
    world.log.push(batch(0, 9, 102, vec![reserve_of(1, 900)]));
    let records = world.log.read(old.next(), 1, std::time::Duration::ZERO).await.unwrap();
    let stale = old.fold(&records).unwrap().unwrap();
    let mut new = world.start(2).await.unwrap();
    let before = world.ledger.row();
    let CommitEnd::Fenced(row) = world.ledger.commit(&stale.batch).await.unwrap() else { panic!("not fenced") };
    assert_eq!(*row, before);
    world.work(&mut new, 10, world.end().await).await;
    assert_eq!(world.ledger.row().digest, world.undisturbed(world.end().await).await);
    assert!(new.leads());
    let rest = world.log.read(old.next(), 10, std::time::Duration::ZERO).await.unwrap();
    assert!(matches!(old.fold(&rest), Err(StepError::Superseded { mine: 1, found: 2 })), "the log tells it, too");
}

#[tokio::test]
async fn of_two_that_start_at_once_one_loses_and_a_second_define_is_harmless() {
    let world = World::new();
    let seen = world.ledger.checkpoint().await.unwrap();
    let first = take_over(&*world.log, &world.ledger, &world.ledger, &claim(1), &seen).await.unwrap();
    let second = take_over(&*world.log, &world.ledger, &world.ledger, &claim(2), &seen).await.unwrap();
    assert!(second.is_none());
    world.log.push(bytes(&Record::Define(define())));
    let mut writer = first.unwrap().0;
    world.work(&mut writer, 10, world.end().await).await;
    assert_eq!(writer.state().unwrap().items().count(), 2);
}

#[tokio::test]
async fn a_further_generation_goes_on_from_the_ledgers_own_digest_and_no_other() {
    let (world, writer) = World::busy().await;
    let state = writer.state().unwrap();
    let further = |digest| Continue {
        run: RUN,
        generation: 1,
        digest,
        state: postcard::to_stdvec(state).unwrap(),
        reason: "ann, ben: the log lost its tail".into(),
    };
    world.log.cut(0);
    *world.log.id.lock().unwrap() = uuid::Uuid::from_u128(78);
    world.log.push(bytes(&Record::Continue(further(state.digest() ^ 1))));
    world.damaged().await;

    world.log.cut(0);
    world.log.push(bytes(&Record::Continue(further(state.digest()))));
    let mut next = world.start(2).await.unwrap();
    world.log.push(batch(0, 9, 102, vec![reserve_of(1, 900)]));
    world.work(&mut next, 10, world.end().await).await;
    let row = world.ledger.row();
    assert_eq!((row.generation, row.next_offset, row.log), (1, world.end().await, uuid::Uuid::from_u128(78)));
    assert_eq!(world.start(3).await.unwrap().state().unwrap().digest(), row.digest, "and restarts in it");
    let LogRecord { offset, .. } = world.log.all().pop().unwrap();
    assert!(offset < 10, "its offsets begin anew");
}
