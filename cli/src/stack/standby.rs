//! PostgreSQL's standbys: copied from the primary once, streaming from a slot that keeps what they have not seen.

use super::error::StackError;
use super::layout::Layout;
use super::postgres::{Postgres, REPLICATION, run};

/// The name of a server's slot at its primary, and as which it is waited for.
pub(super) fn slot(place: usize) -> String {
    Postgres::name(place).replace('-', "_")
}

/// Copies the primary's data; an unfinished copy is made anew.
pub(super) async fn copy(postgres: &Postgres, place: usize) -> Result<(), StackError> {
    let data = postgres.data(place);
    let beside = data.with_extension("copy");
    if beside.exists() {
        std::fs::remove_dir_all(&beside).map_err(StackError::at(&beside))?;
    }
    postgres.make_folder(&beside)?;
    let mut command = postgres.tool("pg_basebackup");
    command.args(["--checkpoint=fast", "--wal-method=stream", "--no-password", "--slot", &slot(place), "--dbname"]);
    command.arg(source(postgres.layout(), place)).arg("--pgdata").arg(&beside);
    if postgres.layout().plan.scratch {
        command.arg("--no-sync");
    }
    tokio::task::spawn_blocking(|| run(command))
        .await
        .map_err(std::io::Error::other)
        .map_err(StackError::at(&data))??;
    // From here on it is a standby until it is promoted, which removes the file.
    std::fs::write(beside.join("standby.signal"), "").map_err(StackError::at(&beside))?;
    std::fs::rename(&beside, &data).map_err(StackError::at(&data))
}

/// What a standby's settings have beyond a primary's.
pub(super) fn settings(layout: &Layout, place: usize) -> String {
    format!(
        "primary_conninfo = '{}'\nprimary_slot_name = '{}'\nrecovery_target_timeline = 'latest'\n",
        source(layout, place),
        slot(place)
    )
}

fn source(layout: &Layout, place: usize) -> String {
    let (port, password) = (layout.postgres[0], &layout.replication_password);
    format!(
        "host=127.0.0.1 port={port} user={REPLICATION} password={password} application_name={} sslmode=disable \
         connect_timeout=5",
        slot(place)
    )
}
