//! The stack of real servers: Kafka, PostgreSQL and Redis, wherever a provider says they are.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::ServeError;
use super::stores::{Outlets, Remains, Stores};
use crate::adapters::kafka::{Connection, KafkaEvents, KafkaLog, OpenError, ensure, topics};
use crate::adapters::postgres::PostgresLedger;
use crate::adapters::redis::{RedisCache, Scope};
use crate::adapters::sandbox::Sandbox;
use crate::id::Ids;
use crate::ports::{CacheError, History, LedgerError, Log};
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

/// What is left of a run whose log may be gone.
pub(super) async fn open_remains(services: &Services, run: &Path, frozen: &Frozen) -> Result<Remains, ServeError> {
    let stores = open_reader(services, run, frozen).await?;
    Ok((Some(stores.log), stores.history))
}

/// Begins the log that comes after `generation` with its first record; answers where the old one is. A topic that a
/// former try left is gone on with: of two first records every fold rejects the second.
pub(super) async fn renew_log(
    services: &Services,
    frozen: &Frozen,
    generation: u32,
    first: &[u8],
) -> Result<String, ServeError> {
    let (connection, names) = (Connection::new(services), Names::of(frozen));
    let further = names.commands(generation.saturating_add(1));
    ensure(&connection, std::slice::from_ref(&further)).await?;
    let appended = KafkaLog::open(&connection, &further)?.append(Bytes::copy_from_slice(first)).await;
    appended.map_err(|error| ServeError::Stack(error.to_string()))?;
    Ok(names.commands(generation))
}

/// The logs of the generations before `generation`, as far as they can still be read.
pub(super) fn former_logs(services: &Services, frozen: &Frozen, generation: u32) -> Vec<(u32, Arc<dyn Log>)> {
    let (connection, names) = (Connection::new(services), Names::of(frozen));
    let log = |former| -> Arc<dyn Log> { Arc::new(KafkaLog::open_reader(&connection, &names.commands(former))) };
    (0..generation).map(|former| (former, log(former))).collect()
}
