//! Numbers and hashes as SQLite keeps them, and rows as the ports want them.

use flashsale_core::{
    HoldStatus, HoldView, PaymentKey, PaymentState, PaymentView, Position, RefundState, RefundView, RequestKey,
};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::ports::{Checkpoint, HoldRow, LedgerError};

/// The columns of a reservation with its order, refund and request, for [`hold`].
pub(super) const HOLD: &str = "
    select r.hold, r.subject, r.item, r.status, r.since, r.expires_at, r.payment, r.parent, r.request,
           f.state, f.restock, o.generation, o.log_offset, o.place
    from reservations r left join refunds f on f.hold = r.hold left join orders o on o.hold = r.hold";

/// The columns of a payment, for [`payment`].
pub(super) const PAYMENT: &str = "select payment, key, hold, bought, state from payments";

/// An unsigned word as SQLite's signed one, bit by bit.
pub(super) const fn word(value: u64) -> i64 {
    value.cast_signed()
}

pub(super) fn damaged(error: impl std::fmt::Display) -> LedgerError {
    LedgerError::Damaged(error.to_string())
}

pub(super) fn hash<const N: usize>(row: &SqliteRow, column: &str) -> Result<[u8; N], LedgerError> {
    let bytes: Vec<u8> = row.try_get(column).map_err(damaged)?;
    bytes.try_into().map_err(|bytes: Vec<u8>| damaged(format!("{column} has {} bytes", bytes.len())))
}

pub(super) fn unsigned(row: &SqliteRow, column: &str) -> Result<u64, LedgerError> {
    row.try_get::<i64, _>(column).map(i64::cast_unsigned).map_err(damaged)
}

/// A count that must fit its type.
pub(super) fn count<T: TryFrom<i64>>(row: &SqliteRow, column: &str) -> Result<T, LedgerError> {
    let value: i64 = row.try_get(column).map_err(damaged)?;
    T::try_from(value).map_err(|_| damaged(format!("{column} is {value}")))
}

fn optional<T: TryFrom<i64>>(row: &SqliteRow, column: &str) -> Result<Option<T>, LedgerError> {
    let value: Option<i64> = row.try_get(column).map_err(damaged)?;
    value.map(|value| T::try_from(value).map_err(|_| damaged(format!("{column} is {value}")))).transpose()
}

fn variant<T: Copy>(all: &[T], row: &SqliteRow, column: &str) -> Result<T, LedgerError> {
    let number: usize = count(row, column)?;
    all.get(number).copied().ok_or_else(|| damaged(format!("{column} is {number}")))
}

pub(super) fn checkpoint(row: &SqliteRow) -> Result<Checkpoint, LedgerError> {
    let uuid = |column: &str| -> Result<Option<uuid::Uuid>, LedgerError> {
        let text: Option<String> = row.try_get(column).map_err(damaged)?;
        text.map(|text| uuid::Uuid::parse_str(&text).map_err(damaged)).transpose()
    };
    Ok(Checkpoint {
        run: uuid("run")?,
        epoch: unsigned(row, "epoch")?,
        writer: uuid("writer")?.unwrap_or_default(),
        generation: count(row, "generation")?,
        next_offset: unsigned(row, "next_offset")?,
        digest: unsigned(row, "digest")?,
        chain: hash(row, "chain")?,
        log: uuid("log")?.unwrap_or_default(),
        last_record: hash(row, "last_record")?,
        published_through: unsigned(row, "published_through")?,
        beat: unsigned(row, "beat")?,
    })
}

pub(super) fn hold(row: &SqliteRow) -> Result<HoldRow, LedgerError> {
    let name: String = row.try_get("subject").map_err(damaged)?;
    let refund = match optional::<i64>(row, "restock")? {
        None => None,
        Some(restock) => Some(RefundView { state: variant(&RefundState::ALL, row, "state")?, restock: restock != 0 }),
    };
    let confirmed_at = match optional(row, "generation")? {
        None => None,
        Some(generation) => {
            Some(Position { generation, offset: unsigned(row, "log_offset")?, index: count(row, "place")? })
        }
    };
    let view = HoldView {
        hold: count(row, "hold")?,
        subject: crate::id::subject(&name),
        item: count(row, "item")?,
        status: variant(&HoldStatus::ALL, row, "status")?,
        since: unsigned(row, "since")?,
        expires_at: row.try_get("expires_at").map_err(damaged)?,
        payment: optional(row, "payment")?,
        parent: optional(row, "parent")?,
        refund,
    };
    let request: Option<Vec<u8>> = row.try_get("request").map_err(damaged)?;
    let request = request.map(|bytes| bytes.try_into().map(RequestKey)).transpose();
    let request = request.map_err(|bytes: Vec<u8>| damaged(format!("request has {} bytes", bytes.len())))?;
    Ok(HoldRow { view, name: Some(name.into()), request, confirmed_at })
}

pub(super) fn payment(row: &SqliteRow) -> Result<PaymentView, LedgerError> {
    Ok(PaymentView {
        payment: count(row, "payment")?,
        key: PaymentKey(hash(row, "key")?),
        hold: count(row, "hold")?,
        bought: optional(row, "bought")?,
        state: variant(&PaymentState::ALL, row, "state")?,
    })
}
