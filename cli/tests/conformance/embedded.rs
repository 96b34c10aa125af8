//! The embedded stack: files in a folder of the story's own.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use flashsale_engine::adapters::sqlite::{SqliteLedger, SqliteLog};
use flashsale_engine::ports::Log;
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;

use super::logs::LogStack;
use super::{LedgerStack, Opened};

pub struct Embedded(TempDir);

impl Embedded {
    pub async fn new() -> Option<Self> {
        Some(Self(tempfile::tempdir().unwrap()))
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("ledger.db")
    }
}

#[async_trait]
impl LedgerStack for Embedded {
    async fn open(&self) -> Opened {
        Opened::new(Arc::new(SqliteLedger::open(&self.file()).await.unwrap()))
    }

    async fn by_hand(&self, statement: &'static str) {
        let address = format!("sqlite://{}", self.file().display());
        let mut connection = SqliteConnection::connect(&address).await.unwrap();
        sqlx::query(statement).execute(&mut connection).await.unwrap();
    }
}

#[async_trait]
impl LogStack for Embedded {
    async fn open(&self) -> Arc<dyn Log> {
        Arc::new(SqliteLog::open(&self.0.path().join("log.db")).await.unwrap())
    }

    async fn open_reader(&self) -> Arc<dyn Log> {
        Arc::new(SqliteLog::open_reader(&self.0.path().join("log.db")).await.unwrap())
    }

    async fn make_again(&self) {
        for file in ["log.db", "log.db-wal", "log.db-shm"] {
            let _ = std::fs::remove_file(self.0.path().join(file));
        }
    }
}
