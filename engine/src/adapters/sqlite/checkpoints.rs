//! Checkpoints on a connection of their own: SQLite would have every thousandth page's commit copy the pages and sync the
//! file, while everybody waits for it.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::SqliteSynchronous;
use sqlx::{Connection, Row, SqliteConnection};
use tokio::task::JoinHandle;

use super::options;

/// How often what was committed is copied into the file, which disturbs no commit.
const EVERY: Duration = Duration::from_millis(250);
/// Pages of a WAL that is begun anew (64 MiB). Commits wait while the last few of them are copied.
const BEGIN_ANEW: i64 = 16_384;

/// Keeps a file's WAL short until dropped. Should it fail, commits do it themselves at four times that length.
pub(super) struct Checkpoints(JoinHandle<()>);

impl Checkpoints {
    /// Of an existing file.
    pub(super) async fn of(path: &Path, synchronous: SqliteSynchronous) -> Result<Self, sqlx::Error> {
        // Who still reads old pages is not waited for: commits would wait too. The next turn comes soon.
        let options = options(path, synchronous).busy_timeout(Duration::ZERO);
        let connection = SqliteConnection::connect_with(&options).await?;
        Ok(Self(tokio::spawn(run(connection, BEGIN_ANEW))))
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn run(mut connection: SqliteConnection, begin_anew: i64) {
    loop {
        tokio::time::sleep(EVERY).await;
        let pages = match checkpoint(&mut connection, "pragma wal_checkpoint(passive)").await {
            Ok(pages) if pages > begin_anew => checkpoint(&mut connection, "pragma wal_checkpoint(restart)").await,
            pages => pages,
        };
        if let Err(error) = pages {
            tracing::warn!(%error, "no checkpoint; the next is as good");
        }
    }
}

/// The pages of the WAL.
async fn checkpoint(connection: &mut SqliteConnection, statement: &'static str) -> Result<i64, sqlx::Error> {
    sqlx::query(statement).fetch_one(connection).await?.try_get(1)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[tokio::test]
    async fn a_wal_is_begun_anew_while_commits_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some.db");
        let making = options(&path, SqliteSynchronous::Normal).create_if_missing(true);
        let mut writing = SqliteConnection::connect_with(&making).await.unwrap();
        sqlx::query("create table some (bytes blob)").execute(&mut writing).await.unwrap();
        let beside = SqliteConnection::connect_with(&options(&path, SqliteSynchronous::Normal)).await.unwrap();
        let checkpoints = Checkpoints(tokio::spawn(run(beside, 256)));
        let wal = || std::fs::metadata(folder.path().join("some.db-wal")).map_or(0, |wal| wal.len());
        // A WAL that is begun anew is written from its front again: it is shorter than what was written.
        let (begun, mut written) = (Instant::now(), 0);
        while written < 8_000_000 || wal() + 4_000_000 > written {
            sqlx::query("insert into some values (zeroblob(100000))").execute(&mut writing).await.unwrap();
            written += 100_000;
            tokio::time::sleep(Duration::from_millis(2)).await;
            assert!(begun.elapsed() < Duration::from_secs(60), "{} bytes of {written} written", wal());
        }
        drop(checkpoints);
    }
}
