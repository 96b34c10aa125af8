//! Whatever is asked and however the log is cut into batches: the ledger's rows add up to the digest, and the
//! decisions are the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod memory;

use flashsale_core::digest::{hold_word, item_word, payment_word};
use flashsale_engine::ports::LogRecord;
use flashsale_engine::record::{BatchId, Record};
use memory::random::{records, run};
use memory::sale::*;
use memory::{MemoryLedger, NOON};
use proptest::prelude::*;

fn sum(ledger: &MemoryLedger) -> u64 {
    let tables = ledger.tables.lock().unwrap();
    let items = tables.items.values();
    let items = items.map(|row| item_word(row.item, row.stock, row.shortage, row.held, row.sold, row.waiting));
    let holds = tables.holds.values().map(|row| hold_word(&row.view));
    let payments = tables.payments.values().map(payment_word);
    items.chain(holds).chain(payments).fold(0, u64::wrapping_add)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]

    #[test]
    fn rows_add_up_to_the_digest_however_the_log_is_cut(
        records in records(),
        cuts in prop::collection::vec(1..9_usize, 1..5),
    ) {
        let (cut, decisions) = run(&records, &cuts);
        prop_assert_eq!(sum(&cut), cut.row().digest);
        let (whole, same) = run(&records, &[records.len()]);
        prop_assert_eq!(whole.row().digest, cut.row().digest);
        prop_assert_eq!(decisions, same);
        let tables = cut.tables.lock().unwrap();
        for row in tables.holds.values() {
            prop_assert!(row.name.as_ref().is_some_and(|name| name.starts_with("shopper-")));
        }
    }

    #[test]
    fn any_bytes_are_folded_or_rejected(payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 1..20)) {
        let log = [vec![bytes(&Record::Define(define())), opening()], payloads].concat();
        let record = |(offset, bytes): (u64, Vec<u8>)| LogRecord { offset, timestamp: NOON, bytes: bytes.into() };
        let records: Vec<_> = (0..).zip(log).map(record).collect();
        let (_, decisions) = run(&records, &[3]);
        prop_assert_eq!(decisions.len(), records.len());
        prop_assert_eq!(decisions[1].batch.map(|id| id.gateway), Some(BatchId::OPERATOR));
    }
}
