//! A writer as the stories need one: it takes the ledger over and knows where its row stands. And the rows it writes.

use flashsale_core::{
    HoldNumber, HoldStatus, HoldView, ItemStatus, PaymentKey, PaymentNumber, PaymentState, PaymentView, RequestKey,
};
use flashsale_engine::id::subject;
use flashsale_engine::ports::{AuditRow, Checkpoint, CommitEnd, HoldRow, ItemChange, LedgerBatch, LedgerRows};
use flashsale_engine::record::ItemNotice;
use uuid::Uuid;

use super::{LedgerStack, Opened};

pub const RUN: Uuid = Uuid::from_u128(0xf1a5);
pub const LOG: Uuid = Uuid::from_u128(0x106);
/// When holds of the stories end, Unix ms.
pub const DEADLINE: i64 = 1_795_608_120_000;

/// One process that became the writer.
pub struct Teller {
    pub at: Opened,
    pub row: Checkpoint,
}

impl Teller {
    /// Opens the ledger and takes it over.
    pub async fn seated(stack: &dyn LedgerStack, number: u128) -> Self {
        Self::takes_over(stack.open().await, number).await
    }

    pub async fn takes_over(at: Opened, number: u128) -> Self {
        let seen = at.ledger.checkpoint().await.unwrap();
        let taken = at.ledger.take_over(seen.epoch, Uuid::from_u128(number)).await.unwrap();
        Self { row: taken.expect("nobody was faster"), at }
    }

    /// The next batch, with nothing in it: one record, and a digest that says which.
    pub fn next(&self) -> LedgerBatch {
        let next_offset = self.row.next_offset + 1;
        LedgerBatch {
            run: RUN,
            epoch: self.row.epoch,
            writer: self.row.writer,
            generation: self.row.generation,
            first_offset: self.row.next_offset,
            next_offset,
            digest_before: self.row.digest,
            // Beyond what a signed word holds, as real digests are.
            digest: self.row.digest.wrapping_add(u64::MAX / 2 + 7),
            chain: [u8::try_from(next_offset % 251).unwrap(); 32],
            records_hash: [7; 32],
            last_record: [9; 32],
            log: LOG,
            items: Vec::new(),
            holds: Vec::new(),
            payments: Vec::new(),
            committed: next_offset.to_be_bytes().to_vec().into(),
        }
    }

    /// Commits it and moves on.
    pub async fn commit(&mut self, batch: &LedgerBatch) {
        assert_eq!(self.at.ledger.commit(batch).await.unwrap(), CommitEnd::Committed);
        self.committed(batch);
    }

    pub fn committed(&mut self, batch: &LedgerBatch) {
        let row = &mut self.row;
        (row.next_offset, row.digest, row.generation) = (batch.next_offset, batch.digest, batch.generation);
    }

    /// Makes item 0 with 10 units, of which `holds` are held, one each by shopper 0, 1, ...
    pub async fn opens(&mut self, holds: u32) {
        let mut batch = self.next();
        batch.items = vec![ItemChange { before: None, after: item(10, holds, 0) }];
        batch.holds = (0..holds).map(granted).collect();
        self.commit(&batch).await;
    }
}

pub fn item(stock: u32, held: u32, sold: u32) -> ItemNotice {
    ItemNotice {
        item: 0,
        stock,
        shortage: 0,
        held,
        sold,
        waiting: 0,
        available: stock - held - sold,
        status: ItemStatus::Live,
        earliest_deadline: None,
    }
}

pub fn moved(before: ItemNotice, after: ItemNotice) -> ItemChange {
    ItemChange { before: Some(before), after }
}

pub fn shopper(number: HoldNumber) -> String {
    format!("shopper-{number}")
}

pub fn request(number: HoldNumber) -> RequestKey {
    RequestKey(u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes())
}

/// A hold that was just made.
pub fn granted(number: HoldNumber) -> HoldRow {
    let view = HoldView {
        hold: number,
        subject: subject(&shopper(number)),
        item: 0,
        status: HoldStatus::Held,
        since: 1_000,
        expires_at: DEADLINE,
        payment: None,
        parent: None,
        refund: None,
    };
    HoldRow { view, name: Some(shopper(number).into()), request: Some(request(number)), confirmed_at: None }
}

/// The same later: its words are written once.
pub fn ended(row: &HoldRow, status: HoldStatus) -> HoldRow {
    HoldRow { view: HoldView { status, ..row.view }, name: None, request: None, confirmed_at: None }
}

pub fn paid(number: PaymentNumber, hold: HoldNumber, state: PaymentState) -> PaymentView {
    PaymentView { payment: number, key: PaymentKey([u8::try_from(number).unwrap(); 16]), hold, bought: None, state }
}

/// Everything that a ledger holds of a run: to compare that nothing changed.
pub async fn everything(at: &Opened) -> (Checkpoint, LedgerRows, Vec<AuditRow>) {
    let (row, rows) = at.history.books().await.unwrap().expect("a ledger that was opened has its row");
    // The beat may move without anything being written.
    (Checkpoint { beat: 0, ..row }, rows, at.history.audit(0, 0, u32::MAX).await.unwrap())
}
