//! One batch, one statement, one round trip. Its first part is the fence, and every other part joins it: for a writer
//! that is not the writer any more it changes no row anywhere. Between the lock on the writer's row and the commit lies
//! no word from the client, so that a stopped client holds nothing.

use std::sync::LazyLock;

use sqlx::Postgres;
use sqlx::postgres::PgArguments;

use super::parts::{self, Query};
use super::rows::word;
use crate::ports::LedgerBatch;

// Where each part's places begin.
const MOVED_ITEMS: usize = 14;
const NEW_ITEMS: usize = MOVED_ITEMS + 11;
const NEW_HOLDS: usize = NEW_ITEMS + 6;
const MOVED_HOLDS: usize = NEW_HOLDS + 9;
const ORDERS: usize = MOVED_HOLDS + 6;
const REFUNDS: usize = ORDERS + 4;
const PAYMENTS: usize = REFUNDS + 3;

/// One row is affected, or none when the writer is fenced off.
///
/// The audit row counts the rows that were there as the writer left them: when one was not, the count is null, which its
/// column refuses, and with it the whole batch.
static BATCH: LazyLock<String> = LazyLock::new(|| {
    let join = "fence,";
    format!(
        "with fence as (
             update writer set run = $1, next_offset = $2, digest = $3, chain = $4, log = $5, last_record = $6, generation = $7
             where epoch = $8 and writer = $9 and next_offset = $10 and digest = $11 and (run is null or run = $1)
             returning 1),
         moved_items as ({moved_items} returning 1),
         new_items as ({new_items}),
         new_holds as ({new_holds}),
         moved_holds as ({moved_holds} returning 1),
         new_orders as ({orders}),
         new_refunds as ({refunds}),
         new_payments as ({payments})
         insert into audit
             (next_offset, generation, first_offset, epoch, digest, records_hash, chain, committed, committed_at, items, holds)
         select $2, $7, $10, $8, $3, $12, $4, $13, (extract(epoch from clock_timestamp()) * 1000)::bigint,
                case when (select count(*) from moved_items) = cardinality(${MOVED_ITEMS})
                     then cardinality(${MOVED_ITEMS}) + cardinality(${NEW_ITEMS}) end,
                case when (select count(*) from moved_holds) = cardinality(${MOVED_HOLDS})
                     then cardinality(${MOVED_HOLDS}) + cardinality(${NEW_HOLDS}) end
         from fence",
        moved_items = parts::move_items(join, MOVED_ITEMS),
        new_items = parts::insert_items(join, NEW_ITEMS),
        new_holds = parts::insert_holds(join, NEW_HOLDS),
        moved_holds = parts::move_holds(join, MOVED_HOLDS),
        orders = parts::insert_orders(join, ORDERS),
        refunds = parts::insert_refunds(join, REFUNDS),
        payments = parts::insert_payments(join, PAYMENTS),
    )
});

/// The statement's text: the same for every batch, so that it is prepared once.
pub(super) fn text() -> &'static str {
    BATCH.as_str()
}

/// A batch's statement with its values.
pub(super) fn of(batch: &LedgerBatch) -> sqlx::query::Query<'_, Postgres, PgArguments> {
    let query: Query<'_> = sqlx::query(text())
        .bind(batch.run)
        .bind(word(batch.next_offset))
        .bind(word(batch.digest))
        .bind(batch.chain.as_slice())
        .bind(batch.log)
        .bind(batch.last_record.as_slice())
        .bind(i64::from(batch.generation))
        .bind(word(batch.epoch))
        .bind(batch.writer)
        .bind(word(batch.first_offset))
        .bind(word(batch.digest_before))
        .bind(batch.records_hash.as_slice())
        .bind(batch.committed.as_ref());
    let query = parts::bind_moved_items(query, &batch.items);
    let new: Vec<_> = batch.items.iter().filter(|change| change.before.is_none()).map(|change| change.after).collect();
    let query = parts::bind_items(query, &new);
    let (new, moved): (Vec<_>, Vec<_>) = batch.holds.iter().partition(|row| row.name.is_some());
    let query = parts::bind_new_holds(query, &new);
    let query = parts::bind_moved_holds(query, &moved);
    let query = parts::bind_orders(query, &batch.holds);
    let query = parts::bind_refunds(query, &batch.holds);
    parts::bind_payments(query, &batch.payments)
}
