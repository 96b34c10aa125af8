//! What the synchronous heart does with records, in memory and without time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod memory;

use flashsale_core::{Command, HaltCause, HaltScope, HoldChange, HoldStatus, Outcome, Phase, Refusal};
use flashsale_engine::allocator::fold::{Fold, StepError};
use flashsale_engine::allocator::step::{Allocator, BATCH_RECORDS, Identity, Prepared};
use flashsale_engine::allocator::takeover::own_batch;
use flashsale_engine::ports::LogRecord;
use flashsale_engine::record::{BatchId, Committed, Define, Record, decode};
use memory::sale::*;
use memory::{MemoryLedger, NOON};
use uuid::Uuid;

const BOOT: u64 = 500;

fn allocator(epoch: u64) -> Allocator {
    let me = Identity { log: Uuid::from_u128(77), epoch, writer: Uuid::from_u128(1), boot: BOOT };
    Allocator::new(me, Fold::new(RUN, 0), &MemoryLedger::default().row())
}

fn log(payloads: Vec<Vec<u8>>) -> Vec<LogRecord> {
    let record = |(offset, bytes): (u64, Vec<u8>)| LogRecord {
        offset,
        timestamp: NOON + i64::try_from(offset).unwrap(),
        bytes: bytes.into(),
    };
    (0..).zip(payloads).map(record).collect()
}

fn fold(allocator: &mut Allocator, records: &[LogRecord]) -> Prepared {
    allocator.fold(records).unwrap().expect("there are records")
}

fn opened(rest: Vec<Vec<u8>>) -> Vec<LogRecord> {
    log([vec![bytes(&Record::Define(define())), opening()], rest].concat())
}

#[test]
fn a_batch_carries_all_that_the_ledger_and_the_world_need() {
    let mut writer = allocator(7);
    let records = opened(vec![batch(0, 9, 1, vec![reserve(1), reserve(2), reserve(1)])]);
    let prepared = fold(&mut writer, &records);

    let Committed { epoch, next_offset, digest, chain, decisions } = &*prepared.committed;
    assert_eq!((*epoch, *next_offset, decisions.len()), (7, 3, 3));
    assert_eq!((*digest, *chain), (prepared.batch.digest, prepared.batch.chain));
    assert_eq!(decode::<Committed>(&prepared.batch.committed).unwrap(), *prepared.committed, "the outbox is the same");

    let granted = &decisions[2];
    assert_eq!(granted.batch, Some(BatchId { gateway: 0, boot: 9, number: 1 }));
    let held = |outcome: &Outcome| match *outcome {
        Outcome::Granted { hold, replayed, .. } => (hold, replayed),
        other => panic!("{other:?}"),
    };
    assert_eq!(granted.outcomes.iter().map(held).collect::<Vec<_>>(), [(0, false), (1, false), (0, true)]);
    let notice = &granted.holds[1];
    assert_eq!((notice.index, notice.hold, notice.change), (1, 1, HoldChange::Reserved));
    assert_eq!((notice.name.as_deref(), notice.request), (Some("shopper-2"), Some(request(2))));
    assert_eq!(granted.items.iter().map(|item| (item.item, item.held)).collect::<Vec<_>>(), [(0, 2)]);

    let rows = &prepared.batch.holds;
    assert_eq!(
        rows.iter().map(|row| (row.view.hold, row.view.status)).collect::<Vec<_>>(),
        [(0, HoldStatus::Held), (1, HoldStatus::Held)]
    );
    assert_eq!((rows[0].name.as_deref(), rows[0].request), (Some("shopper-1"), Some(request(1))));
    assert_eq!(prepared.batch.items.len(), 2, "the first batch makes every row");
    assert!(prepared.batch.items.iter().all(|item| item.before.is_none()));
}

#[test]
fn the_next_batch_says_how_the_rows_stood_before() {
    let mut writer = allocator(1);
    let records = opened(vec![batch(0, 9, 1, vec![reserve(1)]), batch(0, 9, 2, vec![reserve(2)])]);
    let first = fold(&mut writer, &records[..3]);
    let second = fold(&mut writer, &records[3..]);
    let [change] = second.batch.items[..] else { panic!("one item changed") };
    assert_eq!(change.before, first.batch.items.iter().map(|item| Some(item.after)).next().unwrap());
    assert_eq!((change.before.unwrap().held, change.after.held), (1, 2));
    assert_eq!((second.batch.first_offset, second.batch.digest_before), (3, first.batch.digest));
    assert_ne!(second.batch.chain, first.batch.chain);
}

#[test]
fn a_repeated_batch_is_dropped_and_a_late_one_too() {
    let once = opened(vec![batch(0, 9, 2, vec![reserve(1)])]);
    let again = opened(vec![
        batch(0, 9, 2, vec![reserve(1)]),
        batch(0, 9, 2, vec![reserve(2)]),
        batch(0, 9, 1, vec![reserve(3)]),
    ]);
    let (mut one, mut other) = (allocator(1), allocator(1));
    fold(&mut one, &once);
    let prepared = fold(&mut other, &again);
    assert_eq!(prepared.committed.digest, one.state().unwrap().digest());
    for repeated in &prepared.committed.decisions[3..] {
        assert!(repeated.repeated && repeated.outcomes.is_empty() && repeated.holds.is_empty());
        assert!(repeated.batch.is_some(), "its gateway is told that it was skipped");
    }
}

#[test]
fn what_is_not_a_batch_is_rejected_by_everyone_and_the_sale_goes_on() {
    let good = batch(0, 9, 1, vec![reserve(1)]);
    let mut cut = good.clone();
    cut.pop();
    let long = [good.clone(), vec![0]].concat();
    let foreign = Define { run: Uuid::from_u128(4), rules_version: 99, ..define() };
    let poison = vec![
        vec![],
        vec![9, 9, 9],
        vec![1],
        vec![255; 100],
        cut,
        long,
        bytes(&Record::Define(foreign)),
        bytes(&Record::Define(define())),
    ];
    let count = poison.len();
    let records = opened([poison, vec![good]].concat());
    let (mut one, mut other) = (allocator(1), allocator(1));
    let prepared = fold(&mut one, &records);
    for record in &records {
        fold(&mut other, std::slice::from_ref(record));
    }
    assert_eq!(prepared.committed.digest, other.state().unwrap().digest(), "however it is cut into batches");
    let decisions = &prepared.committed.decisions;
    assert!(decisions[2..2 + count].iter().all(|decision| decision.batch.is_none() && decision.outcomes.is_empty()));
    assert!(matches!(decisions[2 + count].outcomes[..], [Outcome::Granted { .. }]));
}

#[test]
fn every_mutilated_record_is_folded_or_rejected_never_a_crash() {
    let good = batch(3, 9, 5, vec![reserve(1), reserve_of(1, 2), entry(Command::Takeover { epoch: 1 }, "")]);
    for place in 0..good.len() {
        for bit in 0..8 {
            let mut bad = good.clone();
            bad[place] ^= 1 << bit;
            let mut writer = allocator(40);
            let records = opened(vec![bad, batch(0, 9, 1, vec![reserve(7)])]);
            match writer.fold(&records) {
                Ok(Some(prepared)) => assert_eq!(prepared.committed.decisions.len(), 4),
                // A takeover is the one thing that stops a writer; a flipped bit may make an epoch a little higher.
                Err(StepError::Superseded { found, .. }) => assert!(found > 40 && found <= 1_040),
                other => panic!("byte {place}, bit {bit}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_log_that_is_not_this_sales_is_not_folded() {
    let first = |record: Vec<u8>| allocator(1).fold(&log(vec![record])).unwrap_err();
    let foreign = Define { run: Uuid::from_u128(4), ..define() };
    let newer = Define { rules_version: 99, ..define() };
    assert!(matches!(first(bytes(&Record::Define(foreign))), StepError::Damaged(_)));
    assert_eq!(first(bytes(&Record::Define(newer))), StepError::Rules { found: 99 });
    assert!(matches!(first(opening()), StepError::Damaged(_)), "the first record defines the sale");

    let mut gap = opened(vec![batch(0, 9, 1, vec![reserve(1)])]);
    gap.remove(1);
    assert!(matches!(allocator(1).fold(&gap), Err(StepError::Damaged(_))));
}

#[test]
fn a_takeover_above_my_epoch_stops_me_before_anything_is_committed() {
    let takeover = |boot, epoch| bytes(&own_batch(boot, 1, Command::Takeover { epoch }));
    let fold = |epoch, takeovers: Vec<Vec<u8>>| allocator(epoch).fold(&opened(takeovers)).map(|_| ());
    assert_eq!(fold(5, vec![takeover(1, 6)]), Err(StepError::Superseded { mine: 5, found: 6 }));
    assert_eq!(fold(5, vec![takeover(1, 4), takeover(BOOT, 5)]), Ok(()), "who came before is history");
    assert_eq!(fold(5, vec![takeover(1, 5), takeover(BOOT, 5)]), Ok(()), "two ledgers: the later one leads");
    let later = fold(5, vec![takeover(BOOT, 5), takeover(1, 5)]);
    assert_eq!(later, Err(StepError::Superseded { mine: 5, found: 5 }));
    assert_eq!(fold(5, vec![takeover(1, u64::MAX)]), Ok(()), "no writer's epoch rises like that");
}

#[test]
fn phases_and_signs_of_life_carry_every_item() {
    let halt = Command::Halt { change: change(2), scope: HaltScope::Reserve, cause: HaltCause::Operator };
    let tick = bytes(&own_batch(BOOT, 1, Command::Tick));
    let quiet = batch(0, 9, 1, vec![entry(Command::Tally { refusals: vec![] }, "")]);
    let mut writer = allocator(1);
    let both = vec![entry(halt, "ann: odd numbers"), entry(Command::Resume { change: change(3) }, "ann: fine")];
    let records = opened(vec![batch(BatchId::OPERATOR, 1, 2, both), tick, quiet]);
    let decisions = &fold(&mut writer, &records).committed.decisions.clone();
    let phases: Vec<_> = decisions[2].sale.iter().map(|notice| (notice.index, notice.from, notice.to)).collect();
    assert_eq!(phases, [(0, Phase::Live, Phase::Halted), (1, Phase::Halted, Phase::Live)]);
    assert_eq!(decisions[2].sale[0].words, "ann: odd numbers");
    let items = decisions.iter().map(|decision| decision.items.len()).collect::<Vec<_>>();
    assert_eq!(items, [2, 2, 2, 2, 0], "begin, opening, halt, tick: all; a tally: none");

    let late = LogRecord { timestamp: NOON + 300, ..log(vec![vec![]; 6]).pop().unwrap() };
    let decisions = &fold(&mut writer, &[late]).committed.decisions.clone();
    assert_eq!(decisions[0].items.len(), 2, "and so does whatever comes 250 ms after the last picture");
}

#[test]
fn orders_keep_their_place_and_a_confirmed_row_its_payment() {
    let mut writer = allocator(1);
    let start = Command::PayStart { hold: 0, subject: subject(1), payment: payment(1) };
    let confirm = Command::Confirm { hold: 0, subject: subject(1), payment: payment(1) };
    let pay = vec![entry(start, ""), entry(confirm, "")];
    let records = opened(vec![batch(0, 9, 1, vec![reserve(1)]), batch(0, 9, 2, pay)]);
    fold(&mut writer, &records[..3]);
    let prepared = fold(&mut writer, &records[3..]);
    let [row] = &prepared.batch.holds[..] else { panic!("one hold moved on") };
    let at = row.confirmed_at.unwrap();
    assert_eq!((at.generation, at.offset, at.index), (0, 3, 1));
    assert_eq!((row.view.status, row.view.payment), (HoldStatus::Confirmed, Some(0)));
    assert_eq!((row.name.as_deref(), row.request), (None, None), "written when the row was made");
    assert_eq!(prepared.batch.payments.len(), 1);
}

#[test]
fn a_late_payments_own_hold_has_a_name_and_a_parent_in_the_ledger() {
    let confirm_as = |words: &str| {
        let mut writer = allocator(1);
        let start = Command::PayStart { hold: 0, subject: subject(1), payment: payment(1) };
        let confirm = Command::Confirm { hold: 0, subject: subject(1), payment: payment(1) };
        let tick = |number| bytes(&own_batch(BOOT, number, Command::Tick));
        let before = batch(0, 9, 1, vec![reserve(1), entry(start, "")]);
        let late = batch(0, 9, 2, vec![entry(confirm, words)]);
        let mut records = opened(vec![before, tick(1), tick(2), late]);
        for (place, record) in records.iter_mut().enumerate().skip(3) {
            record.timestamp = NOON + 1_000 * i64::try_from(place).unwrap();
        }
        fold(&mut writer, &records[..5]);
        let prepared = fold(&mut writer, &records[5..]);
        let [row] = &prepared.batch.holds[..] else { panic!("{:?}", prepared.batch.holds) };
        assert_eq!((row.view.hold, row.view.parent, row.view.status), (1, Some(0), HoldStatus::Confirmed));
        assert!(row.confirmed_at.is_some() && row.request.is_none());
        let changes: Vec<_> = prepared.committed.decisions[0].holds.iter().map(|notice| notice.change).collect();
        assert_eq!(changes, [HoldChange::Reserved, HoldChange::Confirmed]);
        row.name.clone().expect("a new row has a name")
    };
    assert_eq!(confirm_as("shopper-1"), "shopper-1");
    assert_eq!(confirm_as(""), flashsale_engine::id::hex(&subject(1).0), "at least the key tells whose it is");
}

#[test]
fn refusals_change_no_row_and_batches_are_bounded() {
    let mut writer = allocator(1);
    let winners = batch(0, 9, 1, (1..=3).map(reserve).collect());
    let loser = |number| batch(0, 9, 2 + number, vec![reserve(100 + number)]);
    let losers: Vec<_> = (0..BATCH_RECORDS as u64).map(loser).collect();
    let records = opened([vec![winners], losers].concat());
    fold(&mut writer, &records[..3]);
    let lost = fold(&mut writer, &records[3..4]);
    assert_eq!(lost.committed.decisions[0].outcomes, [Outcome::Refused(Refusal::AllHeld)]);
    assert!(lost.batch.holds.is_empty() && lost.batch.items.is_empty());
    for record in &records[4..] {
        assert!(!writer.is_full());
        writer.take(record.clone()).unwrap();
    }
    let more = log(vec![vec![]; records.len() + 1]).pop().unwrap();
    writer.take(more).unwrap();
    assert!(writer.is_full());
}
