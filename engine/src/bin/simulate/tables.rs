//! The ledger's tables in memory, for the simulator and for stories: pure, no IO, no waiting.

use std::collections::BTreeMap;

use flashsale_core::{HoldNumber, HoldStatus, PaymentView, RequestKey};
use flashsale_engine::ports::{
    AuditRow, Checkpoint, CommitEnd, Gate, HoldRow, ItemSums, LedgerBatch, LedgerRows, Snapshot, Sums,
};
use flashsale_engine::record::ItemNotice;
use uuid::Uuid;

/// Snapshots kept.
const SNAPSHOTS: usize = 3;

/// Everything that a ledger holds.
#[derive(Clone, Default)]
pub struct Tables {
    /// The writer's row, once there is one.
    pub row: Option<Checkpoint>,
    /// `inventory`.
    pub items: BTreeMap<u16, ItemNotice>,
    /// `reservations`.
    pub holds: BTreeMap<HoldNumber, HoldRow>,
    /// `payments`.
    pub payments: BTreeMap<u32, PaymentView>,
    /// `audit`.
    pub audit: Vec<AuditRow>,
    /// `snapshots`.
    pub snapshots: Vec<Snapshot>,
    /// The gate's row.
    pub gate: Option<Gate>,
}

impl Tables {
    /// The writer's row, made when there is none.
    pub fn row(&self) -> Checkpoint {
        self.row.clone().unwrap_or(Checkpoint {
            run: None,
            epoch: 0,
            writer: Uuid::nil(),
            generation: 0,
            next_offset: 0,
            digest: 0,
            chain: [0; 32],
            log: Uuid::nil(),
            last_record: [0; 32],
            published_through: 0,
            beat: 0,
        })
    }

    /// Changes the writer's row.
    pub fn change_row(&mut self, change: impl FnOnce(&mut Checkpoint)) {
        let mut row = self.row();
        change(&mut row);
        self.row = Some(row);
    }

    /// Bumps the epoch, unless it is another than was seen.
    pub fn take_over(&mut self, seen: u64, writer: Uuid) -> Option<Checkpoint> {
        if self.row().epoch != seen {
            return None;
        }
        self.change_row(|row| (row.epoch, row.writer) = (seen + 1, writer));
        self.row.clone()
    }

    /// Whether the row is this writer's.
    pub fn is_of(&self, epoch: u64, writer: Uuid) -> bool {
        let row = self.row();
        (row.epoch, row.writer) == (epoch, writer)
    }

    /// Changes the row, if it is this writer's.
    pub fn change_own_row(&mut self, epoch: u64, writer: Uuid, change: impl FnOnce(&mut Checkpoint)) -> bool {
        let mine = self.is_of(epoch, writer);
        if mine {
            self.change_row(change);
        }
        mine
    }

    /// One fenced transaction.
    pub fn commit(&mut self, batch: &LedgerBatch) -> CommitEnd {
        let row = self.row();
        let fence = (batch.epoch, batch.writer, batch.first_offset, batch.digest_before);
        if (row.epoch, row.writer, row.next_offset, row.digest) != fence {
            return CommitEnd::Fenced(Box::new(row));
        }
        for change in &batch.items {
            let found = self.items.get(&change.after.item).copied();
            let numbers = |item: ItemNotice| (item.stock, item.shortage, item.held, item.sold, item.waiting);
            if found.map(numbers) != change.before.map(numbers) {
                return CommitEnd::Mismatch(format!("item {}: {found:?}", change.after.item));
            }
        }
        for change in &batch.items {
            self.items.insert(change.after.item, change.after);
        }
        for row in &batch.holds {
            let mut row = row.clone();
            if let Some(old) = self.holds.get(&row.view.hold) {
                row.name = old.name.clone();
                row.request = old.request;
                row.confirmed_at = row.confirmed_at.or(old.confirmed_at);
            }
            self.holds.insert(row.view.hold, row);
        }
        for payment in &batch.payments {
            self.payments.insert(payment.payment, *payment);
        }
        self.audit.push(AuditRow {
            first_offset: batch.first_offset,
            next_offset: batch.next_offset,
            generation: batch.generation,
            epoch: batch.epoch,
            digest: batch.digest,
            records_hash: batch.records_hash,
            chain: batch.chain,
            committed: batch.committed.clone(),
            committed_at: 0,
        });
        let published_through = if row.generation == batch.generation { row.published_through } else { 0 };
        self.row = Some(Checkpoint {
            run: Some(batch.run),
            generation: batch.generation,
            next_offset: batch.next_offset,
            digest: batch.digest,
            chain: batch.chain,
            log: batch.log,
            last_record: batch.last_record,
            published_through,
            ..row
        });
        CommitEnd::Committed
    }

    /// What became of a batch, once it can no longer happen.
    pub fn resolve(&self, batch: &LedgerBatch) -> CommitEnd {
        let row = self.row();
        let mine = (row.epoch, row.writer) == (batch.epoch, batch.writer);
        if mine && (row.next_offset, row.digest) == (batch.next_offset, batch.digest) {
            return CommitEnd::Committed;
        }
        CommitEnd::Fenced(Box::new(row))
    }

    /// Everything below `offset` is published.
    pub fn published(&mut self, epoch: u64, offset: u64) {
        if self.row().epoch == epoch {
            self.change_row(|row| row.published_through = row.published_through.max(offset));
        }
    }

    /// Keeps a snapshot; the oldest beyond the newest three goes.
    pub fn save_snapshot(&mut self, snapshot: &Snapshot) {
        self.snapshots.push(snapshot.clone());
        if self.snapshots.len() > SNAPSHOTS {
            self.snapshots.remove(0);
        }
    }

    /// The newest snapshot at or below an offset.
    pub fn snapshot(&self, next_offset: u64) -> Option<Snapshot> {
        self.snapshots.iter().rfind(|kept| kept.next_offset <= next_offset).cloned()
    }

    /// The reservation that a request was granted.
    pub fn request(&self, request: RequestKey) -> Option<HoldRow> {
        self.holds.values().find(|row| row.request == Some(request)).cloned()
    }

    /// Payments of a hold.
    pub fn payments_of(&self, hold: HoldNumber) -> Vec<PaymentView> {
        self.payments.values().filter(|paid| paid.hold == hold).copied().collect()
    }

    /// Audit rows of a generation that end above an offset.
    pub fn audit_from(&self, generation: u32, from: u64, limit: u32) -> Vec<AuditRow> {
        let rows = self.audit.iter().filter(|row| row.generation == generation && row.next_offset > from);
        rows.take(usize::try_from(limit).unwrap_or(usize::MAX)).cloned().collect()
    }

    /// Every projection row.
    pub fn rows(&self) -> LedgerRows {
        LedgerRows {
            items: self.items.values().copied().collect(),
            holds: self.holds.values().cloned().collect(),
            payments: self.payments.values().copied().collect(),
        }
    }

    /// Sums of rows against the inventory.
    pub fn sums(&self) -> Sums {
        let count = |item: u16, statuses: &[HoldStatus]| {
            let rows = self.holds.values().filter(|row| row.view.item == item && statuses.contains(&row.view.status));
            i64::try_from(rows.count()).unwrap_or(i64::MAX)
        };
        let items = self.items.values().map(|item| ItemSums {
            item: item.item,
            total: i64::from(item.stock),
            held: i64::from(item.held),
            sold: i64::from(item.sold),
            rows_held: count(item.item, &[HoldStatus::Held, HoldStatus::Offered]),
            rows_sold: count(item.item, &[HoldStatus::Confirmed]),
        });
        Sums { next_offset: self.row().next_offset, items: items.collect() }
    }
}
