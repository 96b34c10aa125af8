//! What a batch writes, and what is written beside it.

use std::collections::BTreeMap;
use std::sync::Arc;

use flashsale_core::digest::{hold_word, item_word, payment_word};
use flashsale_core::{HoldStatus, HoldView, PaymentState, PaymentView, Position, RefundState, RefundView};
use flashsale_engine::allocator::fold::Fold;
use flashsale_engine::allocator::step::{Allocator, Identity};
use flashsale_engine::id::subject;
use flashsale_engine::ports::{CommitEnd, HoldRow, ItemChange, LedgerRows, Snapshot};

use super::LedgerStack;
use super::eventful::sale;
use super::tellers::{LOG, RUN, Teller, ended, granted, item, moved, paid, shopper};

pub async fn a_batch_writes_every_row(stack: &dyn LedgerStack) {
    let mut teller = Teller::seated(stack, 1).await;
    let mut batch = teller.next();
    let mut bought = granted(1);
    bought.view.payment = Some(0);
    bought.view.status = HoldStatus::Refunded;
    bought.view.refund = Some(RefundView { state: RefundState::Sent, restock: true });
    bought.confirmed_at = Some(Position { generation: 0, offset: u64::MAX / 2, index: 3 });
    let late = HoldRow { view: HoldView { parent: Some(0), since: u64::MAX, ..granted(2).view }, ..granted(2) };
    batch.items = vec![ItemChange { before: None, after: item(10, 2, 0) }];
    batch.holds = vec![granted(0), bought.clone(), late.clone()];
    let captured = PaymentView { bought: Some(1), ..paid(0, 0, PaymentState::Captured) };
    batch.payments = vec![captured, paid(1, 2, PaymentState::Started)];
    teller.commit(&batch).await;

    let reader = stack.open().await.history;
    let row = reader.writer().await.unwrap().unwrap();
    assert_eq!((row.run, row.epoch, row.writer, row.generation), (Some(RUN), 1, teller.row.writer, 0));
    assert_eq!((row.next_offset, row.digest, row.chain), (1, batch.digest, batch.chain));
    assert_eq!((row.log, row.last_record), (LOG, batch.last_record));
    let rows = reader.rows().await.unwrap();
    let expected = LedgerRows {
        items: vec![item(10, 2, 0)],
        holds: vec![granted(0), bought.clone(), late],
        payments: batch.payments.clone(),
    };
    assert_eq!(rows, expected);
    assert_eq!(reader.hold(1).await.unwrap(), Some(bought));
    assert_eq!(reader.hold(9).await.unwrap(), None);
    assert_eq!(reader.payments(0).await.unwrap(), [captured]);
    assert_eq!(reader.payments(1).await.unwrap(), [captured], "the hold that it bought");
    assert_eq!(reader.open_payments().await.unwrap(), [paid(1, 2, PaymentState::Started)]);
    let audit = reader.audit(0, 0, 10).await.unwrap();
    let [audit] = audit.as_slice() else { panic!("{audit:?}") };
    assert_eq!((audit.first_offset, audit.next_offset, audit.generation, audit.epoch), (0, 1, 0, 1));
    assert_eq!((audit.digest, audit.records_hash, audit.chain), (batch.digest, batch.records_hash, batch.chain));
    assert_eq!(audit.committed, batch.committed);
    assert!(audit.committed_at > 1_700_000_000_000, "Unix milliseconds");
}

pub async fn rows_move_on_in_place(stack: &dyn LedgerStack) {
    let mut teller = Teller::seated(stack, 1).await;
    teller.opens(3).await;
    let mut batch = teller.next();
    let mut sold = ended(&granted(1), HoldStatus::Confirmed);
    sold.view.payment = Some(0);
    sold.confirmed_at = Some(Position { generation: 0, offset: 1, index: 2 });
    batch.items = vec![moved(item(10, 3, 0), item(10, 2, 1))];
    batch.holds = vec![ended(&granted(0), HoldStatus::Expired), sold, granted(3)];
    batch.payments = vec![paid(0, 1, PaymentState::Started)];
    teller.commit(&batch).await;
    let mut batch = teller.next();
    let mut back = ended(&granted(1), HoldStatus::Refunded);
    (back.view.payment, back.view.refund) = (Some(0), Some(RefundView { state: RefundState::Planned, restock: false }));
    batch.items = vec![moved(item(10, 2, 1), item(10, 2, 0))];
    batch.holds = vec![back];
    batch.payments = vec![PaymentView { bought: Some(1), ..paid(0, 1, PaymentState::Captured) }];
    teller.commit(&batch).await;

    let rows = teller.at.history.rows().await.unwrap();
    assert_eq!(rows.items, [item(10, 2, 0)]);
    let statuses: Vec<_> = rows.holds.iter().map(|row| row.view.status).collect();
    assert_eq!(statuses, [HoldStatus::Expired, HoldStatus::Refunded, HoldStatus::Held, HoldStatus::Held]);
    let back = &rows.holds[1];
    assert_eq!(back.name.as_deref(), Some(shopper(1).as_str()), "its words stay");
    assert_eq!(back.confirmed_at, Some(Position { generation: 0, offset: 1, index: 2 }), "and its place among orders");
    assert_eq!(back.view.refund, Some(RefundView { state: RefundState::Planned, restock: false }));
    assert_eq!(rows.payments, batch.payments);
}

pub async fn a_batch_may_be_large(stack: &dyn LedgerStack) {
    const MANY: u32 = 7_000;
    let mut teller = Teller::seated(stack, 1).await;
    let mut batch = teller.next();
    batch.items = vec![ItemChange { before: None, after: item(MANY, MANY, 0) }];
    batch.holds = (0..MANY).map(granted).collect();
    batch.committed = vec![5; 256 * 1024].into();
    teller.commit(&batch).await;
    let mut batch = teller.next();
    batch.items = vec![moved(item(MANY, MANY, 0), item(MANY, 0, 0))];
    batch.holds = (0..MANY).map(|number| ended(&granted(number), HoldStatus::Expired)).collect();
    teller.commit(&batch).await;
    let rows = teller.at.history.rows().await.unwrap();
    assert_eq!(rows.holds.len(), usize::try_from(MANY).unwrap());
    assert!(rows.holds.iter().all(|row| row.view.status == HoldStatus::Expired && row.request.is_some()));
}

pub async fn a_further_generation_begins_anew(stack: &dyn LedgerStack) {
    let mut teller = Teller::seated(stack, 1).await;
    teller.opens(1).await;
    teller.commit(&teller.next()).await;
    teller.at.ledger.published(1, 2).await.unwrap();
    let kept = Snapshot { generation: 0, next_offset: 2, digest: teller.row.digest, state: vec![1].into() };
    teller.at.ledger.save_snapshot(&kept).await.unwrap();
    // The further log's first record, folded from the row as the last one left it.
    let mut batch = teller.next();
    (batch.generation, batch.next_offset) = (1, 1);
    teller.commit(&batch).await;
    let history = Arc::clone(&teller.at.history);
    let row = history.writer().await.unwrap().unwrap();
    assert_eq!((row.generation, row.next_offset, row.published_through), (1, 1, 0));
    let audit = history.audit(1, 0, 10).await.unwrap();
    assert_eq!(audit.iter().map(|row| (row.generation, row.next_offset)).collect::<Vec<_>>(), [(1, 1)]);
    assert_eq!(history.audit(0, 0, 10).await.unwrap().len(), 2, "what was decided before stands");
    assert_eq!(history.snapshot(9).await.unwrap(), None, "of the log before");
    teller.commit(&teller.next()).await;
    teller.at.ledger.published(1, 1).await.unwrap();
    assert_eq!(history.writer().await.unwrap().unwrap().published_through, 1);
}

pub async fn what_is_published_never_moves_back(stack: &dyn LedgerStack) {
    let mut teller = Teller::seated(stack, 1).await;
    teller.opens(1).await;
    let through = async || teller.at.history.writer().await.unwrap().unwrap().published_through;
    for (epoch, offset, expected) in [(1, 5, 5), (1, 3, 5), (2, 9, 5), (0, 9, 5), (1, 6, 6)] {
        teller.at.ledger.published(epoch, offset).await.unwrap();
        assert_eq!(through().await, expected, "{offset} under epoch {epoch}");
    }
}

pub async fn the_newest_three_snapshots_are_kept(stack: &dyn LedgerStack) {
    let teller = Teller::seated(stack, 1).await;
    let snapshot = |next_offset: u64, byte: u8| Snapshot {
        generation: 0,
        next_offset,
        digest: u64::MAX - next_offset,
        state: vec![byte; 300_000].into(),
    };
    for next_offset in [10, 20, 30, 40, 50] {
        teller.at.ledger.save_snapshot(&snapshot(next_offset, 1)).await.unwrap();
    }
    teller.at.ledger.save_snapshot(&snapshot(40, 2)).await.unwrap();
    let history = &teller.at.history;
    assert_eq!(history.snapshot(100).await.unwrap(), Some(snapshot(50, 1)));
    assert_eq!(history.snapshot(49).await.unwrap(), Some(snapshot(40, 2)), "the same again replaces it");
    assert_eq!(history.snapshot(30).await.unwrap(), Some(snapshot(30, 1)), "at the offset itself");
    assert_eq!(history.snapshot(29).await.unwrap(), None);
}

/// Whatever is asked, and however it is cut into batches, the rows add up to the digest and to what a fold in memory has.
pub async fn folded_sales_add_up_to_the_digest(stack: &dyn LedgerStack) {
    let teller = Teller::seated(stack, 1).await;
    let me = Identity { log: LOG, epoch: teller.row.epoch, writer: teller.row.writer, boot: 1 };
    let mut allocator = Allocator::new(me, Fold::new(RUN, 0), &teller.row);
    let records = sale();
    let mut left = records.as_slice();
    for together in [1, 3, 40].into_iter().cycle() {
        if left.is_empty() {
            break;
        }
        let (part, rest) = left.split_at(together.min(left.len()));
        let prepared = allocator.fold(part).unwrap().unwrap();
        assert_eq!(teller.at.ledger.commit(&prepared.batch).await.unwrap(), CommitEnd::Committed);
        left = rest;
    }
    let state = allocator.state().unwrap();
    state.check_all().unwrap();
    let (row, rows) = teller.at.history.books().await.unwrap().unwrap();
    let items = rows.items.iter();
    let items = items.map(|row| item_word(row.item, row.stock, row.shortage, row.held, row.sold, row.waiting));
    let words = items.chain(rows.holds.iter().map(|row| hold_word(&row.view)));
    let sum = words.chain(rows.payments.iter().map(payment_word)).fold(0, u64::wrapping_add);
    assert_eq!((sum, row.digest), (state.digest(), state.digest()));
    let mut seen: BTreeMap<u8, usize> = BTreeMap::new();
    for row in &rows.holds {
        *seen.entry(row.view.status as u8).or_default() += 1;
        assert!(row.name.as_deref().is_some_and(|name| subject(name) == row.view.subject));
    }
    assert!(seen.len() == 8, "a sale in which much happens: {seen:?}");
}
