//! A run's schema, and the role that may only read it.

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Row};

use super::unavailable;
use crate::ports::LedgerError;
use crate::sale::RECONCILER;

/// The oldest server that is known to do: `server_version_num`.
const OLDEST: u32 = 150_000;
/// Processes that make schemas and the role on one server do it one after another: an advisory lock's number.
const ONE_AT_A_TIME: i64 = 0x666c_6173_6873_616c;

/// Makes the schema, or brings it up to date.
pub(super) async fn migrate(connection: &mut PgConnection, schema: &str) -> Result<(), LedgerError> {
    let version = connection.server_version_num().unwrap_or_default();
    if version < OLDEST {
        return Err(LedgerError::Damaged(format!("PostgreSQL {version} is older than {OLDEST}")));
    }
    sqlx::query("select pg_advisory_lock($1)")
        .bind(ONE_AT_A_TIME)
        .execute(&mut *connection)
        .await
        .map_err(unavailable)?;
    // A schema's name has only letters, digits and `_`. The lock ends with the connection, whatever happens here.
    run(connection, format!("create schema if not exists {schema}")).await?;
    sqlx::migrate!("../migrations/postgres")
        .run_direct(None, &mut *connection, false)
        .await
        .map_err(|error| LedgerError::Damaged(format!("schema {schema}: {error}")))?;
    reconciler(connection, schema).await
}

/// The schema of a run that exists; who reads makes nothing.
pub(super) async fn exists(connection: &mut PgConnection) -> Result<bool, LedgerError> {
    let row = sqlx::query("select to_regclass('writer') is not null").fetch_one(connection).await;
    row.and_then(|row| row.try_get(0)).map_err(unavailable)
}

/// One role for all runs of a server, without a login: the ledger's own user steps into it.
async fn reconciler(connection: &mut PgConnection, schema: &str) -> Result<(), LedgerError> {
    let known = sqlx::query("select 1 from pg_roles where rolname = $1").bind(RECONCILER);
    if known.fetch_optional(&mut *connection).await.map_err(unavailable)?.is_none()
        && let Err(error) = sqlx::query(AssertSqlSafe(format!("create role {RECONCILER} nologin"))).execute(&mut *connection).await
        // Another run's process may have made it meanwhile.
        && !error.as_database_error().is_some_and(|error| ["42710", "23505"].contains(&&*error.code().unwrap_or_default()))
    {
        return Err(LedgerError::Unavailable(format!(
            "the role {RECONCILER} is missing and could not be made ({error}); as an administrator: \
             create role {RECONCILER} nologin; grant {RECONCILER} to the ledger's user"
        )));
    }
    let member = sqlx::query("select pg_has_role(current_user, $1, 'member')").bind(RECONCILER);
    let row = member.fetch_one(&mut *connection).await.map_err(unavailable)?;
    if !row.try_get::<bool, _>(0).map_err(unavailable)? {
        run(connection, format!("grant {RECONCILER} to current_user")).await?;
    }
    run(connection, format!("grant usage on schema {schema} to {RECONCILER}")).await?;
    run(connection, format!("grant select on all tables in schema {schema} to {RECONCILER}")).await
}

async fn run(connection: &mut PgConnection, statement: String) -> Result<(), LedgerError> {
    sqlx::query(AssertSqlSafe(statement)).execute(connection).await.map_err(unavailable).map(|_| ())
}
