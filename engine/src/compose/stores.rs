//! The stores of one run on the embedded stack, and the audit of them.

use std::io;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;

use super::ServeError;
use crate::adapters::sandbox::Sandbox;
use crate::adapters::sqlite::{SqliteLedger, SqliteLog};
use crate::audit::verify::{Audit as Books, AuditError, verify};
use crate::operator::changes::Audit;
use crate::ports::Amount;
use crate::sale::Frozen;

/// The stores of one run.
pub struct Stores {
    /// The log.
    pub log: Arc<SqliteLog>,
    /// The ledger.
    pub ledger: Arc<SqliteLedger>,
    /// The provider's records.
    pub payments: Arc<Sandbox>,
}

impl Stores {
    /// Opens them for an engine.
    ///
    /// # Errors
    /// See [`ServeError`].
    pub async fn open(run: &Path) -> Result<Self, ServeError> {
        std::fs::create_dir_all(run)?;
        Ok(Self {
            log: Arc::new(SqliteLog::open(&run.join("log.db")).await?),
            ledger: Arc::new(SqliteLedger::open(&run.join("ledger.db")).await?),
            payments: Arc::new(Sandbox::open(&run.join("payments.db")).await?),
        })
    }

    /// Opens them beside a running engine, to read.
    ///
    /// # Errors
    /// When the run has no stores yet.
    pub async fn open_reader(run: &Path) -> Result<Self, ServeError> {
        for store in ["log.db", "ledger.db"] {
            if !run.join(store).exists() {
                return Err(io::Error::new(io::ErrorKind::NotFound, format!("this run has no {store} yet")).into());
            }
        }
        Ok(Self {
            log: Arc::new(SqliteLog::open_reader(&run.join("log.db")).await?),
            ledger: Arc::new(SqliteLedger::open(&run.join("ledger.db")).await?),
            payments: Arc::new(Sandbox::open(&run.join("payments.db")).await?),
        })
    }

    /// Audits the run.
    ///
    /// # Errors
    /// When a store cannot be read.
    pub async fn audit(&self, frozen: &Frozen) -> Result<Books, AuditError> {
        verify(frozen.run, &prices(frozen), &*self.log, &*self.ledger, &*self.payments).await
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
