//! A batch that the tables refused: which row is not as its writer left it.

use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::rows;
use crate::ports::LedgerBatch;
use crate::record::ItemNotice;

/// Whether a constraint refused the statement: nothing of it happened.
pub(super) fn is_refusal(error: &sqlx::Error) -> bool {
    // Class 23: a check, a key that is there already, or a count that falls short (see `statement`).
    let database = error.as_database_error().and_then(|database| database.code());
    database.is_some_and(|code| code.starts_with("23"))
}

/// Says row, expected and found of the first row that is not as before the batch, else what the server said.
pub(super) async fn describe(
    connection: &mut PgConnection,
    batch: &LedgerBatch,
    error: &sqlx::Error,
) -> Result<String, sqlx::Error> {
    for change in &batch.items {
        let Some(before) = &change.before else { continue };
        let row = sqlx::query("select * from inventory where item = $1").bind(i32::from(before.item));
        let found = row.fetch_optional(&mut *connection).await?;
        let found = found.and_then(|row| rows::item(&row).ok()).map(|found| numbers(&found));
        if found != Some(numbers(before)) {
            return Ok(format!(
                "inventory row {} (total, shortage, held, sold, waiting): expected {:?}, found {found:?}",
                before.item,
                numbers(before)
            ));
        }
    }
    let moved: Vec<i64> =
        batch.holds.iter().filter(|row| row.name.is_none()).map(|row| i64::from(row.view.hold)).collect();
    let missing = sqlx::query(
        "select c.hold from unnest($1::bigint[]) as c (hold) left join reservations r on r.hold = c.hold
         where r.hold is null order by c.hold limit 1",
    );
    if let Some(row) = missing.bind(moved).fetch_optional(connection).await? {
        return Ok(format!("reservations row {}: expected it, found none", row.try_get::<i64, _>(0)?));
    }
    Ok(format!("a constraint refused the batch: {error}"))
}

fn numbers(item: &ItemNotice) -> (u32, u32, u32, u32, u32) {
    (item.stock, item.shortage, item.held, item.sold, item.waiting)
}
