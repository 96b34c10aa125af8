//! The ledger as everyone else sees it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use flashsale_core::HoldStatus;
use flashsale_engine::ports::{Gate, ItemChange, ItemSums};

use super::LedgerStack;
use super::tellers::{DEADLINE, Teller, ended, granted, item, moved, request, shopper};

pub async fn the_books_are_of_one_moment(stack: &dyn LedgerStack) {
    let mut teller = Teller::seated(stack, 1).await;
    let mut batch = teller.next();
    batch.items = vec![ItemChange { before: None, after: item(1_000, 0, 0) }];
    teller.commit(&batch).await;
    let done = Arc::new(AtomicBool::new(false));
    let (reader, stop) = (stack.open().await.history, Arc::clone(&done));
    let reading = tokio::spawn(async move {
        let mut moments = 0;
        while !stop.load(SeqCst) {
            let (row, rows) = reader.books().await.unwrap().unwrap();
            // Every batch makes one hold of one record.
            assert_eq!(rows.holds.len() as u64, row.next_offset - 1);
            assert_eq!(rows.items[0].held as usize, rows.holds.len());
            let sums = reader.sums().await.unwrap();
            assert_eq!(i64::try_from(sums.next_offset).unwrap() - 1, sums.items[0].rows_held);
            assert_eq!(sums.items[0].held, sums.items[0].rows_held);
            moments += 1;
        }
        moments
    });
    for number in 0..100 {
        let mut batch = teller.next();
        batch.items = vec![moved(item(1_000, number, 0), item(1_000, number + 1, 0))];
        batch.holds = vec![granted(number)];
        teller.commit(&batch).await;
    }
    done.store(true, SeqCst);
    assert!(reading.await.unwrap() > 0);
}

pub async fn sums_are_counted_from_rows(stack: &dyn LedgerStack) {
    let mut teller = Teller::seated(stack, 1).await;
    let mut batch = teller.next();
    let unasked = flashsale_engine::record::ItemNotice { item: 1, ..item(5, 0, 0) };
    let statuses = HoldStatus::ALL.into_iter().zip(0..);
    batch.items = vec![ItemChange { before: None, after: item(10, 2, 1) }, ItemChange { before: None, after: unasked }];
    batch.holds = statuses
        .map(|(status, number)| {
            let mut row = granted(number);
            row.view.status = status;
            row
        })
        .collect();
    teller.commit(&batch).await;
    let sums = teller.at.history.sums().await.unwrap();
    let expected = ItemSums { item: 0, total: 10, held: 2, sold: 1, rows_held: 2, rows_sold: 1 };
    let empty = ItemSums { item: 1, total: 5, held: 0, sold: 0, rows_held: 0, rows_sold: 0 };
    assert_eq!((sums.next_offset, sums.items), (1, vec![expected, empty]));
    stack.by_hand("update inventory set sold = 7 where item = 0").await;
    let sums = teller.at.history.sums().await.unwrap();
    assert_eq!(sums.items[0], ItemSums { sold: 7, ..expected });
}

pub async fn overdue_holds_are_seen(stack: &dyn LedgerStack) {
    let mut teller = Teller::seated(stack, 1).await;
    teller.opens(2).await;
    let history = Arc::clone(&teller.at.history);
    assert!(!history.overdue(DEADLINE - 1).await.unwrap());
    assert!(history.overdue(DEADLINE).await.unwrap());
    let mut batch = teller.next();
    batch.holds = vec![ended(&granted(0), HoldStatus::Expired), ended(&granted(1), HoldStatus::Offered)];
    teller.commit(&batch).await;
    assert!(history.overdue(DEADLINE).await.unwrap(), "an offer lapses, too");
    let mut batch = teller.next();
    batch.holds = vec![ended(&granted(1), HoldStatus::Cancelled)];
    teller.commit(&batch).await;
    assert!(!history.overdue(DEADLINE + 1).await.unwrap());
}

pub async fn the_gate_is_a_row(stack: &dyn LedgerStack) {
    let (one, other) = (stack.open().await.history, stack.open().await.history);
    assert_eq!(one.gate().await.unwrap(), None);
    let shut = Gate { since: 5, by: "ann".to_owned(), reason: "o'clock".to_owned(), invariant: false };
    let again = Gate { since: 6, by: "writer".to_owned(), reason: "mismatch".to_owned(), invariant: true };
    for gate in [&shut, &again] {
        one.set_gate(Some(gate)).await.unwrap();
        assert_eq!(other.gate().await.unwrap().as_ref(), Some(gate));
    }
    other.set_gate(None).await.unwrap();
    assert_eq!(one.gate().await.unwrap(), None);
}

pub async fn the_audit_is_read_in_pages(stack: &dyn LedgerStack) {
    let mut teller = Teller::seated(stack, 1).await;
    teller.opens(1).await;
    for records in [1, 4, 1, 2] {
        let mut batch = teller.next();
        batch.next_offset = batch.first_offset + records;
        teller.commit(&batch).await;
    }
    let history = &teller.at.history;
    let page = async |from, limit| {
        let rows = history.audit(0, from, limit).await.unwrap();
        rows.iter().map(|row| (row.first_offset, row.next_offset)).collect::<Vec<_>>()
    };
    assert_eq!(page(0, 2).await, [(0, 1), (1, 2)]);
    assert_eq!(page(2, 2).await, [(2, 6), (6, 7)]);
    assert_eq!(page(5, 1).await, [(2, 6)], "the one that covers offset 5");
    assert_eq!(page(7, 9).await, [(7, 9)]);
    assert_eq!(page(9, u32::MAX).await, []);
}

pub async fn holds_are_found_by_request_and_subject(stack: &dyn LedgerStack) {
    let mut teller = Teller::seated(stack, 1).await;
    let mut batch = teller.next();
    batch.items = vec![ItemChange { before: None, after: item(10, 5, 0) }];
    batch.holds = (0..5).map(granted).collect();
    let loyal = granted(1);
    for number in [3, 4] {
        batch.holds[number].name = loyal.name.clone();
        batch.holds[number].view.subject = loyal.view.subject;
    }
    teller.commit(&batch).await;
    let history = &teller.at.history;
    assert_eq!(history.request(request(2)).await.unwrap(), Some(granted(2)));
    assert_eq!(history.request(request(7)).await.unwrap(), None);
    let newest = async |limit| {
        let rows = history.subject(&shopper(1), limit).await.unwrap();
        rows.iter().map(|row| row.view.hold).collect::<Vec<_>>()
    };
    assert_eq!(newest(9).await, [4, 3, 1]);
    assert_eq!(newest(2).await, [4, 3]);
    assert!(history.subject("shopper", 9).await.unwrap().is_empty(), "a name is a whole name");
}
