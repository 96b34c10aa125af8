//! The servers of a ledger: one address each. The client has no failover of its own, so the primary is looked for here:
//! the one server that is not in recovery, on the highest timeline that was ever seen.

use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection, Row};
use tokio::time::timeout;

use super::unavailable;
use crate::ports::LedgerError;
use crate::sale::{Names, RECONCILER};

/// How long one server may take to answer a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Makes the schema.
    Migrate,
    /// Commits batches.
    Write,
    /// Beats, marks and snapshots: losing the last of them costs a repeat, so nobody waits for a disk or a standby.
    Beside,
    /// Reads, and shuts the gate.
    Read,
    /// Reads as the reconciler's role.
    Reconcile,
}

/// Which server answers, and in which of its lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Primary {
    /// Place among the addresses.
    pub(super) address: usize,
    /// PostgreSQL's identity of the cluster's data.
    pub(super) system: i64,
    /// Raised by each promotion.
    pub(super) timeline: u32,
}

/// The addresses, and what is known of who is the primary.
pub(super) struct Servers {
    addresses: Vec<PgConnectOptions>,
    schema: String,
    /// Prefix of the name that sessions of a writer of this run have, of any process.
    pub(super) writers: String,
    /// The name that those of this process have.
    writer: String,
    known: Mutex<Option<Primary>>,
}

impl Servers {
    /// From URLs, one a server.
    pub(super) fn new(urls: &[String], names: &Names, process: u64) -> Result<Self, LedgerError> {
        let unreadable = |error: sqlx::Error| LedgerError::Unavailable(format!("a PostgreSQL address: {error}"));
        let addresses = urls.iter().map(|url| PgConnectOptions::from_str(url)).collect::<Result<Vec<_>, _>>();
        let addresses = addresses.map_err(unreadable)?;
        if addresses.is_empty() {
            return Err(LedgerError::Unavailable("no PostgreSQL address is known".to_owned()));
        }
        let writers = format!("fs-writer {:016x}", names.advisory_lock());
        let writer = format!("{writers} {process:016x}");
        Ok(Self { addresses, schema: names.schema(), writers, writer, known: Mutex::new(None) })
    }

    pub(super) fn schema(&self) -> &str {
        &self.schema
    }

    /// The name of this process's writing sessions.
    pub(super) fn writer(&self) -> &str {
        &self.writer
    }

    /// Connects to the primary. Tries the last known one first, then every address: of several that take themselves for
    /// the primary the highest timeline is it, and nothing below one that was seen before.
    pub(super) async fn connect(&self, purpose: Purpose) -> Result<(PgConnection, Primary), LedgerError> {
        let known = *self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known
            && self.addresses.len() == 1
        {
            let (connection, found) = self.ask(known.address, purpose).await?;
            return self.judge(connection, found);
        }
        let mut best: Option<(PgConnection, Primary)> = None;
        let mut complaints = Vec::new();
        let mut asking = Vec::with_capacity(self.addresses.len());
        for address in 0..self.addresses.len() {
            asking.push(self.ask(address, purpose));
        }
        for asked in futures_util::future::join_all(asking).await {
            match asked {
                Ok((_, found)) if best.as_ref().is_some_and(|(_, best)| best.timeline >= found.timeline) => {}
                Ok(found) => best = Some(found),
                Err(LedgerError::Unavailable(why) | LedgerError::Damaged(why)) => complaints.push(why),
            }
        }
        match best {
            Some((connection, found)) => self.judge(connection, found),
            None => Err(LedgerError::Unavailable(complaints.join("; "))),
        }
    }

    /// Refuses a server that lies behind what was seen, and remembers one that does not.
    fn judge(&self, connection: PgConnection, found: Primary) -> Result<(PgConnection, Primary), LedgerError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*known {
            let refused = if found.system != known.system {
                Some(format!("it is cluster {}, the ledger's is {}", found.system, known.system))
            } else if found.timeline < known.timeline {
                Some(format!("it is on timeline {}, the ledger was on {}", found.timeline, known.timeline))
            } else {
                None
            };
            if let Some(why) = refused {
                let place = self.place(found.address);
                return Err(LedgerError::Unavailable(format!("{place} is not the ledger's primary: {why}")));
            }
        }
        *known = Some(found);
        Ok((connection, found))
    }

    async fn ask(&self, address: usize, purpose: Purpose) -> Result<(PgConnection, Primary), LedgerError> {
        let place = self.place(address);
        let asked = timeout(CONNECT_WITHIN, self.ask_server(address, purpose)).await;
        let away = |why: String| LedgerError::Unavailable(format!("{place}: {why}"));
        let (connection, found) =
            asked.map_err(|_| away(format!("no answer in {CONNECT_WITHIN:?}")))?.map_err(|error| {
                away(match error {
                    LedgerError::Unavailable(why) | LedgerError::Damaged(why) => why,
                })
            })?;
        let Some(found) = found else { return Err(away("a standby".to_owned())) };
        Ok((connection, found))
    }

    async fn ask_server(
        &self,
        address: usize,
        purpose: Purpose,
    ) -> Result<(PgConnection, Option<Primary>), LedgerError> {
        let options = self.options(&self.addresses[address], purpose);
        let mut connection = PgConnection::connect_with(&options).await.map_err(unavailable)?;
        // A standby has no place where it writes; the control file's timeline would lag behind a promotion.
        let row = sqlx::query(
            "select system_identifier, case when not pg_is_in_recovery() then
                 substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) end from pg_control_system()",
        )
        .persistent(false)
        .fetch_one(&mut connection)
        .await
        .map_err(unavailable)?;
        let system = row.try_get(0).map_err(unavailable)?;
        let timeline: Option<String> = row.try_get(1).map_err(unavailable)?;
        let Some(timeline) = timeline else { return Ok((connection, None)) };
        let timeline = u32::from_str_radix(&timeline, 16).map_err(|error| LedgerError::Damaged(error.to_string()))?;
        Ok((connection, Some(Primary { address, system, timeline })))
    }

    fn place(&self, address: usize) -> String {
        let options = &self.addresses[address];
        format!("{}:{}", options.get_host(), options.get_port())
    }

    fn options(&self, address: &PgConnectOptions, purpose: Purpose) -> PgConnectOptions {
        let name = match purpose {
            Purpose::Write | Purpose::Beside => self.writer.as_str(),
            Purpose::Migrate | Purpose::Read => "flashsale",
            Purpose::Reconcile => "flashsale reconciler",
        };
        let options = address.clone().application_name(name).disable_statement_logging();
        let options = options.options([("search_path", self.schema.as_str())]);
        match purpose {
            // One plan for ever, made when the tables are empty: only nested loops over primary keys stay right as they
            // grow, so the planner is left no other choice.
            Purpose::Write => options.options([
                ("lock_timeout", "2s"),
                ("idle_in_transaction_session_timeout", "1s"),
                ("synchronous_commit", "on"),
                ("plan_cache_mode", "force_generic_plan"),
                ("enable_seqscan", "off"),
                ("enable_bitmapscan", "off"),
                ("enable_hashjoin", "off"),
                ("enable_mergejoin", "off"),
                ("jit", "off"),
            ]),
            Purpose::Beside => options.options([
                ("lock_timeout", "2s"),
                ("idle_in_transaction_session_timeout", "1s"),
                ("synchronous_commit", "off"),
            ]),
            Purpose::Migrate => options.options([("lock_timeout", "10s")]),
            Purpose::Read => options.options([("default_transaction_read_only", "on"), ("statement_timeout", "60s")]),
            Purpose::Reconcile => options.options([
                ("default_transaction_read_only", "on"),
                ("statement_timeout", "60s"),
                ("role", RECONCILER),
            ]),
        }
    }
}
