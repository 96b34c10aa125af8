//! Numbers as PostgreSQL keeps them, and rows as the ports want them.

use flashsale_core::{
    HoldStatus, HoldView, ItemStatus, PaymentKey, PaymentState, PaymentView, Position, RefundState, RefundView,
    RequestKey,
};
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::ports::{AuditRow, Checkpoint, Gate, HoldRow, ItemSums, LedgerError, Snapshot};
use crate::record::ItemNotice;

/// The columns of the writer's row, for [`checkpoint`].
pub(super) const WRITER: &str = "
    select w.run, w.epoch, w.writer, w.generation, w.next_offset, w.digest, w.chain, w.log, w.last_record, p.beat,
           case when p.generation = w.generation then p.published_through else 0 end as published_through
    from writer w, progress p";

/// The columns of a reservation with its order and refund, for [`hold`].
pub(super) const HOLD: &str = "
    select r.hold, r.subject, r.item, r.status, r.since, r.expires_at, r.payment, r.parent, r.request,
           f.state, f.restock, o.generation, o.log_offset, o.place
    from reservations r left join refunds f on f.hold = r.hold left join orders o on o.hold = r.hold";

/// The columns of a payment, for [`payment`].
pub(super) const PAYMENT: &str = "select payment, key, hold, bought, state from payments";

/// An unsigned word as PostgreSQL's signed one, bit by bit.
pub(super) const fn word(value: u64) -> i64 {
    value.cast_signed()
}

pub(super) fn damaged(error: impl std::fmt::Display) -> LedgerError {
    LedgerError::Damaged(error.to_string())
}

fn hash(row: &PgRow, column: &str) -> Result<[u8; 32], LedgerError> {
    let bytes: &[u8] = row.try_get(column).map_err(damaged)?;
    bytes.try_into().map_err(|_| damaged(format!("{column} has {} bytes", bytes.len())))
}

pub(super) fn unsigned(row: &PgRow, column: &str) -> Result<u64, LedgerError> {
    row.try_get::<i64, _>(column).map(i64::cast_unsigned).map_err(damaged)
}

/// A count that must fit its type.
fn count<T: TryFrom<i64>>(row: &PgRow, column: &str) -> Result<T, LedgerError> {
    optional(row, column)?.ok_or_else(|| damaged(format!("{column} is null")))
}

fn optional<T: TryFrom<i64>>(row: &PgRow, column: &str) -> Result<Option<T>, LedgerError> {
    let value: Option<i64> = row.try_get(column).map_err(damaged)?;
    value.map(|value| T::try_from(value).map_err(|_| damaged(format!("{column} is {value}")))).transpose()
}

fn item_index(row: &PgRow) -> Result<u16, LedgerError> {
    let item: i32 = row.try_get("item").map_err(damaged)?;
    u16::try_from(item).map_err(|_| damaged(format!("item is {item}")))
}

fn variant<T: Copy>(all: &[T], row: &PgRow, column: &str) -> Result<T, LedgerError> {
    let number: i16 = row.try_get(column).map_err(damaged)?;
    let found = usize::try_from(number).ok().and_then(|number| all.get(number)).copied();
    found.ok_or_else(|| damaged(format!("{column} is {number}")))
}

pub(super) fn checkpoint(row: &PgRow) -> Result<Checkpoint, LedgerError> {
    Ok(Checkpoint {
        run: row.try_get("run").map_err(damaged)?,
        epoch: unsigned(row, "epoch")?,
        writer: row.try_get("writer").map_err(damaged)?,
        generation: count(row, "generation")?,
        next_offset: unsigned(row, "next_offset")?,
        digest: unsigned(row, "digest")?,
        chain: hash(row, "chain")?,
        log: row.try_get("log").map_err(damaged)?,
        last_record: hash(row, "last_record")?,
        published_through: unsigned(row, "published_through")?,
        beat: unsigned(row, "beat")?,
    })
}

pub(super) fn hold(row: &PgRow) -> Result<HoldRow, LedgerError> {
    let name: &str = row.try_get("subject").map_err(damaged)?;
    let refund = match row.try_get::<Option<bool>, _>("restock").map_err(damaged)? {
        None => None,
        Some(restock) => Some(RefundView { state: variant(&RefundState::ALL, row, "state")?, restock }),
    };
    let confirmed_at = match optional(row, "generation")? {
        None => None,
        Some(generation) => {
            Some(Position { generation, offset: unsigned(row, "log_offset")?, index: count(row, "place")? })
        }
    };
    let view = HoldView {
        hold: count(row, "hold")?,
        subject: crate::id::subject(name),
        item: item_index(row)?,
        status: variant(&HoldStatus::ALL, row, "status")?,
        since: unsigned(row, "since")?,
        expires_at: row.try_get("expires_at").map_err(damaged)?,
        payment: optional(row, "payment")?,
        parent: optional(row, "parent")?,
        refund,
    };
    let request: Option<Uuid> = row.try_get("request").map_err(damaged)?;
    let request = request.map(|request| RequestKey(request.into_bytes()));
    Ok(HoldRow { view, name: Some(name.into()), request, confirmed_at })
}

pub(super) fn payment(row: &PgRow) -> Result<PaymentView, LedgerError> {
    let key: Uuid = row.try_get("key").map_err(damaged)?;
    Ok(PaymentView {
        payment: count(row, "payment")?,
        key: PaymentKey(key.into_bytes()),
        hold: count(row, "hold")?,
        bought: optional(row, "bought")?,
        state: variant(&PaymentState::ALL, row, "state")?,
    })
}

/// An inventory row; what shoppers see of it is not a row's to say.
pub(super) fn item(row: &PgRow) -> Result<ItemNotice, LedgerError> {
    let (stock, shortage, held, sold): (u32, u32, u32, u32) =
        (count(row, "total")?, count(row, "shortage")?, count(row, "held")?, count(row, "sold")?);
    Ok(ItemNotice {
        item: item_index(row)?,
        stock,
        shortage,
        held,
        sold,
        waiting: count(row, "waiting")?,
        available: stock.saturating_sub(held).saturating_sub(sold).saturating_sub(shortage),
        status: ItemStatus::Live,
        earliest_deadline: None,
    })
}

pub(super) fn sums(row: &PgRow) -> Result<ItemSums, LedgerError> {
    Ok(ItemSums {
        item: item_index(row)?,
        total: count(row, "total")?,
        held: count(row, "held")?,
        sold: count(row, "sold")?,
        rows_held: count(row, "rows_held")?,
        rows_sold: count(row, "rows_sold")?,
    })
}

pub(super) fn audit(row: &PgRow) -> Result<AuditRow, LedgerError> {
    Ok(AuditRow {
        first_offset: unsigned(row, "first_offset")?,
        next_offset: unsigned(row, "next_offset")?,
        generation: count(row, "generation")?,
        epoch: unsigned(row, "epoch")?,
        digest: unsigned(row, "digest")?,
        records_hash: hash(row, "records_hash")?,
        chain: hash(row, "chain")?,
        committed: row.try_get::<Vec<u8>, _>("committed").map_err(damaged)?.into(),
        committed_at: row.try_get("committed_at").map_err(damaged)?,
    })
}

pub(super) fn snapshot(row: &PgRow) -> Result<Snapshot, LedgerError> {
    Ok(Snapshot {
        generation: count(row, "generation")?,
        next_offset: unsigned(row, "next_offset")?,
        digest: unsigned(row, "digest")?,
        state: row.try_get::<Vec<u8>, _>("state").map_err(damaged)?.into(),
    })
}

pub(super) fn gate(row: &PgRow) -> Result<Gate, LedgerError> {
    Ok(Gate {
        since: row.try_get("since").map_err(damaged)?,
        by: row.try_get("by_whom").map_err(damaged)?,
        reason: row.try_get("reason").map_err(damaged)?,
        invariant: row.try_get("invariant").map_err(damaged)?,
    })
}
