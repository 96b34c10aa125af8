//! The stores of one run, whatever stack they are on, and the audit of them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{ServeError, embedded};
use crate::audit::verify::{Audit as Books, AuditError, verify};
use crate::operator::changes::Audit;
use crate::ports::{Amount, Cache, Events, History, Ledger, Log, Payments};
use crate::record::{Record, decode};
use crate::sale::{Folder, Frozen, Provider, Services};

/// How long the first record of a log may take to be read.
const FIRST_WITHIN: Duration = Duration::from_secs(5);

/// The stores of one run: what is true of it.
pub struct Stores {
    /// The log.
    pub log: Arc<dyn Log>,
    /// The ledger, for its writer.
    pub ledger: Arc<dyn Ledger>,
    /// The ledger, for everyone else.
    pub history: Arc<dyn History>,
    /// The provider's records.
    pub payments: Arc<dyn Payments>,
}

/// What an engine writes to besides.
pub(super) struct Outlets {
    /// Advisory copies.
    pub(super) cache: Arc<dyn Cache>,
    /// Where events go.
    pub(super) events: Arc<dyn Events>,
    /// Where decisions go, for the processes that are not the writer; none: there are no others.
    pub(super) decisions: Option<Arc<dyn Log>>,
    /// An exclusive lock proves that no other writer lives.
    pub(super) alone: bool,
}

/// Opens a run's stores for an engine, and what it writes to besides.
pub(super) async fn open(folder: &Folder, frozen: &Frozen) -> Result<(Stores, Outlets), ServeError> {
    let run = folder.run(frozen.run);
    match services(folder, frozen)? {
        None => embedded::open(&run).await,
        #[cfg(feature = "cluster")]
        Some(services) => super::cluster::open(&services, &run, frozen).await,
        #[cfg(not(feature = "cluster"))]
        Some(_) => Err(without_clients()),
    }
}

/// What is left of a run whose log may be gone: the log, unless nothing of it is readable, and the ledger.
pub(super) type Remains = (Option<Arc<dyn Log>>, Arc<dyn History>);

/// Opens what is left of a run, to read.
pub(super) async fn open_remains(folder: &Folder, frozen: &Frozen) -> Result<Remains, ServeError> {
    let run = folder.run(frozen.run);
    match services(folder, frozen)? {
        None => embedded::open_remains(&run).await,
        #[cfg(feature = "cluster")]
        Some(services) => super::cluster::open_remains(&services, &run, frozen).await,
        #[cfg(not(feature = "cluster"))]
        Some(_) => Err(without_clients()),
    }
}

/// Begins the log that comes after `generation` with its first record; answers where the old one is.
pub(super) async fn renew_log(
    folder: &Folder,
    frozen: &Frozen,
    generation: u32,
    first: &[u8],
) -> Result<String, ServeError> {
    match services(folder, frozen)? {
        None => embedded::renew_log(&folder.run(frozen.run), generation, first).await,
        #[cfg(feature = "cluster")]
        Some(services) => super::cluster::renew_log(&services, frozen, generation, first).await,
        #[cfg(not(feature = "cluster"))]
        Some(_) => Err(without_clients()),
    }
}

/// Where the stack's servers are; none: it is the embedded one.
fn services(folder: &Folder, frozen: &Frozen) -> Result<Option<Services>, ServeError> {
    match frozen.definition.stack.provider {
        Provider::Embedded => Ok(None),
        Provider::Process | Provider::External => Ok(Some(Services::read(&folder.services())?)),
    }
}

#[cfg(not(feature = "cluster"))]
fn without_clients() -> ServeError {
    ServeError::Stack("this binary was built without the clients of Kafka, PostgreSQL and Redis".to_owned())
}

impl Stores {
    /// Opens them beside a running engine, to read.
    ///
    /// # Errors
    /// When the run has no stores yet.
    pub async fn open_reader(folder: &Folder, frozen: &Frozen) -> Result<Self, ServeError> {
        let run = folder.run(frozen.run);
        match services(folder, frozen)? {
            None => embedded::open_reader(&run).await,
            #[cfg(feature = "cluster")]
            Some(services) => super::cluster::open_reader(&services, &run, frozen).await,
            #[cfg(not(feature = "cluster"))]
            Some(_) => Err(without_clients()),
        }
    }

    /// Every log of the run by its generation, in order: this one, and what former ones left, where it can be read.
    pub async fn logs(&self, folder: &Folder, frozen: &Frozen) -> Vec<(u32, Arc<dyn Log>)> {
        let first = self.log.read(0, 1, FIRST_WITHIN).await.unwrap_or_default();
        let generation = match first.first().and_then(|record| decode(&record.bytes).ok()) {
            Some(Record::Continue(further)) => further.generation,
            _ => 0,
        };
        let mut logs = match services(folder, frozen) {
            #[cfg(feature = "cluster")]
            Ok(Some(services)) => super::cluster::former_logs(&services, frozen, generation),
            _ => embedded::former_logs(&folder.run(frozen.run), generation).await,
        };
        logs.push((generation, Arc::clone(&self.log)));
        logs
    }

    /// Audits the run.
    ///
    /// # Errors
    /// When a store cannot be read.
    pub async fn audit(&self, frozen: &Frozen) -> Result<Books, AuditError> {
        verify(frozen.run, &prices(frozen), &*self.log, &*self.history, &*self.payments).await
    }
}

/// An item's price, by place.
pub(super) fn prices(frozen: &Frozen) -> Vec<Amount> {
    frozen.definition.items.iter().map(|item| item.price).collect()
}

/// The books of a run, for who wants to resume after an invariant.
pub(super) struct RunBooks {
    pub(super) frozen: Arc<Frozen>,
    pub(super) stores: Arc<Stores>,
}

#[async_trait]
impl Audit for RunBooks {
    async fn passes(&self) -> Result<(), String> {
        match self.stores.audit(&self.frozen).await {
            Err(error) => Err(error.to_string()),
            Ok(books) if books.passes() => Ok(()),
            Ok(books) => {
                let first = books.findings.first().map(|found| format!("{}: {}", found.place, found.found));
                Err(format!("{} differences, the first: {}", books.differences, first.unwrap_or_default()))
            }
        }
    }
}
