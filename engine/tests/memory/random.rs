//! Logs of random commands on the small sale, and a writer that folds them.

use flashsale_core::{Command, HaltCause, HaltScope};
use flashsale_engine::allocator::fold::Fold;
use flashsale_engine::allocator::step::{Allocator, Identity};
use flashsale_engine::ports::{CommitEnd, Ledger, LogRecord};
use flashsale_engine::record::{Decision, Entry, Record};
use proptest::prelude::*;
use uuid::Uuid;

use super::sale::*;
use super::{MemoryLedger, NOON};

fn commands() -> impl Strategy<Value = Entry> {
    let (hold, who, number) = (0..12_u32, 0..8_u64, 0..6_u64);
    let any = (0..16_u8, hold, who, number, any::<bool>());
    any.prop_map(|(kind, hold, who, number, flag)| {
        let (subject, payment, change) = (subject(who), payment(number + 10 * who), change(100 + number + 10 * who));
        let request = request(who * 10 + number);
        let item = u16::from(flag);
        let command = match kind {
            0..=4 => Command::Reserve { request, subject, item, wait: number % 2 == 0 },
            5 => Command::Cancel { hold, subject },
            6 => Command::Claim { hold, subject },
            7 => Command::PayStart { hold, subject, payment },
            8 => Command::Confirm { hold, subject, payment },
            9 if flag => Command::Captured { payment },
            9 => Command::CaptureFailed { payment },
            10 => Command::Voided { payment },
            11 if flag => Command::RefundPlan { hold, restock: number % 2 == 0 },
            11 => Command::RefundConfirmed { hold },
            12 => Command::RefundSent { hold },
            13 if flag => Command::Halt { change, scope: HaltScope::All, cause: HaltCause::Operator },
            13 => Command::Resume { change },
            14 if flag => Command::Adjust { change, item, by: i32::try_from(number).unwrap() - 2 },
            14 => Command::Shortage { change, item, units: 1 },
            _ => Command::Tick,
        };
        entry(command, &format!("shopper-{who}"))
    })
}

/// Records of a few commands each, with the time that passes before each.
pub fn records() -> impl Strategy<Value = Vec<LogRecord>> {
    let record = (prop::collection::vec(commands(), 0..6), 0..700_i64);
    prop::collection::vec(record, 1..60).prop_map(|records| {
        let mut log = vec![(bytes(&Record::Define(define())), 0), (opening(), 1)];
        let batches = (1..).zip(records).map(|(number, (entries, gap))| (batch(3, 3, number, entries), gap));
        log.extend(batches);
        let mut timestamp = NOON;
        let stamp = |(offset, (bytes, gap)): (u64, (Vec<u8>, i64))| {
            timestamp += gap;
            LogRecord { offset, timestamp, bytes: bytes.into() }
        };
        (0..).zip(log).map(stamp).collect()
    })
}

/// Folds and commits the records in memory, cut after as many as `cuts` say, round and round.
pub fn run(records: &[LogRecord], cuts: &[usize]) -> (MemoryLedger, Vec<Decision>) {
    let ledger = MemoryLedger::default();
    let decisions = futures_util::FutureExt::now_or_never(run_on(&ledger, records, cuts)).unwrap();
    (ledger, decisions)
}

async fn run_on(ledger: &dyn Ledger, records: &[LogRecord], cuts: &[usize]) -> Vec<Decision> {
    let writer = Uuid::from_u128(1);
    let row = ledger.take_over(0, writer).await.unwrap().expect("nobody else");
    let me = Identity { log: Uuid::from_u128(77), epoch: 1, writer, boot: 1 };
    let mut allocator = Allocator::new(me, Fold::new(RUN, 0), &row);
    let (mut decisions, mut left, mut cuts) = (Vec::new(), records, cuts.iter().cycle());
    while !left.is_empty() {
        let (part, rest) = left.split_at((*cuts.next().unwrap()).min(left.len()));
        let prepared = allocator.fold(part).unwrap().unwrap();
        assert_eq!(ledger.commit(&prepared.batch).await.unwrap(), CommitEnd::Committed);
        decisions.extend(prepared.committed.decisions.clone());
        left = rest;
    }
    allocator.state().unwrap().check_all().unwrap();
    decisions
}
