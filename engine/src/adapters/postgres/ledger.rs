//! The ledger as its writer sees it: a connection that commits, and one beside it for what nobody waits for.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Row};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout;
use uuid::Uuid;

use super::link::Link;
use super::readers::Readers;
use super::rows::{WRITER, checkpoint, damaged, word};
use super::servers::{Purpose, Servers};
use super::{migration, mismatch, parts, statement, unavailable};
use crate::ports::{Checkpoint, CommitEnd, HoldRow, Ledger, LedgerBatch, LedgerError, LedgerRows, Snapshot};
use crate::sale::Names;

/// How long the server may take to answer a commit before its end counts as unknown.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// How long it may take to say why.
const WHY_WITHIN: Duration = Duration::from_millis(500);
/// Connections that one process reads with.
const READERS: usize = 8;
/// Snapshots kept.
const SNAPSHOTS: i64 = 3;

/// The ledger of one run in PostgreSQL.
pub struct PostgresLedger {
    pub(super) servers: Servers,
    /// Commits, and what must be as sure as a commit.
    writing: Mutex<Link>,
    /// Beats and marks.
    beside: Mutex<Link>,
    /// Snapshots: too large to stand before a beat.
    keeping: Mutex<Link>,
    pub(super) readers: Readers,
    pub(super) reconciler: Readers,
}

impl PostgresLedger {
    /// Opens the ledger of a run, and makes its schema when there is none. `urls`: one a server, in any order.
    ///
    /// # Errors
    /// When no primary answers, or the schema is not one of this version.
    pub async fn open(urls: &[String], names: &Names) -> Result<Self, LedgerError> {
        let ledger = Self::new(urls, names)?;
        let (mut connection, _) = ledger.servers.connect(Purpose::Migrate).await?;
        migration::migrate(&mut connection, ledger.servers.schema()).await?;
        connection.close().await.map_err(unavailable)?;
        Ok(ledger)
    }

    /// Opens the ledger of a run that has one, to read it beside its engine.
    ///
    /// # Errors
    /// When no primary answers, or the run has no ledger there.
    pub async fn open_reader(urls: &[String], names: &Names) -> Result<Self, LedgerError> {
        let ledger = Self::new(urls, names)?;
        let mut reader = ledger.readers.get().await?;
        if !migration::exists(reader.connection(&ledger.servers).await?).await? {
            return Err(LedgerError::Unavailable("this run has no ledger yet".to_owned()));
        }
        drop(reader);
        Ok(ledger)
    }

    fn new(urls: &[String], names: &Names) -> Result<Self, LedgerError> {
        Ok(Self {
            servers: Servers::new(urls, names, rand::random())?,
            writing: Mutex::new(Link::new(Purpose::Write)),
            beside: Mutex::new(Link::new(Purpose::Beside)),
            keeping: Mutex::new(Link::new(Purpose::Beside)),
            readers: Readers::new(Purpose::Read, READERS),
            reconciler: Readers::new(Purpose::Reconcile, 1),
        })
    }

    /// Sends a batch on a connection that owes no answer.
    async fn send(&self, link: &mut MutexGuard<'_, Link>, batch: &LedgerBatch) -> Result<CommitEnd, LedgerError> {
        link.ready(&self.servers).await?;
        link.send();
        let connection = link.ready_connection()?;
        let sent = timeout(ANSWER_WITHIN, statement::of(batch).execute(&mut *connection)).await;
        let Ok(sent) = sent else { return Ok(CommitEnd::Unknown(self.why_late(link).await)) };
        match sent {
            Ok(done) if done.rows_affected() == 1 => {
                link.answered();
                Ok(CommitEnd::Committed)
            }
            Ok(_) => {
                link.answered();
                let row = row(link.ready(&self.servers).await?).await.map_err(|error| link.lost(error))?;
                Ok(CommitEnd::Fenced(Box::new(checkpoint(&row)?)))
            }
            Err(error) if mismatch::is_refusal(&error) => {
                link.answered();
                let connection = link.ready(&self.servers).await?;
                let what = mismatch::describe(connection, batch, &error).await.map_err(|error| link.lost(error))?;
                Ok(CommitEnd::Mismatch(what))
            }
            Err(error) => {
                link.failed(&error);
                Ok(CommitEnd::Unknown(error.to_string()))
            }
        }
    }

    /// What a commit waits for, as far as the server says.
    async fn why_late(&self, link: &Link) -> String {
        let late = format!("no answer in {ANSWER_WITHIN:?}");
        let Some(session) = link.session() else { return late };
        let asked = async {
            let mut beside = self.beside.lock().await;
            let connection = beside.ready(&self.servers).await.ok()?;
            let row = sqlx::query("select wait_event from pg_stat_activity where pid = $1").bind(session.pid);
            row.fetch_optional(connection).await.ok()??.try_get::<Option<String>, _>(0).ok()?
        };
        match timeout(WHY_WITHIN, asked).await {
            Ok(Some(event)) if event == "SyncRep" => {
                format!("{late}: no synchronous standby confirms it")
            }
            Ok(Some(event)) => format!("{late}: the server waits for {event}"),
            Ok(None) | Err(_) => late,
        }
    }

    /// What the rows say of a batch whose session is over.
    async fn read_end(&self, link: &mut MutexGuard<'_, Link>, batch: &LedgerBatch) -> Result<CommitEnd, LedgerError> {
        let found = row(link.ready(&self.servers).await?).await.map_err(|error| link.lost(error))?;
        let found = checkpoint(&found)?;
        let mine = found.epoch == batch.epoch && found.writer == batch.writer;
        if mine && found.next_offset == batch.first_offset && found.digest == batch.digest_before {
            return self.send(link, batch).await;
        }
        if !(mine && found.next_offset == batch.next_offset && found.digest == batch.digest) {
            return Ok(CommitEnd::Fenced(Box::new(found)));
        }
        // Seen here is not yet safe: a standby may not have it. A commit of one's own is confirmed behind it.
        link.send();
        let confirm = sqlx::query("update progress set beat = beat + 1").execute(link.ready_connection()?);
        match timeout(ANSWER_WITHIN, confirm).await {
            Ok(Ok(_)) => {
                link.answered();
                Ok(CommitEnd::Committed)
            }
            Ok(Err(error)) => Err(link.lost(error)),
            Err(_) => Ok(CommitEnd::Unknown(self.why_late(link).await)),
        }
    }
}

async fn row(connection: &mut PgConnection) -> Result<sqlx::postgres::PgRow, sqlx::Error> {
    sqlx::query(WRITER).fetch_one(connection).await
}

#[async_trait]
impl Ledger for PostgresLedger {
    async fn checkpoint(&self) -> Result<Checkpoint, LedgerError> {
        let mut link = self.writing.lock().await;
        let row = row(link.ready(&self.servers).await?).await.map_err(|error| link.lost(error))?;
        checkpoint(&row)
    }

    async fn take_over(&self, seen: u64, writer: Uuid) -> Result<Option<Checkpoint>, LedgerError> {
        let mut link = self.writing.lock().await;
        // The old writer's sessions end first, unless another was faster; a lock of theirs would be waited for otherwise.
        let ended = sqlx::query(
            "select pg_terminate_backend(a.pid) from pg_stat_activity a, writer w
             where w.epoch = $1 and starts_with(a.application_name, $2) and a.application_name <> $3",
        )
        .bind(word(seen))
        .bind(&self.servers.writers)
        .bind(self.servers.writer())
        .fetch_all(link.ready(&self.servers).await?)
        .await
        .map_err(|error| link.lost(error))?;
        if !ended.is_empty() {
            tracing::info!(sessions = ended.len(), "ended the sessions of the writer before");
        }
        link.send();
        let taken = sqlx::query("update writer set epoch = epoch + 1, writer = $1 where epoch = $2")
            .bind(writer)
            .bind(word(seen))
            .execute(link.ready_connection()?)
            .await
            .map_err(|error| link.lost(error))?;
        link.answered();
        if taken.rows_affected() == 0 {
            return Ok(None);
        }
        let row = row(link.ready(&self.servers).await?).await.map_err(|error| link.lost(error))?;
        checkpoint(&row).map(Some)
    }

    async fn commit(&self, batch: &LedgerBatch) -> Result<CommitEnd, LedgerError> {
        self.send(&mut self.writing.lock().await, batch).await
    }

    async fn resolve(&self, batch: &LedgerBatch) -> Result<CommitEnd, LedgerError> {
        let mut link = self.writing.lock().await;
        let heard = timeout(ANSWER_WITHIN, link.ready(&self.servers)).await;
        match heard {
            Ok(heard) => heard.map(|_| ())?,
            Err(_) => return Ok(CommitEnd::Unknown(self.why_late(&link).await)),
        }
        self.read_end(&mut link, batch).await
    }

    async fn beat(&self, epoch: u64, writer: Uuid) -> Result<bool, LedgerError> {
        let mut link = self.beside.lock().await;
        let beaten = sqlx::query("update progress set beat = beat + 1 from writer where epoch = $1 and writer = $2")
            .bind(word(epoch))
            .bind(writer)
            .execute(link.ready(&self.servers).await?)
            .await
            .map_err(|error| link.lost(error))?;
        Ok(beaten.rows_affected() == 1)
    }

    async fn resign(&self, epoch: u64, writer: Uuid) -> Result<bool, LedgerError> {
        let mut link = self.writing.lock().await;
        let resigned = sqlx::query("update writer set writer = $1 where epoch = $2 and writer = $3")
            .bind(Uuid::nil())
            .bind(word(epoch))
            .bind(writer)
            .execute(link.ready(&self.servers).await?)
            .await
            .map_err(|error| link.lost(error))?;
        Ok(resigned.rows_affected() == 1)
    }

    async fn published(&self, epoch: u64, offset: u64) -> Result<(), LedgerError> {
        let mut link = self.beside.lock().await;
        sqlx::query(
            "update progress p set generation = w.generation, published_through =
                 case when p.generation = w.generation then greatest(p.published_through, $1) else $1 end
             from writer w where w.epoch = $2",
        )
        .bind(word(offset))
        .bind(word(epoch))
        .execute(link.ready(&self.servers).await?)
        .await
        .map_err(|error| link.lost(error))
        .map(|_| ())
    }

    async fn save_snapshot(&self, snapshot: &Snapshot) -> Result<(), LedgerError> {
        let mut link = self.keeping.lock().await;
        sqlx::query(
            "with kept as (
                 insert into snapshots (generation, next_offset, digest, state) values ($1, $2, $3, $4)
                 on conflict (generation, next_offset) do update set digest = excluded.digest, state = excluded.state)
             delete from snapshots where (generation, next_offset) < (
                 select generation, next_offset from (
                     select generation, next_offset from snapshots union select $1, $2) as every
                 order by generation desc, next_offset desc offset $5 - 1 limit 1)",
        )
        .bind(i64::from(snapshot.generation))
        .bind(word(snapshot.next_offset))
        .bind(word(snapshot.digest))
        .bind(snapshot.state.as_ref())
        .bind(SNAPSHOTS)
        .execute(link.ready(&self.servers).await?)
        .await
        .map_err(|error| link.lost(error))
        .map(|_| ())
    }

    async fn rewrite(&self, epoch: u64, writer: Uuid, rows: &LedgerRows) -> Result<bool, LedgerError> {
        if rows.holds.iter().any(|row| row.name.is_none()) {
            return Err(damaged("a reservation without its subject cannot be rewritten"));
        }
        let mut link = self.writing.lock().await;
        let connection = link.ready(&self.servers).await?;
        let rewritten = rewrite(connection, epoch, writer, rows).await;
        rewritten.map_err(|error| link.lost(error))
    }
}

/// All rows anew, in one transaction behind the fence.
async fn rewrite(
    connection: &mut PgConnection,
    epoch: u64,
    writer: Uuid,
    rows: &LedgerRows,
) -> Result<bool, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let fence = sqlx::query("update writer set epoch = epoch where epoch = $1 and writer = $2")
        .bind(word(epoch))
        .bind(writer)
        .execute(&mut *transaction)
        .await?;
    if fence.rows_affected() == 0 {
        transaction.rollback().await?;
        return Ok(false);
    }
    for statement in [
        "delete from inventory",
        "delete from reservations",
        "delete from orders",
        "delete from refunds",
        "delete from payments",
    ] {
        sqlx::query(statement).execute(&mut *transaction).await?;
    }
    let holds: Vec<&HoldRow> = rows.holds.iter().collect();
    let query = |text: String| sqlx::query(sqlx::AssertSqlSafe(text));
    for query in [
        parts::bind_items(query(parts::insert_items("", 1)), &rows.items),
        parts::bind_new_holds(query(parts::insert_holds("", 1)), &holds),
        parts::bind_orders(query(parts::insert_orders("", 1)), &rows.holds),
        parts::bind_refunds(query(parts::insert_refunds("", 1)), &rows.holds),
        parts::bind_payments(query(parts::insert_payments("", 1)), &rows.payments),
    ] {
        query.execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(true)
}
