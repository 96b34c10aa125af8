//! One sale on PostgreSQL servers of a story's own, and what a story needs to know of them.

use std::sync::Arc;
use std::time::Duration;

use flashsale::stack::plan::{Plan, Postgres};
use flashsale_engine::adapters::postgres::PostgresLedger;
use flashsale_engine::ports::{CommitEnd, ItemChange, LedgerBatch, LedgerError};
use flashsale_engine::sale::Names;
use rustix::process::Pid;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Row};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::servers::{self, Stack};
use crate::stories::Opened;
use crate::stories::tellers::{Teller, granted, item, moved};

/// Nothing here takes longer, on the slowest machine.
pub const LIMIT: Duration = Duration::from_secs(60);
/// How often a condition is looked at.
pub const LOOK: Duration = Duration::from_millis(20);
/// Grants in a batch.
pub const GRANTS: u32 = 20;

/// Servers of a story's own, and one sale on them.
pub struct Shop {
    pub stack: Stack,
    pub names: Names,
}

impl Shop {
    pub fn with(standbys: u16) -> Option<Self> {
        let plan = Plan { postgres: Some(Postgres { standbys, synchronous: true }), ..servers::scratch() };
        Some(Self { stack: Stack::start(&plan)?, names: Names::new("failures", Uuid::new_v4()) })
    }

    pub async fn open(&self) -> Opened {
        Opened::new(Arc::new(PostgresLedger::open(&self.stack.services.postgres, &self.names).await.unwrap()))
    }

    /// A writer with an item of which there is enough.
    pub async fn teller(&self, number: u128) -> Teller {
        let mut teller = Teller::takes_over(self.open().await, number).await;
        let mut batch = teller.next();
        batch.items = vec![ItemChange { before: None, after: item(100_000, 0, 0) }];
        lands(&teller.at, &batch).await;
        teller.committed(&batch);
        teller
    }

    /// Starts a server that was stopped or killed, as an administrator does: again while what is left of it is in the way.
    pub async fn comes_back(&mut self, place: usize) -> PgConnection {
        let name = flashsale::stack::postgres::Postgres::name(place);
        let back = timeout(LIMIT, async {
            loop {
                // While it runs, nothing happens. The provider itself never starts a former primary again.
                let _ = self.stack.running.start_by_hand(&name);
                match PgConnection::connect(&self.stack.services.postgres[place]).await {
                    Ok(connection) => break connection,
                    Err(_) => sleep(LOOK).await,
                }
            }
        });
        back.await.expect("it comes back")
    }

    /// An administrator's session on a server, in the sale's schema.
    pub async fn admin(&self, server: usize) -> PgConnection {
        let mut admin = PgConnection::connect(&self.stack.services.postgres[server]).await.unwrap();
        run(&mut admin, &format!("set search_path = {}", self.names.schema())).await;
        admin
    }
}

pub async fn run(connection: &mut PgConnection, statement: &str) {
    sqlx::query(AssertSqlSafe(statement.to_owned())).execute(connection).await.unwrap();
}

/// The one number that a query gives.
pub async fn count(connection: &mut PgConnection, query: &str) -> i64 {
    let row = sqlx::query(AssertSqlSafe(query.to_owned())).fetch_one(connection).await.unwrap();
    row.try_get(0).unwrap()
}

/// Waits until a query gives `expected`.
pub async fn until(connection: &mut PgConnection, query: &str, expected: i64) {
    let seen = timeout(LIMIT, async {
        while count(connection, query).await != expected {
            sleep(LOOK).await;
        }
    });
    assert!(seen.await.is_ok(), "{query} never gave {expected}");
}

/// The next grants: after `records` batches of them, and one that made the item.
pub fn grants(teller: &Teller) -> LedgerBatch {
    let mut batch = teller.next();
    let held = GRANTS * u32::try_from(teller.row.next_offset - 1).unwrap();
    batch.items = vec![moved(item(100_000, held, 0), item(100_000, held + GRANTS, 0))];
    batch.holds = (held..held + GRANTS).map(granted).collect();
    batch
}

/// Brings a batch into the ledger as the writer does: what ended unknown is resolved and never sent again first. Answers
/// what was said meanwhile.
pub async fn lands(at: &Opened, batch: &LedgerBatch) -> Vec<String> {
    let landed = timeout(LIMIT, async {
        let mut said = Vec::new();
        let mut end = at.ledger.commit(batch).await;
        loop {
            match end {
                Ok(CommitEnd::Committed) => return said,
                Ok(CommitEnd::Unknown(why)) | Err(LedgerError::Unavailable(why)) => said.push(why),
                other => panic!("{other:?} after {said:?}"),
            }
            sleep(LOOK).await;
            end = at.ledger.resolve(batch).await;
        }
    });
    landed.await.expect("it lands in the end")
}

/// Every batch is there once, in order, and nothing else.
pub async fn every_batch_is_there_once(at: &Opened, batches: u64) {
    let (row, rows) = at.history.books().await.unwrap().unwrap();
    assert_eq!(row.next_offset, batches + 1);
    assert_eq!(rows.holds.len() as u64, batches * u64::from(GRANTS));
    assert_eq!(rows.items[0].held as usize, rows.holds.len());
    let audit = at.history.audit(0, 0, u32::MAX).await.unwrap();
    let offsets: Vec<_> = audit.iter().map(|row| (row.first_offset, row.next_offset)).collect();
    assert_eq!(offsets, (0..=batches).map(|offset| (offset, offset + 1)).collect::<Vec<_>>());
    let sums = at.history.sums().await.unwrap();
    assert_eq!(sums.items[0].held, sums.items[0].rows_held);
}

/// What the writer's sessions are called.
pub const SESSIONS: &str = "select count(*) from pg_stat_activity where application_name like 'fs-writer%'";
/// The session of the writer that waits for a lock, and what for.
const BLOCKED: &str = "select pid::bigint from pg_stat_activity
    where application_name like 'fs-writer%' and wait_event_type = 'Lock'";

/// The process of the writer's session that waits for a lock.
pub async fn blocked(admin: &mut PgConnection) -> Pid {
    until(admin, &format!("select count(*) from ({BLOCKED}) as waiting"), 1).await;
    Pid::from_raw(i32::try_from(count(admin, BLOCKED).await).unwrap()).unwrap()
}
