//! However much of the log is lost and wherever the newest snapshot stands: the ledger's books are enough to go on from.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod memory;

use bytes::Bytes;
use flashsale_core::{Command, HoldStatus, Outcome, Position, State};
use flashsale_engine::adapters::sandbox::Sandbox;
use flashsale_engine::allocator::fold::Fold;
use flashsale_engine::allocator::takeover::take_over;
use flashsale_engine::audit::recover::{RecoverError, Recovery, recover};
use flashsale_engine::audit::verify::verify;
use flashsale_engine::ports::{Ledger, LogRecord, Snapshot};
use flashsale_engine::record::{Record, encode};
use memory::random::{records, run};
use memory::sale::*;
use memory::{MemoryLedger, MemoryLog, NOON};
use proptest::prelude::*;
use uuid::Uuid;

fn log_of(records: &[LogRecord]) -> std::sync::Arc<MemoryLog> {
    let log = MemoryLog::new();
    *log.records.lock().unwrap() = records.to_vec();
    log
}

/// The state after `count` records.
fn fold(records: &[LogRecord]) -> State {
    let mut fold = Fold::new(RUN, 0);
    for record in records {
        fold.record(record, &mut ()).unwrap();
    }
    fold.state().unwrap().clone()
}

async fn keep_snapshot(ledger: &MemoryLedger, records: &[LogRecord]) {
    let state = fold(records);
    let snapshot = Snapshot {
        generation: 0,
        next_offset: records.len() as u64,
        digest: state.digest(),
        state: postcard::to_stdvec(&state).unwrap().into(),
    };
    ledger.save_snapshot(&snapshot).await.unwrap();
}

/// What shoppers can still ask of a sale comes out as it would have: every request's retry, every hold's end.
fn behaves(mut recovered: State, mut undisturbed: State) {
    let at = |index| Position { generation: 9, offset: 0, index };
    let mut requests: Vec<_> = undisturbed.requests().collect();
    requests.sort();
    let holds: Vec<_> = undisturbed.holds().collect();
    let later = NOON + 120_000;
    let mut ask = |index: u32, command: &Command| {
        let ours = recovered.apply(at(index), later, command, &mut Vec::new());
        assert_eq!(ours, undisturbed.apply(at(index), later, command, &mut Vec::new()), "{command:?}");
        ours
    };
    for (place, (request, hold)) in (0..).zip(requests) {
        let held = holds[hold as usize];
        let again = Command::Reserve { request, subject: held.subject, item: held.item, wait: true };
        assert!(!matches!(ask(place, &again), Outcome::Refused(_)), "a told reservation is still known");
    }
    for (place, held) in (1_000..).zip(&holds) {
        ask(place, &Command::Cancel { hold: held.hold, subject: held.subject });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_decided_is_lost_with_a_log(
        records in records(),
        cuts in prop::collection::vec(1..9_usize, 1..5),
        left in any::<prop::sample::Index>(),
        kept in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let (ledger, decisions) = run(&records, &cuts);
        let left = left.index(records.len());
        futures_util::FutureExt::now_or_never(async {
            if let Some(kept) = kept {
                keep_snapshot(&ledger, &records[..=kept.index(records.len())]).await;
            }
        }).unwrap();
        let log = log_of(&records[..left]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let Recovery { first, report } = runtime.block_on(recover(&define(), Some(&*log), &ledger)).unwrap();
        let row = ledger.row();
        prop_assert_eq!(first.digest, row.digest);
        prop_assert_eq!(report.decided, records.len() as u64);
        prop_assert_eq!(report.log_whole_to + report.from_ledger, report.decided);
        let recovered: State = postcard::from_bytes(&first.state).unwrap();
        recovered.check_all().unwrap();
        let undisturbed = fold(&records);
        prop_assert_eq!(recovered.log_time(), undisturbed.log_time());
        prop_assert_eq!(recovered.phase(), undisturbed.phase());
        prop_assert_eq!(recovered.decisions().0, undisturbed.decisions().0);
        prop_assert!(decisions.len() == records.len());
        // An offer's time is given anew, and what follows an offer with it; a halt may have been the last that happened.
        let halted = undisturbed.halt().is_some();
        if !halted && !undisturbed.holds().any(|hold| matches!(hold.status, HoldStatus::Offered | HoldStatus::Waiting)) {
            behaves(recovered, undisturbed);
        }
    }
}

#[tokio::test]
async fn a_recovered_sale_goes_on_and_its_audit_passes() {
    let mut log = vec![bytes(&Record::Define(define())), opening()];
    log.extend((1..9).map(|number| batch(0, 9, number, vec![reserve_of(1, number), reserve_of(0, number)])));
    let record =
        |(offset, bytes): (u64, Vec<u8>)| LogRecord { offset, timestamp: NOON + offset as i64, bytes: bytes.into() };
    let records: Vec<_> = (0..).zip(log).map(record).collect();
    let (ledger, _) = run(&records, &[3]);
    let left = log_of(&records[..5]);
    let mut recovery = recover(&define(), Some(&*left), &ledger).await.unwrap();
    assert_eq!((recovery.report.log_whole_to, recovery.report.from_ledger), (3, 7), "in whole batches");
    recovery.first.reason = "ann: the log lost its tail".into();

    let next = MemoryLog::new();
    *next.id.lock().unwrap() = Uuid::from_u128(78);
    next.push(Bytes::from(encode(&Record::Continue(recovery.first)).unwrap()));
    let folder = tempfile::tempdir().unwrap();
    let provider = Sandbox::open(&folder.path().join("payments.db")).await.unwrap();
    let audit = |log: std::sync::Arc<MemoryLog>| {
        let (ledger, provider) = (&ledger, &provider);
        async move { verify(RUN, &[], &*log, ledger, provider).await.unwrap() }
    };
    let before = audit(next.clone()).await;
    assert_eq!((before.findings, before.generation), (vec![], 1), "also before any writer has taken it over");

    let seen = ledger.checkpoint().await.unwrap();
    let (mut writer, _) = take_over(&*next, &ledger, &ledger, &claim(2), &seen).await.unwrap().unwrap();
    next.push(batch(0, 10, 1, vec![reserve_of(1, 100)]));
    let prepared = writer.fold(&next.all()).unwrap().unwrap();
    ledger.commit(&prepared.batch).await.unwrap();
    let after = audit(next.clone()).await;
    assert_eq!((after.findings, after.generation, after.unreplayed), (vec![], 1, 10));
    assert_eq!(after.granted, 8 + 1, "a request is granted once, whatever it asks for");
    let rows = ledger.tables.lock().unwrap().holds.values().filter(|row| row.name.is_some()).count();
    assert_eq!(rows as u64, after.granted);
}

#[tokio::test]
async fn a_ledger_that_was_changed_by_hand_cannot_stand_for_a_lost_log() {
    let log = [bytes(&Record::Define(define())), opening(), batch(0, 9, 1, vec![reserve_of(1, 1)])];
    let record = |(offset, bytes): (u64, Vec<u8>)| LogRecord { offset, timestamp: NOON, bytes: bytes.into() };
    let records: Vec<_> = (0..).zip(log).map(record).collect();
    let (ledger, _) = run(&records, &[1]);
    ledger.tables.lock().unwrap().items.get_mut(&1).unwrap().sold = 7;
    let lost = recover(&define(), None, &ledger).await;
    assert!(matches!(lost, Err(RecoverError::Contradicts(_))), "{lost:?}");
}
