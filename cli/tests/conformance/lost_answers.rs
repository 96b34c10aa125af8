//! Commits whose end nobody heard.

use std::time::Duration;

use flashsale_engine::ports::{CommitEnd, Ledger, LedgerBatch};

use super::LedgerStack;
use super::tellers::{Teller, granted, item, moved};

fn third_hold(teller: &Teller) -> LedgerBatch {
    let mut batch = teller.next();
    batch.items = vec![moved(item(10, 2, 0), item(10, 3, 0))];
    batch.holds = vec![granted(2)];
    batch
}

/// It is there, and once.
async fn is_there_once(teller: &Teller, batch: &LedgerBatch) {
    let (row, rows) = teller.at.history.books().await.unwrap().unwrap();
    assert_eq!((row.next_offset, row.digest), (batch.next_offset, batch.digest));
    assert_eq!(rows.holds.len(), 3);
    assert_eq!(teller.at.history.audit(0, 0, 10).await.unwrap().len(), 2);
}

pub async fn a_commit_that_happened_is_found(stack: &dyn LedgerStack) {
    let mut teller = Teller::seated(stack, 1).await;
    teller.opens(2).await;
    let batch = third_hold(&teller);
    teller.commit(&batch).await;
    for _ in 0..2 {
        assert_eq!(teller.at.ledger.resolve(&batch).await.unwrap(), CommitEnd::Committed);
        is_there_once(&teller, &batch).await;
    }
}

pub async fn a_commit_that_did_not_happen_is_sent_again(stack: &dyn LedgerStack) {
    let mut teller = Teller::seated(stack, 1).await;
    teller.opens(2).await;
    let batch = third_hold(&teller);
    assert_eq!(teller.at.ledger.resolve(&batch).await.unwrap(), CommitEnd::Committed);
    is_there_once(&teller, &batch).await;
}

pub async fn another_writers_row_is_not_mine(stack: &dyn LedgerStack) {
    let mut old = Teller::seated(stack, 1).await;
    old.opens(2).await;
    let batch = third_hold(&old);
    let new = Teller::seated(stack, 2).await;
    // Its own sessions were perhaps ended by the takeover: asked again it tells.
    let mut end = old.at.ledger.resolve(&batch).await;
    if end.is_err() {
        end = old.at.ledger.resolve(&batch).await;
    }
    let Ok(CommitEnd::Fenced(row)) = end else { panic!("{end:?}") };
    assert_eq!((row.epoch, row.writer), (2, new.row.writer));
    assert_eq!(new.at.history.rows().await.unwrap().holds.len(), 2);
}

/// Whoever waited for it is dropped at some moment on its way, early or late: afterwards it has one end.
pub async fn a_commit_nobody_waited_for_has_one_end(stack: &dyn LedgerStack) {
    let mut teller = Teller::seated(stack, 1).await;
    teller.opens(0).await;
    for round in 0..40_u32 {
        let mut batch = teller.next();
        batch.items = vec![moved(item(10, 0, 0), item(10, 0, 0))];
        batch.holds = (0..50).map(|place| granted(round * 50 + place)).collect();
        let patience = Duration::from_micros(u64::from(round) * 50);
        let heard = give_up(&*teller.at.ledger, &batch, patience).await;
        if heard.is_none() {
            assert_eq!(teller.at.ledger.resolve(&batch).await.unwrap(), CommitEnd::Committed);
        }
        teller.committed(&batch);
    }
    let (row, rows) = teller.at.history.books().await.unwrap().unwrap();
    assert_eq!((row.next_offset, row.digest), (teller.row.next_offset, teller.row.digest));
    assert_eq!(rows.holds.len(), 2_000);
    assert_eq!(teller.at.history.audit(0, 0, 100).await.unwrap().len(), 41);
}

async fn give_up(ledger: &dyn Ledger, batch: &LedgerBatch, patience: Duration) -> Option<CommitEnd> {
    let mut commit = ledger.commit(batch);
    if patience.is_zero() {
        // Sent, as far as one poll goes, and not listened to.
        return match futures_util::poll!(&mut commit) {
            std::task::Poll::Ready(end) => Some(end.unwrap()),
            std::task::Poll::Pending => None,
        };
    }
    tokio::time::timeout(patience, commit).await.ok().map(Result::unwrap)
}
