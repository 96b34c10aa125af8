//! One batch, one transaction: the fence first, then every row it changes, then the audit row.

use std::sync::LazyLock;

use serde_json::{Value, json};
use sqlx::sqlite::SqliteQueryResult;
use sqlx::{Sqlite, SqliteConnection};

use super::rows::word;
use crate::id::hex;
use crate::ports::{CommitEnd, HoldRow, ItemChange, LedgerBatch};
use crate::record::ItemNotice;

/// How the statements of a batch went, short of a store that failed.
pub(super) enum Written {
    All,
    /// The fence matched no row.
    Fenced,
    Mismatch(String),
}

/// Writes a batch inside the caller's transaction.
pub(super) async fn write(connection: &mut SqliteConnection, batch: &LedgerBatch) -> Result<Written, sqlx::Error> {
    if fence(connection, batch).await?.rows_affected() == 0 {
        return Ok(Written::Fenced);
    }
    for change in &batch.items {
        if let Some(mismatch) = item(connection, change).await? {
            return Ok(Written::Mismatch(mismatch));
        }
    }
    if let Some(mismatch) = holds(connection, &batch.holds).await? {
        return Ok(Written::Mismatch(mismatch));
    }
    payments(connection, batch).await?;
    audit(connection, batch).await?;
    Ok(Written::All)
}

/// The outcome of a failed statement: a refused constraint is a mismatch, all else is not known here.
pub(super) fn refused(error: &sqlx::Error) -> Option<CommitEnd> {
    let database = error.as_database_error()?;
    let constraint = database.is_check_violation() || database.is_unique_violation();
    constraint.then(|| CommitEnd::Mismatch(format!("a constraint refused the batch: {database}")))
}

async fn fence(connection: &mut SqliteConnection, batch: &LedgerBatch) -> Result<SqliteQueryResult, sqlx::Error> {
    sqlx::query(
        "update writer
         set run = ?, next_offset = ?, digest = ?, chain = ?, log = ?, last_record = ?, beat = beat + 1,
             published_through = iif(generation = ?, published_through, 0), generation = ?
         where epoch = ? and writer = ? and next_offset = ? and digest = ? and (run is null or run = ?)",
    )
    .bind(batch.run.to_string())
    .bind(word(batch.next_offset))
    .bind(word(batch.digest))
    .bind(batch.chain.as_slice())
    .bind(batch.log.to_string())
    .bind(batch.last_record.as_slice())
    .bind(batch.generation)
    .bind(batch.generation)
    .bind(word(batch.epoch))
    .bind(batch.writer.to_string())
    .bind(word(batch.first_offset))
    .bind(word(batch.digest_before))
    .bind(batch.run.to_string())
    .execute(connection)
    .await
}

/// Moves an item's row on from what the writer remembers of it; answers how it differs when it is not that.
async fn item(connection: &mut SqliteConnection, change: &ItemChange) -> Result<Option<String>, sqlx::Error> {
    let after = &change.after;
    let Some(before) = &change.before else {
        insert_item(connection, after).await?;
        return Ok(None);
    };
    let moved = numbers(
        sqlx::query(
            "update inventory set total = ?, shortage = ?, held = ?, sold = ?, waiting = ?
             where item = ? and total = ? and shortage = ? and held = ? and sold = ? and waiting = ?",
        ),
        after,
    )
    .bind(before.item);
    let moved = numbers(moved, before).execute(&mut *connection).await?;
    if moved.rows_affected() == 1 {
        return Ok(None);
    }
    let found: Option<(i64, i64, i64, i64, i64)> =
        sqlx::query_as("select total, shortage, held, sold, waiting from inventory where item = ?")
            .bind(before.item)
            .fetch_optional(connection)
            .await?;
    let expected = (before.stock, before.shortage, before.held, before.sold, before.waiting);
    Ok(Some(format!(
        "inventory row {} (total, shortage, held, sold, waiting): expected {expected:?}, found {found:?}",
        before.item
    )))
}

type Query<'q> = sqlx::query::Query<'q, Sqlite, sqlx::sqlite::SqliteArguments>;

fn numbers<'q>(query: Query<'q>, item: &ItemNotice) -> Query<'q> {
    query.bind(item.stock).bind(item.shortage).bind(item.held).bind(item.sold).bind(item.waiting)
}

pub(super) async fn insert_item(connection: &mut SqliteConnection, item: &ItemNotice) -> Result<(), sqlx::Error> {
    let query =
        sqlx::query("insert into inventory (total, shortage, held, sold, waiting, item) values (?, ?, ?, ?, ?, ?)");
    numbers(query, item).bind(item.item).execute(connection).await.map(|_| ())
}

/// New rows carry a name; the others exist and move on. Answers how many do not.
pub(super) async fn holds(connection: &mut SqliteConnection, holds: &[HoldRow]) -> Result<Option<String>, sqlx::Error> {
    let new: Vec<&HoldRow> = holds.iter().filter(|row| row.name.is_some()).collect();
    let moved: Vec<Value> = holds.iter().filter(|row| row.name.is_none()).map(hold_json).collect();
    let orders: Vec<Value> = holds
        .iter()
        .filter_map(|row| row.confirmed_at.map(|at| json!([row.view.hold, at.generation, at.offset, at.index])))
        .collect();
    let refunds: Vec<Value> = holds
        .iter()
        .filter_map(|row| row.view.refund.map(|refund| json!([row.view.hold, refund.state as u8, refund.restock])))
        .collect();
    for some in new.chunks(MANY) {
        insert_holds(connection, some).await?;
    }
    let expected = moved.len() as u64;
    let found = bulk(
        connection,
        "update reservations
         set status = moved.value ->> 1, since = moved.value ->> 2, expires_at = moved.value ->> 3,
             payment = moved.value ->> 4, parent = moved.value ->> 5
         from json_each(?) as moved where reservations.hold = moved.value ->> 0",
        moved,
    )
    .await?;
    if found != expected {
        return missing(connection, holds).await;
    }
    bulk(
        connection,
        "insert into orders (hold, generation, log_offset, place)
         select value ->> 0, value ->> 1, value ->> 2, value ->> 3 from json_each(?) where true
         on conflict (hold) do nothing",
        orders,
    )
    .await?;
    bulk(
        connection,
        "insert into refunds (hold, state, restock)
         select value ->> 0, value ->> 1, value ->> 2 from json_each(?) where true
         on conflict (hold) do update set state = excluded.state, restock = excluded.restock",
        refunds,
    )
    .await?;
    Ok(None)
}

/// Names the first row that a batch would move on and that is not there.
async fn missing(connection: &mut SqliteConnection, holds: &[HoldRow]) -> Result<Option<String>, sqlx::Error> {
    for row in holds.iter().filter(|row| row.name.is_none()) {
        let found = sqlx::query("select 1 from reservations where hold = ?").bind(row.view.hold);
        if found.fetch_optional(&mut *connection).await?.is_none() {
            return Ok(Some(format!("reservations row {}: expected it, found none", row.view.hold)));
        }
    }
    Ok(Some("reservations rows: expected them all, found fewer".to_owned()))
}

/// Grants are most of what is written, and JSON costs ten times as much as places: two statements, prepared once, with
/// places for many rows and for few; those left over are null and left out.
const MANY: usize = 64;
const FEW: usize = 8;
static INSERT_MANY: LazyLock<String> = LazyLock::new(|| insert_statement(MANY));
static INSERT_FEW: LazyLock<String> = LazyLock::new(|| insert_statement(FEW));

fn insert_statement(rows: usize) -> String {
    let places = vec!["(?, ?, ?, ?, ?, ?, ?, ?, ?)"; rows].join(", ");
    format!(
        "insert into reservations (hold, subject, item, status, since, expires_at, payment, parent, request)
         select * from (values {places}) where column1 is not null"
    )
}

async fn insert_holds(connection: &mut SqliteConnection, rows: &[&HoldRow]) -> Result<(), sqlx::Error> {
    let (places, statement) = if rows.len() <= FEW { (FEW, &*INSERT_FEW) } else { (MANY, &*INSERT_MANY) };
    let mut query = sqlx::query(statement.as_str());
    for place in 0..places {
        let row = rows.get(place);
        let view = row.map(|row| &row.view);
        query = query
            .bind(view.map(|view| view.hold))
            .bind(row.and_then(|row| row.name.as_deref()))
            .bind(view.map(|view| view.item))
            .bind(view.map(|view| view.status as u8))
            .bind(view.map(|view| word(view.since)))
            .bind(view.map(|view| view.expires_at))
            .bind(view.and_then(|view| view.payment))
            .bind(view.and_then(|view| view.parent))
            .bind(row.and_then(|row| row.request.as_ref()).map(|request| request.0.as_slice()));
    }
    query.execute(connection).await.map(|_| ())
}

fn hold_json(row: &HoldRow) -> Value {
    let view = &row.view;
    json!([view.hold, view.status as u8, view.since, view.expires_at, view.payment, view.parent])
}

async fn payments(connection: &mut SqliteConnection, batch: &LedgerBatch) -> Result<(), sqlx::Error> {
    insert_payments(connection, &batch.payments).await
}

pub(super) async fn insert_payments(
    connection: &mut SqliteConnection,
    payments: &[flashsale_core::PaymentView],
) -> Result<(), sqlx::Error> {
    let rows = payments
        .iter()
        .map(|paid| json!([paid.payment, hex(&paid.key.0), paid.hold, paid.bought, paid.state as u8]))
        .collect();
    bulk(
        connection,
        "insert into payments (payment, key, hold, bought, state)
         select value ->> 0, unhex(value ->> 1), value ->> 2, value ->> 3, value ->> 4 from json_each(?) where true
         on conflict (payment) do update set bought = excluded.bought, state = excluded.state",
        rows,
    )
    .await
    .map(|_| ())
}

async fn audit(connection: &mut SqliteConnection, batch: &LedgerBatch) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into audit
         (next_offset, generation, first_offset, epoch, digest, records_hash, chain, committed, committed_at)
         values (?, ?, ?, ?, ?, ?, ?, ?, cast(unixepoch('subsec') * 1000 as integer))",
    )
    .bind(word(batch.next_offset))
    .bind(batch.generation)
    .bind(word(batch.first_offset))
    .bind(word(batch.epoch))
    .bind(word(batch.digest))
    .bind(batch.records_hash.as_slice())
    .bind(batch.chain.as_slice())
    .bind(batch.committed.as_ref())
    .execute(connection)
    .await
    .map(|_| ())
}

/// One statement for all rows, which travel as one JSON array; none when there are none. Answers how many it changed.
async fn bulk(
    connection: &mut SqliteConnection,
    statement: &'static str,
    rows: Vec<Value>,
) -> Result<u64, sqlx::Error> {
    if rows.is_empty() {
        return Ok(0);
    }
    let done = sqlx::query(statement).bind(Value::Array(rows).to_string()).execute(connection).await?;
    Ok(done.rows_affected())
}
