//! What the tables themselves refuse, and how they are put right.

use flashsale_core::HoldStatus;
use flashsale_engine::ports::{CommitEnd, ItemChange, LedgerBatch, LedgerError};

use super::LedgerStack;
use super::tellers::{Teller, ended, everything, granted, item, moved};

/// The batch is refused as a mismatch that says `words`, and nothing of it is there.
async fn refuses(teller: &Teller, batch: &LedgerBatch, words: &[&str]) {
    let before = everything(&teller.at).await;
    let end = teller.at.ledger.commit(batch).await.unwrap();
    let CommitEnd::Mismatch(what) = end else { panic!("{end:?}") };
    for word in words {
        assert!(what.contains(word), "{word:?} is not in {what:?}");
    }
    assert_eq!(everything(&teller.at).await, before);
}

pub async fn a_row_changed_by_hand_stops_the_batch(stack: &dyn LedgerStack) {
    let mut teller = Teller::seated(stack, 1).await;
    teller.opens(2).await;
    let mut batch = teller.next();
    batch.items = vec![moved(item(10, 2, 0), item(10, 3, 0))];
    batch.holds = vec![granted(2)];
    stack.by_hand("update inventory set sold = 4").await;
    refuses(&teller, &batch, &["inventory row 0", "expected (10, 0, 2, 0, 0)", "found Some((10, 0, 2, 4, 0))"]).await;
    stack.by_hand("update inventory set sold = 0").await;
    teller.commit(&batch).await;
    assert_eq!(teller.at.history.rows().await.unwrap().items, [item(10, 3, 0)], "the row was put back");
}

pub async fn a_row_deleted_by_hand_stops_it_too(stack: &dyn LedgerStack) {
    let mut teller = Teller::seated(stack, 1).await;
    teller.opens(2).await;
    let mut batch = teller.next();
    batch.holds = vec![ended(&granted(0), HoldStatus::Cancelled), ended(&granted(1), HoldStatus::Cancelled)];
    stack.by_hand("delete from reservations where hold = 1").await;
    refuses(&teller, &batch, &["reservations row 1", "found none"]).await;
    let mut batch = teller.next();
    batch.items = vec![moved(item(10, 2, 0), item(10, 1, 0))];
    stack.by_hand("delete from inventory").await;
    refuses(&teller, &batch, &["inventory row 0", "found None"]).await;
}

pub async fn an_oversell_is_refused(stack: &dyn LedgerStack) {
    let mut teller = Teller::seated(stack, 1).await;
    teller.opens(10).await;
    let mut batch = teller.next();
    let sound = item(10, 10, 0);
    batch.items = vec![moved(sound, flashsale_engine::record::ItemNotice { held: 11, ..sound })];
    batch.holds = vec![granted(10)];
    refuses(&teller, &batch, &["constraint"]).await;
}

pub async fn a_hold_is_made_once(stack: &dyn LedgerStack) {
    let mut teller = Teller::seated(stack, 1).await;
    teller.opens(2).await;
    let mut batch = teller.next();
    batch.items = vec![moved(item(10, 2, 0), item(10, 3, 0))];
    batch.holds = vec![granted(1)];
    refuses(&teller, &batch, &["constraint"]).await;
    let mut batch = teller.next();
    batch.items = vec![ItemChange { before: None, after: item(10, 0, 0) }];
    refuses(&teller, &batch, &["constraint"]).await;
}

pub async fn a_rewrite_restores_the_rows(stack: &dyn LedgerStack) {
    let mut teller = Teller::seated(stack, 1).await;
    teller.opens(3).await;
    let sound = everything(&teller.at).await;
    stack.by_hand("update inventory set held = 1").await;
    stack.by_hand("delete from reservations where hold = 2").await;
    let (epoch, writer) = (teller.row.epoch, teller.row.writer);
    let damaged = everything(&teller.at).await;
    assert!(!teller.at.ledger.rewrite(epoch - 1, writer, &sound.1).await.unwrap(), "another epoch's");
    let mut nameless = sound.1.clone();
    nameless.holds[1].name = None;
    let refused = teller.at.ledger.rewrite(epoch, writer, &nameless).await;
    assert!(matches!(refused, Err(LedgerError::Damaged(_))), "{refused:?}");
    assert_eq!(everything(&teller.at).await, damaged);
    assert!(teller.at.ledger.rewrite(epoch, writer, &sound.1).await.unwrap());
    assert_eq!(everything(&teller.at).await, sound);
    let mut batch = teller.next();
    batch.items = vec![moved(item(10, 3, 0), item(10, 4, 0))];
    batch.holds = vec![granted(3)];
    teller.commit(&batch).await;
}
