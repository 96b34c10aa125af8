//! The synchronous heart: records in, a prepared commit out. No IO, no clock: the simulator drives the same code.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use flashsale_core::{HoldNumber, ItemIndex, PaymentNumber, State};
use uuid::Uuid;

use super::fold::{Fold, Folded, StepError};
use super::gauges::SaleView;
use super::notices::{RowWords, Telling, item_notice};
use super::takeover::PLAUSIBLE;
use crate::audit::chain;
use crate::ports::{Checkpoint, HoldRow, ItemChange, LedgerBatch, LogRecord};
use crate::record::{BatchId, Committed, Decision, ItemNotice, encode};

/// Records in one commit, at most: a few milliseconds of a ledger's work.
pub const BATCH_RECORDS: usize = 512;
/// Bytes of records in one commit, at most (about 7,000 reserves).
pub const BATCH_BYTES: usize = 256 * 1024;

/// A decision shows every item at least this often, by the records' timestamps, ms.
const PICTURE_MS: u64 = 250;

/// Who this writer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The log's identity.
    pub log: Uuid,
    /// The fencing epoch.
    pub epoch: u64,
    /// The writer that owns it.
    pub writer: Uuid,
    /// The boot of its own batches (ticks, takeover).
    pub boot: u64,
}

/// Where the ledger's row stands once everything sealed so far is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cursor {
    next_offset: u64,
    digest: u64,
    chain: [u8; 32],
}

/// The fold of one writer, with the batch that is open.
#[derive(Debug)]
pub struct Allocator {
    me: Identity,
    fold: Fold,
    cursor: Cursor,
    /// The items as the ledger's rows hold them.
    rows: Vec<ItemNotice>,
    own_takeover_folded: bool,
    /// Timestamp of the last record whose decision showed every item, Unix ms.
    pictured_at: i64,
    /// Digests that were told before, by the offset after them: what is decided again must come to the same.
    told: BTreeMap<u64, u64>,
    open: Open,
}

/// What waits to be sealed.
#[derive(Debug, Default)]
struct Open {
    records: Vec<LogRecord>,
    bytes: usize,
    commands: u64,
    decisions: Vec<Decision>,
    holds: BTreeMap<HoldNumber, RowWords>,
    payments: BTreeSet<PaymentNumber>,
    items: BTreeSet<ItemIndex>,
    picture: bool,
}

/// What waits to be sealed, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Records.
    pub records: usize,
    /// Commands.
    pub commands: u64,
    /// The oldest record's timestamp, Unix ms.
    pub oldest: i64,
}

/// A batch, ready to be committed.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// For the ledger.
    pub batch: Arc<LedgerBatch>,
    /// For everyone else, once the ledger has it.
    pub committed: Arc<Committed>,
    /// The sale after it; present when it changed, with a tick, or when asked for.
    pub sale: Option<Arc<SaleView>>,
    /// What it is made of.
    pub size: Waiting,
    /// The records themselves.
    pub records: Vec<LogRecord>,
    /// Whether this writer's own takeover is in it or before it.
    pub leads: bool,
}

impl Allocator {
    /// A writer whose fold stands where the ledger's row stands.
    #[must_use]
    pub fn new(me: Identity, fold: Fold, row: &Checkpoint) -> Self {
        let rows = fold.state().map(item_notices).unwrap_or_default();
        let cursor = Cursor { next_offset: row.next_offset, digest: row.digest, chain: row.chain };
        let (told, open) = (BTreeMap::new(), Open::default());
        Self { me, fold, cursor, rows, own_takeover_folded: false, pictured_at: 0, told, open }
    }

    /// The same, held to digests that were told before; see [`witnesses`](super::witnesses).
    #[must_use]
    pub fn held_to(mut self, told: BTreeMap<u64, u64>) -> Self {
        self.told = told;
        self
    }

    /// Who this writer is.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.me
    }

    /// The state, with everything folded so far, committed or not; none before the log's first record.
    #[must_use]
    pub fn state(&self) -> Option<&State> {
        self.fold.state()
    }

    /// The fold itself, with everything folded so far.
    pub(super) fn fold_so_far(&self) -> &Fold {
        &self.fold
    }

    /// The log's generation.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.fold.generation()
    }

    /// The offset of the next record to take.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.fold.next()
    }

    /// Whether this writer's own takeover record has been folded: from then on it is the log's writer.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.own_takeover_folded
    }

    /// Folds all records and seals them into one batch; none for no records.
    ///
    /// # Errors
    /// As [`Allocator::take`] and [`Allocator::seal`].
    pub fn fold(&mut self, records: &[LogRecord]) -> Result<Option<Prepared>, StepError> {
        for record in records {
            self.take(record.clone())?;
        }
        self.seal(false)
    }

    /// Folds one record into the open batch.
    ///
    /// # Errors
    /// See [`StepError`]; the allocator is to be thrown away then.
    pub fn take(&mut self, record: LogRecord) -> Result<(), StepError> {
        let mut telling = Telling::default();
        let folded = self.fold.record(&record, &mut telling)?;
        self.outranked(&telling)?;
        let state = self.fold.state().ok_or_else(|| StepError::Damaged("its first record defines no sale".into()))?;
        if let Some(digest) = self.told.remove(&self.fold.next())
            && digest != state.digest()
        {
            let (next, found) = (self.fold.next(), state.digest());
            return Err(StepError::Damaged(format!("digest {found:016x} at offset {next}; {digest:016x} was told")));
        }
        if folded == Folded::Began && self.fold.generation() > 0 {
            // The ledger has its rows already, as the state that the log goes on from says.
            self.rows = item_notices(state);
        }
        // Flags are void a second after the last picture; a log that is never idle has no ticks to bring one.
        let stale = record.timestamp.abs_diff(self.pictured_at) >= PICTURE_MS;
        let pictured = telling.picture || stale || folded == Folded::Began;
        if pictured {
            self.pictured_at = record.timestamp;
        }
        let mut decision = Decision {
            epoch: self.me.epoch,
            generation: self.fold.generation(),
            offset: record.offset,
            timestamp: record.timestamp,
            log_time: state.log_time(),
            batch: None,
            repeated: false,
            outcomes: Vec::new(),
            holds: telling.holds,
            items: if pictured { item_notices(state) } else { changed(state, &telling.items) },
            phase: state.phase(),
            sale: telling.sale,
        };
        match folded {
            Folded::Began => {}
            Folded::Rejected(why) => tracing::warn!(offset = record.offset, why, "a record was rejected as a whole"),
            Folded::Repeated(id) => (decision.batch, decision.repeated) = (Some(id), true),
            Folded::Applied(id, outcomes) => (decision.batch, decision.outcomes) = (Some(id), outcomes),
        }
        let open = &mut self.open;
        open.commands += decision.outcomes.len() as u64;
        open.bytes += record.bytes.len();
        open.picture |= telling.picture;
        open.payments.append(&mut telling.payments);
        open.items.append(&mut telling.items);
        for (hold, words) in telling.rows {
            open.holds.entry(hold).or_default().absorb(words);
        }
        open.decisions.push(decision);
        open.records.push(record);
        Ok(())
    }

    /// What is open; none when nothing is.
    #[must_use]
    pub fn waiting(&self) -> Option<Waiting> {
        let oldest = self.open.records.first()?.timestamp;
        Some(Waiting { records: self.open.records.len(), commands: self.open.commands, oldest })
    }

    /// Whether the open batch has reached a bound.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.open.records.len() >= BATCH_RECORDS || self.open.bytes >= BATCH_BYTES
    }

    /// Seals the open batch for the ledger; none when nothing is open. `picture` asks for the sale's view.
    ///
    /// # Errors
    /// When the fold broke an invariant: the batch is never committed.
    pub fn seal(&mut self, picture: bool) -> Result<Option<Prepared>, StepError> {
        let (Some(state), Some(size)) = (self.fold.state(), self.waiting()) else { return Ok(None) };
        state.check().map_err(StepError::Violated)?;
        let open = std::mem::take(&mut self.open);
        let items = changes(&mut self.rows, state, &open.items);
        let before = self.cursor;
        let records_hash = chain::records_hash(&open.records);
        let next_offset = self.fold.next();
        let digest = state.digest();
        let head = chain::link(before.chain, self.me.epoch, before.next_offset, next_offset, records_hash, digest);
        self.cursor = Cursor { next_offset, digest, chain: head };
        let committed = Committed { epoch: self.me.epoch, next_offset, digest, chain: head, decisions: open.decisions };
        let batch = LedgerBatch {
            run: self.fold.run(),
            epoch: self.me.epoch,
            writer: self.me.writer,
            generation: self.fold.generation(),
            first_offset: before.next_offset,
            next_offset,
            digest_before: before.digest,
            digest,
            chain: head,
            records_hash,
            last_record: open.records.last().map(chain::last_record_hash).unwrap_or_default(),
            log: self.me.log,
            items,
            holds: hold_rows(state, open.holds),
            payments: open.payments.iter().filter_map(|payment| state.payment(*payment)).collect(),
            committed: Bytes::from(encode(&committed).map_err(|error| StepError::Violated(error.to_string()))?),
        };
        let sale = (picture || open.picture).then(|| Arc::new(SaleView::of(state)));
        let (batch, committed, leads) = (Arc::new(batch), Arc::new(committed), self.leads());
        Ok(Some(Prepared { batch, committed, sale, size, records: open.records, leads }))
    }

    /// A takeover by someone else above this writer's epoch outranks it; at the same epoch (two ledgers after a
    /// promotion) the later one in the log does.
    fn outranked(&mut self, telling: &Telling) -> Result<(), StepError> {
        for &(batch, epoch) in &telling.takeovers {
            let own = batch.gateway == BatchId::WRITER && batch.boot == self.me.boot;
            if own {
                self.own_takeover_folded = true;
            } else if epoch > self.me.epoch + PLAUSIBLE {
                tracing::warn!(epoch, "a takeover by no writer");
            } else if epoch > self.me.epoch || (epoch == self.me.epoch && self.own_takeover_folded) {
                return Err(StepError::Superseded { mine: self.me.epoch, found: epoch });
            }
        }
        Ok(())
    }
}

fn item_notices(state: &State) -> Vec<ItemNotice> {
    state.items().map(item_notice).collect()
}

fn changed(state: &State, items: &BTreeSet<u16>) -> Vec<ItemNotice> {
    items.iter().filter_map(|item| state.item(*item)).map(item_notice).collect()
}

/// The rows whose numbers change; what else a notice says is no row's.
fn changes(rows: &mut Vec<ItemNotice>, state: &State, items: &BTreeSet<ItemIndex>) -> Vec<ItemChange> {
    if rows.is_empty() {
        rows.extend(item_notices(state));
        return rows.iter().map(|after| ItemChange { before: None, after: *after }).collect();
    }
    let numbers = |item: &ItemNotice| (item.stock, item.shortage, item.held, item.sold, item.waiting);
    let change = |after: ItemNotice| {
        let row = rows.get_mut(usize::from(after.item))?;
        let before = std::mem::replace(row, after);
        (numbers(&before) != numbers(&after)).then_some(ItemChange { before: Some(before), after })
    };
    changed(state, items).into_iter().filter_map(change).collect()
}

fn hold_rows(state: &State, holds: BTreeMap<HoldNumber, RowWords>) -> Vec<HoldRow> {
    let row = |(hold, words): (HoldNumber, RowWords)| {
        let view = state.hold(hold)?;
        Some(HoldRow { view, name: words.name, request: words.request, confirmed_at: words.confirmed_at })
    };
    holds.into_iter().filter_map(row).collect()
}
