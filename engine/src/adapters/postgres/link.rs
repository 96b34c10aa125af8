//! A connection of the writer's own: opened when it is needed, again after a pause when it was lost, and never used past
//! a statement whose end is not known.

use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{Connection, Executor, Row, SqlSafeStr};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::servers::{Primary, Purpose, Servers};
use super::{statement, unavailable};
use crate::ports::LedgerError;

/// Pauses before a lost server is asked again; the last one for ever.
const BACK_OFF: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
];
/// How long a session that was told to end may take; a backend that waits for a disk ends only afterwards.
const END_WITHIN: Duration = Duration::from_secs(2);
/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(10);
/// How long an idle connection may take to show that it still works.
const PING_WITHIN: Duration = Duration::from_secs(1);
/// Errors that a connection may still answer with before it is ready: one for each message that is on its way.
const ANSWERS: usize = 4;

/// A server process that works for one connection. Numbers of processes are used again, their starts are not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Session {
    primary: Primary,
    pub(super) pid: i32,
    started: String,
}

/// One connection, or the way to it.
pub(super) struct Link {
    purpose: Purpose,
    open: Option<(PgConnection, Option<Session>)>,
    /// The session that was sent a statement and has not answered.
    doubt: Option<Session>,
    failures: usize,
    not_before: Option<Instant>,
}

impl Link {
    pub(super) fn new(purpose: Purpose) -> Self {
        Self { purpose, open: None, doubt: None, failures: 0, not_before: None }
    }

    /// The connection, once nothing that was sent before can happen any more. Safe to be dropped half way, as is every
    /// statement on it: what was sent is remembered here.
    pub(super) async fn ready(&mut self, servers: &Servers) -> Result<&mut PgConnection, LedgerError> {
        if self.doubt.is_some() {
            self.hear().await;
        }
        if self.open.is_none() {
            self.connect(servers).await?;
        }
        // On another server, or in another life of it, the old session's statement can only fail: a promotion first
        // proves the old primary down, and a lower timeline is refused.
        if let (Some(doubt), Some((connection, Some(session)))) = (&self.doubt, &mut self.open)
            && doubt.primary == session.primary
        {
            end(connection, doubt).await?;
        }
        self.doubt = None;
        self.ready_connection()
    }

    /// The connection that [`Link::ready`] gave, again.
    pub(super) fn ready_connection(&mut self) -> Result<&mut PgConnection, LedgerError> {
        let open = self.open.as_mut().map(|(connection, _)| connection);
        open.ok_or_else(|| LedgerError::Unavailable("no connection".to_owned()))
    }

    /// Drops a connection that does not answer. Whatever was left behind half read is read off by this, too.
    pub(super) async fn check(&mut self) {
        let Some((connection, _)) = &mut self.open else { return };
        if !matches!(timeout(PING_WITHIN, connection.ping()).await, Ok(Ok(()))) {
            self.open = None;
        }
    }

    /// The session of a connection that commits.
    pub(super) fn session(&self) -> Option<Session> {
        self.open.as_ref().and_then(|(_, session)| session.clone())
    }

    /// What is sent now may end unknown: until [`Link::answered`], whoever comes next waits for its end first.
    pub(super) fn send(&mut self) {
        self.doubt = self.session();
    }

    /// The answer came.
    pub(super) fn answered(&mut self) {
        self.doubt = None;
    }

    /// After an error: a connection that is no good any more is dropped.
    pub(super) fn failed(&mut self, error: &sqlx::Error) {
        if is_lost(error) {
            self.open = None;
        }
    }

    /// The same, as the port's error.
    pub(super) fn lost(&mut self, error: sqlx::Error) -> LedgerError {
        self.failed(&error);
        unavailable(error)
    }

    /// Waits for the answer to what was sent. Nothing is cancelled: a cancelled wait for a standby would commit here
    /// alone and call it success.
    async fn hear(&mut self) {
        for _ in 0..ANSWERS {
            let Some((connection, _)) = &mut self.open else { return };
            match connection.ping().await {
                Ok(()) => {
                    self.doubt = None;
                    return;
                }
                Err(error) => self.failed(&error),
            }
        }
        self.open = None;
    }

    async fn connect(&mut self, servers: &Servers) -> Result<(), LedgerError> {
        if let Some(moment) = self.not_before {
            sleep_until(moment).await;
        }
        self.not_before = Some(Instant::now() + BACK_OFF[self.failures.min(BACK_OFF.len() - 1)]);
        self.failures = self.failures.saturating_add(1);
        let (mut connection, primary) = servers.connect(self.purpose).await?;
        let mut known = None;
        if self.purpose == Purpose::Write {
            known = Some(session(&mut connection, primary).await.map_err(unavailable)?);
            // Prepared before the first batch needs it.
            let statement = statement::text().into_sql_str();
            (&mut connection).prepare(statement).await.map_err(unavailable)?;
        }
        (self.failures, self.not_before) = (0, None);
        self.open = Some((connection, known));
        Ok(())
    }
}

async fn session(connection: &mut PgConnection, primary: Primary) -> Result<Session, sqlx::Error> {
    let row = sqlx::query("select pid, backend_start::text from pg_stat_activity where pid = pg_backend_pid()")
        .persistent(false)
        .fetch_one(connection)
        .await?;
    Ok(Session { primary, pid: row.try_get(0)?, started: row.try_get(1)? })
}

/// Ends a session whose connection was lost and waits until its process is gone: then what it was doing is committed or
/// never will be. Should it have waited for a standby, it is committed here alone; whoever then finds it committed says
/// so only after a commit of their own, which waits for the same standby behind it.
async fn end(connection: &mut PgConnection, session: &Session) -> Result<(), LedgerError> {
    let gone = async {
        loop {
            let ended = sqlx::query(
                "select pg_terminate_backend(pid) from pg_stat_activity where pid = $1 and backend_start::text = $2",
            )
            .bind(session.pid)
            .bind(&session.started)
            .fetch_all(&mut *connection)
            .await
            .map_err(unavailable)?;
            if ended.is_empty() {
                return Ok(());
            }
            sleep(LOOK).await;
        }
    };
    timeout(END_WITHIN, gone)
        .await
        .unwrap_or_else(|_| Err(LedgerError::Unavailable(format!("the server's process {} does not end", session.pid))))
}

/// Whether a connection is no good after an error: lost, being shut down, or a server that became a standby.
fn is_lost(error: &sqlx::Error) -> bool {
    match error.as_database_error() {
        Some(database) => {
            let code = database.code().unwrap_or_default();
            code == "25006" || code.starts_with("57P") || code.starts_with("08") || code == "25P03"
        }
        None => !matches!(error, sqlx::Error::RowNotFound | sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_)),
    }
}
