//! The stack of real servers: Kafka, PostgreSQL and Redis, wherever a provider says they are.

use std::path::Path;
use std::sync::Arc;

use super::ServeError;
use super::stores::{Outlets, Stores};
use crate::adapters::kafka::{Connection, KafkaEvents, KafkaLog, OpenError, ensure, topics};
use crate::adapters::postgres::PostgresLedger;
use crate::adapters::redis::{RedisCache, Scope};
use crate::adapters::sandbox::Sandbox;
use crate::id::Ids;
use crate::ports::{CacheError, History, LedgerError};
use crate::sale::{Frozen, Names, Services};

impl From<OpenError> for ServeError {
    fn from(error: OpenError) -> Self {
        Self::Stack(error.to_string())
    }
}

impl From<CacheError> for ServeError {
    fn from(error: CacheError) -> Self {
        Self::Stack(error.to_string())
    }
}

impl From<LedgerError> for ServeError {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Damaged(_) => Self::Damaged(error.to_string()),
            LedgerError::Unavailable(_) => Self::Stack(error.to_string()),
        }
    }
}

/// Opens a run's stores for an engine, and what it writes to besides. Topics and tables are made when they are not there.
pub(super) async fn open(services: &Services, run: &Path, frozen: &Frozen) -> Result<(Stores, Outlets), ServeError> {
    std::fs::create_dir_all(run)?;
    let (connection, names) = (Connection::new(services), Names::of(frozen));
    let ledger = Arc::new(PostgresLedger::open(&services.postgres, &names).await?);
    let commands = commands(&connection, &names, generation(&*ledger).await?).await?;
    ensure(&connection, &[commands.clone(), names.decisions(), names.events()]).await?;
    let scope = Scope {
        ids: Ids::new(frozen.run),
        skus: frozen.definition.items.iter().map(|item| item.sku.clone()).collect(),
        names: names.clone(),
    };
    let outlets = Outlets {
        cache: Arc::new(RedisCache::open(&services.redis, scope)?),
        events: Arc::new(KafkaEvents::open(&connection, &names.events())?),
        decisions: Some(Arc::new(KafkaLog::open(&connection, &names.decisions())?)),
        alone: false,
    };
    let log = Arc::new(KafkaLog::open(&connection, &commands)?);
    Ok((Stores { log, ledger: ledger.clone(), history: ledger, payments: payments(run).await? }, outlets))
}

/// Opens them beside a running engine, to read.
pub(super) async fn open_reader(services: &Services, run: &Path, frozen: &Frozen) -> Result<Stores, ServeError> {
    let (connection, names) = (Connection::new(services), Names::of(frozen));
    let ledger = Arc::new(PostgresLedger::open_reader(&services.postgres, &names).await?);
    let commands = commands(&connection, &names, generation(&*ledger).await?).await?;
    let log = Arc::new(KafkaLog::open_reader(&connection, &commands));
    Ok(Stores { log, ledger: ledger.clone(), history: ledger, payments: payments(run).await? })
}

async fn generation(history: &dyn History) -> Result<u32, LedgerError> {
    Ok(history.writer().await?.map_or(0, |row| row.generation))
}

/// The topic that the sale goes on in: the one of the generation after the ledger's, once a recovery has made it.
async fn commands(connection: &Connection, names: &Names, generation: u32) -> Result<String, OpenError> {
    let further = names.commands(generation.saturating_add(1));
    let begun = topics::exists(connection, &further).await?;
    Ok(if begun { further } else { names.commands(generation) })
}

async fn payments(run: &Path) -> Result<Arc<Sandbox>, ServeError> {
    Ok(Arc::new(Sandbox::open(&run.join("payments.db")).await?))
}
