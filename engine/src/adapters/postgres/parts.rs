//! The parts of what is written, a table each: rows travel as one array a column. `join` puts the batch's fence before
//! the rows; a rewrite, which has its fence before it, has none.

use flashsale_core::PaymentView;
use sqlx::Postgres;
use sqlx::postgres::PgArguments;
use uuid::Uuid;

use super::rows::word;
use crate::ports::{HoldRow, ItemChange};
use crate::record::ItemNotice;

pub(super) type Query<'q> = sqlx::query::Query<'q, Postgres, PgArguments>;

/// `unnest(...)` over places from `first` on, a type each.
fn unnest(first: usize, types: &[&str]) -> String {
    let places: Vec<String> = (first..).zip(types).map(|(place, kind)| format!("${place}::{kind}[]")).collect();
    format!("unnest({})", places.join(", "))
}

const B: &str = "bigint";
const I: &str = "integer";
const S: &str = "smallint";

/// Moves an item's row on from what the writer remembers of it; a row that is not that stays, and is not counted.
pub(super) fn move_items(join: &str, first: usize) -> String {
    let rows = unnest(first, &[I, B, B, B, B, B, B, B, B, B, B]);
    format!(
        "update inventory i
         set total = c.total, shortage = c.shortage, held = c.held, sold = c.sold, waiting = c.waiting
         from {join} {rows} as c (item, total, shortage, held, sold, waiting,
                                  was_total, was_shortage, was_held, was_sold, was_waiting)
         where i.item = c.item and i.total = c.was_total and i.shortage = c.was_shortage
           and i.held = c.was_held and i.sold = c.was_sold and i.waiting = c.was_waiting"
    )
}

pub(super) fn bind_moved_items<'q>(query: Query<'q>, items: &[ItemChange]) -> Query<'q> {
    let pairs = || items.iter().filter_map(|change| change.before.map(|before| (before, change.after)));
    let (before, after): (Vec<ItemNotice>, Vec<ItemNotice>) = pairs().unzip();
    bind_numbers(bind_items(query, &after), &before)
}

pub(super) fn insert_items(join: &str, first: usize) -> String {
    let rows = unnest(first, &[I, B, B, B, B, B]);
    format!(
        "insert into inventory (item, total, shortage, held, sold, waiting)
         select c.* from {join} {rows} as c (item, total, shortage, held, sold, waiting)"
    )
}

pub(super) fn bind_items<'q>(query: Query<'q>, items: &[ItemNotice]) -> Query<'q> {
    let query = query.bind(items.iter().map(|item| i32::from(item.item)).collect::<Vec<_>>());
    bind_numbers(query, items)
}

fn bind_numbers<'q>(query: Query<'q>, items: &[ItemNotice]) -> Query<'q> {
    let column = |of: fn(&ItemNotice) -> u32| items.iter().map(|item| i64::from(of(item))).collect::<Vec<i64>>();
    query
        .bind(column(|item| item.stock))
        .bind(column(|item| item.shortage))
        .bind(column(|item| item.held))
        .bind(column(|item| item.sold))
        .bind(column(|item| item.waiting))
}

pub(super) fn insert_holds(join: &str, first: usize) -> String {
    let rows = unnest(first, &[B, "text", I, S, B, B, B, B, "uuid"]);
    format!(
        "insert into reservations (hold, subject, item, status, since, expires_at, payment, parent, request)
         select c.* from {join} {rows} as c (hold, subject, item, status, since, expires_at, payment, parent, request)"
    )
}

pub(super) fn bind_new_holds<'q>(query: Query<'q>, rows: &[&'q HoldRow]) -> Query<'q> {
    query
        .bind(numbers(rows))
        .bind(rows.iter().map(|row| row.name.as_deref().unwrap_or_default()).collect::<Vec<&str>>())
        .bind(rows.iter().map(|row| i32::from(row.view.item)).collect::<Vec<_>>())
        .bind(statuses(rows))
        .bind(rows.iter().map(|row| word(row.view.since)).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.view.expires_at).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.view.payment.map(i64::from)).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.view.parent.map(i64::from)).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.request.map(|request| Uuid::from_bytes(request.0))).collect::<Vec<_>>())
}

/// A row that is not there is not counted.
pub(super) fn move_holds(join: &str, first: usize) -> String {
    let rows = unnest(first, &[B, S, B, B, B, B]);
    format!(
        "update reservations r
         set status = c.status, since = c.since, expires_at = c.expires_at, payment = c.payment, parent = c.parent
         from {join} {rows} as c (hold, status, since, expires_at, payment, parent)
         where r.hold = c.hold"
    )
}

pub(super) fn bind_moved_holds<'q>(query: Query<'q>, rows: &[&HoldRow]) -> Query<'q> {
    query
        .bind(numbers(rows))
        .bind(statuses(rows))
        .bind(rows.iter().map(|row| word(row.view.since)).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.view.expires_at).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.view.payment.map(i64::from)).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.view.parent.map(i64::from)).collect::<Vec<_>>())
}

fn numbers(rows: &[&HoldRow]) -> Vec<i64> {
    rows.iter().map(|row| i64::from(row.view.hold)).collect()
}

fn statuses(rows: &[&HoldRow]) -> Vec<i16> {
    rows.iter().map(|row| row.view.status as i16).collect()
}

pub(super) fn insert_orders(join: &str, first: usize) -> String {
    let rows = unnest(first, &[B, B, B, B]);
    format!(
        "insert into orders (hold, generation, log_offset, place)
         select c.* from {join} {rows} as c (hold, generation, log_offset, place)
         on conflict (hold) do nothing"
    )
}

pub(super) fn bind_orders<'q>(query: Query<'q>, rows: &[HoldRow]) -> Query<'q> {
    let orders: Vec<_> = rows.iter().filter_map(|row| row.confirmed_at.map(|at| (row.view.hold, at))).collect();
    query
        .bind(orders.iter().map(|(hold, _)| i64::from(*hold)).collect::<Vec<_>>())
        .bind(orders.iter().map(|(_, at)| i64::from(at.generation)).collect::<Vec<_>>())
        .bind(orders.iter().map(|(_, at)| word(at.offset)).collect::<Vec<_>>())
        .bind(orders.iter().map(|(_, at)| i64::from(at.index)).collect::<Vec<_>>())
}

pub(super) fn insert_refunds(join: &str, first: usize) -> String {
    let rows = unnest(first, &[B, S, "boolean"]);
    format!(
        "insert into refunds (hold, state, restock)
         select c.* from {join} {rows} as c (hold, state, restock)
         on conflict (hold) do update set state = excluded.state, restock = excluded.restock"
    )
}

pub(super) fn bind_refunds<'q>(query: Query<'q>, rows: &[HoldRow]) -> Query<'q> {
    let refunds: Vec<_> = rows.iter().filter_map(|row| row.view.refund.map(|refund| (row.view.hold, refund))).collect();
    query
        .bind(refunds.iter().map(|(hold, _)| i64::from(*hold)).collect::<Vec<_>>())
        .bind(refunds.iter().map(|(_, refund)| refund.state as i16).collect::<Vec<_>>())
        .bind(refunds.iter().map(|(_, refund)| refund.restock).collect::<Vec<_>>())
}

pub(super) fn insert_payments(join: &str, first: usize) -> String {
    let rows = unnest(first, &[B, "uuid", B, B, S]);
    format!(
        "insert into payments (payment, key, hold, bought, state)
         select c.* from {join} {rows} as c (payment, key, hold, bought, state)
         on conflict (payment) do update set bought = excluded.bought, state = excluded.state"
    )
}

pub(super) fn bind_payments<'q>(query: Query<'q>, payments: &[PaymentView]) -> Query<'q> {
    query
        .bind(payments.iter().map(|paid| i64::from(paid.payment)).collect::<Vec<_>>())
        .bind(payments.iter().map(|paid| Uuid::from_bytes(paid.key.0)).collect::<Vec<_>>())
        .bind(payments.iter().map(|paid| i64::from(paid.hold)).collect::<Vec<_>>())
        .bind(payments.iter().map(|paid| paid.bought.map(i64::from)).collect::<Vec<_>>())
        .bind(payments.iter().map(|paid| paid.state as i16).collect::<Vec<_>>())
}
