//! The embedded stack: files in a folder of the story's own.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use flashsale_engine::adapters::sqlite::SqliteLedger;
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;

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
