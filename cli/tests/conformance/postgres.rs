//! PostgreSQL: a schema of the story's own on one server.

use std::sync::Arc;

use async_trait::async_trait;
use flashsale_engine::adapters::postgres::PostgresLedger;
use flashsale_engine::sale::Names;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

use super::{LedgerStack, Opened};

pub struct Postgres {
    urls: Vec<String>,
    names: Names,
}

impl Postgres {
    /// None where no server is installed, which the fixture says loudly.
    pub async fn new() -> Option<Self> {
        let urls = vec![crate::servers::postgres()?.to_owned()];
        Some(Self { urls, names: Names::new("conformance", Uuid::new_v4()) })
    }
}

#[async_trait]
impl LedgerStack for Postgres {
    async fn open(&self) -> Opened {
        Opened::new(Arc::new(PostgresLedger::open(&self.urls, &self.names).await.unwrap()))
    }

    async fn by_hand(&self, statement: &'static str) {
        let mut connection = PgConnection::connect(&self.urls[0]).await.unwrap();
        let schema = format!("set search_path = {}", self.names.schema());
        sqlx::query(AssertSqlSafe(schema)).execute(&mut connection).await.unwrap();
        sqlx::query(statement).execute(&mut connection).await.unwrap();
    }
}
