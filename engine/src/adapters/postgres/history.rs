//! The ledger as everyone else sees it: read connections of their own, and one of the reconciler's role.

use async_trait::async_trait;
use flashsale_core::{HoldNumber, PaymentView, RequestKey};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Connection, Row};
use uuid::Uuid;

use super::rows::{self, HOLD, PAYMENT, WRITER, checkpoint, damaged, hold, payment, unsigned, word};
use super::{PostgresLedger, unavailable};
use crate::ports::{AuditRow, Checkpoint, Gate, History, HoldRow, LedgerError, LedgerRows, Snapshot, Sums};

/// The reconciler's own SQL: sums of rows beside the inventory, knowing nothing of the state machine.
const SUMS: &str = "
    select i.item, i.total, i.held, i.sold,
           count(r.hold) filter (where r.status in (1, 2)) as rows_held,
           count(r.hold) filter (where r.status = 3) as rows_sold
    from inventory i left join reservations r on r.item = i.item
    group by i.item, i.total, i.held, i.sold order by i.item";

/// All reads of a transaction see one moment, however long it reads and whatever is committed meanwhile.
const ONE_MOMENT: &str = "begin isolation level repeatable read, read only";

type Query = sqlx::query::Query<'static, sqlx::Postgres, sqlx::postgres::PgArguments>;

impl PostgresLedger {
    async fn all<T>(&self, query: Query, read: fn(&PgRow) -> Result<T, LedgerError>) -> Result<Vec<T>, LedgerError> {
        let mut reader = self.readers.get().await?;
        fetch(reader.connection(&self.servers).await?, query, read).await
    }

    async fn one<T>(&self, query: Query, read: fn(&PgRow) -> Result<T, LedgerError>) -> Result<Option<T>, LedgerError> {
        Ok(self.all(query, read).await?.pop())
    }
}

async fn fetch<T>(
    connection: &mut PgConnection,
    query: Query,
    read: fn(&PgRow) -> Result<T, LedgerError>,
) -> Result<Vec<T>, LedgerError> {
    let rows = query.fetch_all(connection).await.map_err(unavailable)?;
    rows.iter().map(read).collect()
}

fn of(text: String) -> Query {
    sqlx::query(AssertSqlSafe(text))
}

#[async_trait]
impl History for PostgresLedger {
    async fn writer(&self) -> Result<Option<Checkpoint>, LedgerError> {
        self.one(sqlx::query(WRITER), checkpoint).await
    }

    async fn hold(&self, number: HoldNumber) -> Result<Option<HoldRow>, LedgerError> {
        self.one(of(format!("{HOLD} where r.hold = $1")).bind(i64::from(number)), hold).await
    }

    async fn request(&self, request: RequestKey) -> Result<Option<HoldRow>, LedgerError> {
        self.one(of(format!("{HOLD} where r.request = $1")).bind(Uuid::from_bytes(request.0)), hold).await
    }

    async fn subject(&self, name: &str, limit: u32) -> Result<Vec<HoldRow>, LedgerError> {
        let query = of(format!("{HOLD} where r.subject = $1 order by r.hold desc limit $2"));
        self.all(query.bind(name.to_owned()).bind(i64::from(limit)), hold).await
    }

    async fn payments(&self, number: HoldNumber) -> Result<Vec<PaymentView>, LedgerError> {
        let query = of(format!("{PAYMENT} where hold = $1 or bought = $1 order by payment"));
        self.all(query.bind(i64::from(number)), payment).await
    }

    async fn open_payments(&self) -> Result<Vec<PaymentView>, LedgerError> {
        self.all(of(format!("{PAYMENT} where state in (0, 1, 3) order by payment")), payment).await
    }

    async fn audit(&self, generation: u32, from: u64, limit: u32) -> Result<Vec<AuditRow>, LedgerError> {
        let query =
            sqlx::query("select * from audit where generation = $1 and next_offset > $2 order by next_offset limit $3");
        let query = query.bind(i64::from(generation)).bind(word(from)).bind(i64::from(limit));
        self.all(query, rows::audit).await
    }

    async fn snapshot(&self, next_offset: u64) -> Result<Option<Snapshot>, LedgerError> {
        let query = sqlx::query(
            "select * from snapshots where generation = (select generation from writer) and next_offset <= $1
             order by next_offset desc limit 1",
        );
        self.one(query.bind(word(next_offset)), rows::snapshot).await
    }

    async fn rows(&self) -> Result<LedgerRows, LedgerError> {
        Ok(self.books().await?.map(|(_, rows)| rows).unwrap_or_default())
    }

    async fn books(&self) -> Result<Option<(Checkpoint, LedgerRows)>, LedgerError> {
        let mut reader = self.readers.get().await?;
        let connection = reader.connection(&self.servers).await?;
        let mut moment = connection.begin_with(ONE_MOMENT).await.map_err(unavailable)?;
        let Some(row) = fetch(&mut moment, sqlx::query(WRITER), checkpoint).await?.pop() else { return Ok(None) };
        let rows = LedgerRows {
            items: fetch(&mut moment, sqlx::query("select * from inventory order by item"), rows::item).await?,
            holds: fetch(&mut moment, of(format!("{HOLD} order by r.hold")), hold).await?,
            payments: fetch(&mut moment, of(format!("{PAYMENT} order by payment")), payment).await?,
        };
        moment.rollback().await.map_err(unavailable)?;
        Ok(Some((row, rows)))
    }

    async fn sums(&self) -> Result<Sums, LedgerError> {
        let mut reader = self.reconciler.get().await?;
        let connection = reader.connection(&self.servers).await?;
        let mut moment = connection.begin_with(ONE_MOMENT).await.map_err(unavailable)?;
        let at = sqlx::query("select next_offset from writer").fetch_one(&mut *moment).await.map_err(unavailable)?;
        let sums = Sums {
            next_offset: unsigned(&at, "next_offset")?,
            items: fetch(&mut moment, sqlx::query(SUMS), rows::sums).await?,
        };
        moment.rollback().await.map_err(unavailable)?;
        Ok(sums)
    }

    async fn overdue(&self, now: i64) -> Result<bool, LedgerError> {
        let query = sqlx::query("select exists (select from reservations where status in (1, 2) and expires_at <= $1)")
            .bind(now);
        let found = self.one(query, |row| row.try_get(0).map_err(damaged)).await?;
        Ok(found.unwrap_or_default())
    }

    async fn gate(&self) -> Result<Option<Gate>, LedgerError> {
        self.one(sqlx::query("select * from gate"), rows::gate).await
    }

    async fn set_gate(&self, gate: Option<&Gate>) -> Result<(), LedgerError> {
        let mut reader = self.readers.get().await?;
        let connection = reader.connection(&self.servers).await?;
        let mut writing = connection.begin_with("begin read write").await.map_err(unavailable)?;
        let set = match gate {
            None => sqlx::query("delete from gate"),
            Some(gate) => sqlx::query(
                "insert into gate (since, by_whom, reason, invariant) values ($1, $2, $3, $4)
                 on conflict (one) do update set since = excluded.since, by_whom = excluded.by_whom,
                                                 reason = excluded.reason, invariant = excluded.invariant",
            )
            .bind(gate.since)
            .bind(&gate.by)
            .bind(&gate.reason)
            .bind(gate.invariant),
        };
        set.execute(&mut *writing).await.map_err(unavailable)?;
        writing.commit().await.map_err(unavailable)
    }
}
