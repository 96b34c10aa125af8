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

/// The server that was promoted over this one, if there is one: this one would take writes that the other never sees.
pub(super) fn promoted_over(postgres: &Postgres, place: usize) -> Option<String> {
    let own = line_of_its_own(&postgres.data(place))?;
    let others = (0..postgres.layout().postgres.len()).filter(|other| *other != place);
    let over = |other: &usize| line_of_its_own(&postgres.data(*other)).is_some_and(|line| line > own);
    others.filter(over).max_by_key(|other| line_of_its_own(&postgres.data(*other))).map(Postgres::name)
}

/// The timeline that a primary writes; none for a standby, or where no data is. Each promotion leaves a history file.
fn line_of_its_own(data: &std::path::Path) -> Option<u32> {
    if data.join("standby.signal").exists() {
        return None;
    }
    let log = std::fs::read_dir(data.join("pg_wal")).ok()?;
    let names = log.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let lines = names.filter_map(|name| u32::from_str_radix(name.strip_suffix(".history")?, 16).ok());
    Some(lines.max().unwrap_or(1))
}

fn source(layout: &Layout, place: usize) -> String {
    let (port, password) = (layout.postgres[0], &layout.replication_password);
    format!(
        "host=127.0.0.1 port={port} user={REPLICATION} password={password} application_name={} sslmode=disable \
         connect_timeout=5",
        slot(place)
    )
}
