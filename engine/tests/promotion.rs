//! A standby ledger that lags is promoted: until the log has been folded again, nobody is told "no" or "not found".
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod memory;

use std::sync::Arc;
use std::time::Duration;

use flashsale_engine::allocator::gauges::Gauges;
use flashsale_engine::allocator::takeover::take_over;
use flashsale_engine::gateway::flag::{Known, known};
use flashsale_engine::gateway::late::Late;
use flashsale_engine::gateway::lookup::{Found, find};
use flashsale_engine::ports::{CommitEnd, Ledger, Log};
use flashsale_engine::publisher::answers::Answers;
use flashsale_engine::publisher::board::Board;
use memory::sale::*;
use memory::{MemoryLedger, MemoryLog, TestClock};

#[tokio::test(start_paused = true)]
async fn who_was_granted_by_the_last_writer_never_hears_no_from_the_next() {
    let (log, lagging, primary) = (MemoryLog::new(), MemoryLedger::default(), MemoryLedger::default());
    let seen = primary.checkpoint().await.unwrap();
    let (mut old, _) = take_over(&*log, &primary, &primary, &claim(1), &seen).await.unwrap().unwrap();
    log.push(opening());
    // Item 0 has three units: all are held, one comes back, and shopper 4 gets it. The standby saw none of the end of it.
    log.push(batch(0, 9, 1, vec![reserve(1), reserve(2), reserve(3)]));
    let cancel = flashsale_core::Command::Cancel { hold: 0, subject: subject(1) };
    log.push(batch(0, 9, 2, vec![entry(cancel, ""), reserve(4)]));
    for from in 0..log.end().await.unwrap() {
        let records = log.read(from, 1, Duration::ZERO).await.unwrap();
        let prepared = old.fold(&records).unwrap().unwrap();
        assert_eq!(primary.commit(&prepared.batch).await.unwrap(), CommitEnd::Committed);
        if from <= 3 {
            *lagging.tables.lock().unwrap() = primary.tables.lock().unwrap().clone();
        }
    }
    assert!(primary.row().next_offset > lagging.row().next_offset);

    let seen = lagging.checkpoint().await.unwrap();
    let (mut new, row) = take_over(&*log, &lagging, &lagging, &claim(2), &seen).await.unwrap().unwrap();
    let (gauges, late) = (Arc::new(Gauges::default()), Late::default());
    let board = Arc::new(Board::new(&frozen(), Arc::new(TestClock::new())));
    let answers = Answers::new(board.clone(), Arc::clone(&gauges));
    gauges.lead();
    gauges.stand(row.epoch, row.generation, row.next_offset, row.digest, row.chain);
    answers.begin(new.state(), row.generation, row.next_offset);

    // All three are held as far as this ledger goes; it must not say so to shopper 4, nor that it knows no such request.
    assert_eq!(known(&board, Some(request(4)), 0, false), None);
    assert_eq!(find(&board, &late, &lagging, request(4)).await.unwrap(), Found::Starting);
    assert!(!gauges.seated(), "and nothing is appended yet");
    let mut led = false;
    while !led {
        let records = log.read(new.next(), 1, Duration::ZERO).await.unwrap();
        let prepared = new.fold(&records).unwrap().unwrap();
        assert_eq!(lagging.commit(&prepared.batch).await.unwrap(), CommitEnd::Committed);
        answers.tell(&prepared.committed);
        led = prepared.leads;
    }
    answers.lead();
    assert!(gauges.seated());
    assert_eq!(known(&board, Some(request(4)), 0, false), Some(Known::Granted(3)));
    assert_eq!(find(&board, &late, &lagging, request(4)).await.unwrap(), Found::Granted(3));
    assert_eq!(find(&board, &late, &lagging, request(99)).await.unwrap(), Found::Nothing);
}
