//! The ledger as everyone else sees it: read connections of their own.

use async_trait::async_trait;
use flashsale_core::{HoldNumber, ItemStatus, PaymentView, RequestKey};
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row, SqliteConnection};

use super::SqliteLedger;
use super::ledger::{off_the_runtime, unavailable};
use super::rows::{HOLD, PAYMENT, checkpoint, count, damaged, hash, hold, payment, unsigned, word};
use crate::ports::{AuditRow, Checkpoint, Gate, History, HoldRow, ItemSums, LedgerError, LedgerRows, Snapshot, Sums};
use crate::record::ItemNotice;

/// The reconciler's own SQL: sums of rows beside the inventory, knowing nothing of the state machine.
const SUMS: &str = "
    select i.item, i.total, i.held, i.sold,
           coalesce(sum(r.status in (1, 2)), 0) as rows_held, coalesce(sum(r.status = 3), 0) as rows_sold
    from inventory i left join reservations r on r.item = i.item
    group by i.item order by i.item";

#[async_trait]
impl History for SqliteLedger {
    async fn writer(&self) -> Result<Option<Checkpoint>, LedgerError> {
        let row = sqlx::query("select * from writer").fetch_optional(&self.readers).await.map_err(unavailable)?;
        row.as_ref().map(checkpoint).transpose()
    }

    async fn hold(&self, number: HoldNumber) -> Result<Option<HoldRow>, LedgerError> {
        let query = format!("{HOLD} where r.hold = ?");
        let row = sqlx::query(AssertSqlSafe(query)).bind(number).fetch_optional(&self.readers).await;
        row.map_err(unavailable)?.as_ref().map(hold).transpose()
    }

    async fn request(&self, request: RequestKey) -> Result<Option<HoldRow>, LedgerError> {
        let query = format!("{HOLD} where r.request = ?");
        let row = sqlx::query(AssertSqlSafe(query)).bind(request.0.as_slice()).fetch_optional(&self.readers).await;
        row.map_err(unavailable)?.as_ref().map(hold).transpose()
    }

    async fn subject(&self, name: &str, limit: u32) -> Result<Vec<HoldRow>, LedgerError> {
        let query = format!("{HOLD} where r.subject = ? order by r.hold desc limit ?");
        let rows = sqlx::query(AssertSqlSafe(query)).bind(name).bind(limit).fetch_all(&self.readers).await;
        rows.map_err(unavailable)?.iter().map(hold).collect()
    }

    async fn payments(&self, number: HoldNumber) -> Result<Vec<PaymentView>, LedgerError> {
        let query = format!("{PAYMENT} where hold = ? or bought = ? order by payment");
        let rows = sqlx::query(AssertSqlSafe(query)).bind(number).bind(number).fetch_all(&self.readers).await;
        rows.map_err(unavailable)?.iter().map(payment).collect()
    }

    async fn open_payments(&self) -> Result<Vec<PaymentView>, LedgerError> {
        let query = format!("{PAYMENT} where state in (0, 1, 3) order by payment");
        let rows = sqlx::query(AssertSqlSafe(query)).fetch_all(&self.readers).await;
        rows.map_err(unavailable)?.iter().map(payment).collect()
    }

    async fn audit(&self, generation: u32, from: u64, limit: u32) -> Result<Vec<AuditRow>, LedgerError> {
        let rows =
            sqlx::query("select * from audit where generation = ? and next_offset > ? order by next_offset limit ?")
                .bind(generation)
                .bind(word(from))
                .bind(limit)
                .fetch_all(&self.readers)
                .await
                .map_err(unavailable)?;
        rows.iter().map(audit_row).collect()
    }

    async fn snapshot(&self, next_offset: u64) -> Result<Option<Snapshot>, LedgerError> {
        let Some(writer) = self.writer().await? else { return Ok(None) };
        let snapshots = self.snapshots.clone();
        off_the_runtime(move || snapshots.newest(writer.generation, next_offset)).await
    }

    async fn rows(&self) -> Result<LedgerRows, LedgerError> {
        let mut connection = self.readers.begin().await.map_err(unavailable)?;
        rows(&mut connection).await
    }

    async fn books(&self) -> Result<Option<(Checkpoint, LedgerRows)>, LedgerError> {
        // One read transaction sees one moment, however long it reads and whatever is committed meanwhile.
        let mut connection = self.readers.begin().await.map_err(unavailable)?;
        let row = sqlx::query("select * from writer").fetch_optional(&mut *connection).await.map_err(unavailable)?;
        let Some(row) = row.as_ref().map(checkpoint).transpose()? else { return Ok(None) };
        Ok(Some((row, rows(&mut connection).await?)))
    }

    async fn sums(&self) -> Result<Sums, LedgerError> {
        let mut connection = self.readers.begin().await.map_err(unavailable)?;
        let at = sqlx::query("select next_offset from writer").fetch_one(&mut *connection).await;
        let next_offset = unsigned(&at.map_err(unavailable)?, "next_offset")?;
        let rows = sqlx::query(SUMS).fetch_all(&mut *connection).await.map_err(unavailable)?;
        let read = |row: &SqliteRow| {
            Ok(ItemSums {
                item: count(row, "item")?,
                total: count(row, "total")?,
                held: count(row, "held")?,
                sold: count(row, "sold")?,
                rows_held: count(row, "rows_held")?,
                rows_sold: count(row, "rows_sold")?,
            })
        };
        Ok(Sums { next_offset, items: rows.iter().map(read).collect::<Result<_, LedgerError>>()? })
    }

    async fn overdue(&self, now: i64) -> Result<bool, LedgerError> {
        let row = sqlx::query("select exists (select 1 from reservations where status in (1, 2) and expires_at <= ?)")
            .bind(now)
            .fetch_one(&self.readers)
            .await
            .map_err(unavailable)?;
        row.try_get(0).map_err(damaged)
    }

    async fn gate(&self) -> Result<Option<Gate>, LedgerError> {
        let row = sqlx::query("select * from gate").fetch_optional(&self.readers).await.map_err(unavailable)?;
        let read = |row: &SqliteRow| -> Result<Gate, sqlx::Error> {
            Ok(Gate {
                since: row.try_get("since")?,
                by: row.try_get("by_whom")?,
                reason: row.try_get("reason")?,
                invariant: row.try_get("invariant")?,
            })
        };
        row.as_ref().map(read).transpose().map_err(damaged)
    }

    async fn set_gate(&self, gate: Option<&Gate>) -> Result<(), LedgerError> {
        let mut connection = self.writing.lock().await;
        let Some(gate) = gate else {
            return sqlx::query("delete from gate").execute(&mut *connection).await.map_err(unavailable).map(|_| ());
        };
        sqlx::query("insert or replace into gate (one, since, by_whom, reason, invariant) values (1, ?, ?, ?, ?)")
            .bind(gate.since)
            .bind(&gate.by)
            .bind(&gate.reason)
            .bind(gate.invariant)
            .execute(&mut *connection)
            .await
            .map_err(unavailable)
            .map(|_| ())
    }
}

async fn rows(connection: &mut SqliteConnection) -> Result<LedgerRows, LedgerError> {
    let items = sqlx::query("select * from inventory order by item").fetch_all(&mut *connection).await;
    let holds = sqlx::query(AssertSqlSafe(format!("{HOLD} order by r.hold"))).fetch_all(&mut *connection).await;
    let paid = sqlx::query(AssertSqlSafe(format!("{PAYMENT} order by payment"))).fetch_all(&mut *connection).await;
    Ok(LedgerRows {
        items: items.map_err(unavailable)?.iter().map(item).collect::<Result<_, _>>()?,
        holds: holds.map_err(unavailable)?.iter().map(hold).collect::<Result<_, _>>()?,
        payments: paid.map_err(unavailable)?.iter().map(payment).collect::<Result<_, _>>()?,
    })
}

/// An inventory row; what shoppers see of it is not a row's to say.
fn item(row: &SqliteRow) -> Result<ItemNotice, LedgerError> {
    let (stock, shortage, held, sold): (u32, u32, u32, u32) =
        (count(row, "total")?, count(row, "shortage")?, count(row, "held")?, count(row, "sold")?);
    Ok(ItemNotice {
        item: count(row, "item")?,
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

fn audit_row(row: &SqliteRow) -> Result<AuditRow, LedgerError> {
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
