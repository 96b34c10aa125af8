//! Ways back for a run whose log or ledger was damaged. Each is planned beside whatever runs, and made while no engine
//! does.

use bytes::Bytes;
use flashsale_core::Command;
use uuid::Uuid;

use super::facts::define;
use super::files::lock_all;
use super::{ServeError, Stores, stores};
use crate::allocator::rebuild::{RebuildError, begins_further, rebuild};
use crate::audit::recover::{RecoverError, Recovery, recover};
use crate::audit::repair::{Repair, RepairError, plan};
use crate::ports::{LedgerError, LogError};
use crate::record::{Batch, BatchId, Entry, Record, encode};
use crate::sale::{Folder, Frozen};

/// Why a run is not mended.
#[derive(Debug, thiserror::Error)]
pub enum MendError {
    /// Its stores cannot be opened.
    #[error(transparent)]
    Open(#[from] ServeError),
    /// Its rows cannot be made anew.
    #[error(transparent)]
    Repair(#[from] RepairError),
    /// Its log cannot be replaced.
    #[error(transparent)]
    Recover(#[from] RecoverError),
    /// The ledger does not answer.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The log does not take the record that says what was done.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Another process became the writer meanwhile.
    #[error("another process became the writer meanwhile")]
    Overtaken,
}

impl MendError {
    /// Whether what is stored contradicts itself, so that trying again cannot help: exit 98.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Repair(RepairError::Rebuild(error)) => error.is_damage(),
            Self::Recover(RecoverError::Contradicts(_)) | Self::Ledger(LedgerError::Damaged(_)) => true,
            _ => false,
        }
    }
}

/// What a repair of the ledger would write.
///
/// # Errors
/// See [`MendError`].
pub async fn plan_repair(folder: &Folder, frozen: &Frozen) -> Result<Repair, MendError> {
    let stores = Stores::open_reader(folder, frozen).await?;
    Ok(plan(frozen.run, &*stores.log, &*stores.history).await?)
}

/// Rewrites the ledger's rows from the log, as the writer of an epoch of its own, and says so in the log. `words` is
/// who, and why.
///
/// # Errors
/// See [`MendError`]; an engine that runs is one.
pub async fn repair(folder: &Folder, frozen: &Frozen, words: &str) -> Result<Repair, MendError> {
    let _locks = lock_all(folder)?;
    let (stores, _outlets) = stores::open(folder, frozen).await?;
    let (ledger, me) = (&stores.ledger, Uuid::new_v4());
    let seen = ledger.checkpoint().await?;
    // From here on no other writer commits: the rows that are planned are those that are written.
    let row = ledger.take_over(seen.epoch, me).await?.ok_or(MendError::Overtaken)?;
    let repair = plan(frozen.run, &*stores.log, &*stores.history).await?;
    if !ledger.rewrite(row.epoch, me, &repair.rows).await? {
        return Err(MendError::Overtaken);
    }
    let text = format!("{words} (ledger repair: {} differences in its rows)", repair.differences);
    let command = Command::Takeover { epoch: row.epoch };
    let id = BatchId { gateway: BatchId::WRITER, boot: rand::random(), number: 1 };
    let said = Record::Batch(Batch { id, entries: vec![Entry { command, words: text.into() }] });
    let bytes = encode(&said).map_err(|error| LogError::Unavailable(error.to_string()))?;
    stores.log.append(Bytes::from(bytes)).await?;
    ledger.resign(row.epoch, me).await?;
    Ok(repair)
}

/// What a new log would begin with; none: the log is the one that was folded, whole.
///
/// # Errors
/// See [`MendError`]; nothing is written.
pub async fn plan_recovery(folder: &Folder, frozen: &Frozen) -> Result<Option<Recovery>, MendError> {
    let (log, history) = stores::open_remains(folder, frozen).await?;
    if let (Some(log), Some(row)) = (&log, history.writer().await?) {
        match rebuild(&**log, &*history, frozen.run, &row).await {
            Ok(_) => return Ok(None),
            Err(RebuildError::Log(error)) => return Err(error.into()),
            Err(RebuildError::Ledger(error)) => return Err(error.into()),
            Err(RebuildError::Step(_) | RebuildError::Diverged(_)) => {}
        }
        // A new log that a former recovery began, of which no writer has taken over, is whole as well.
        if begins_further(&**log, frozen.run, &row).await.is_ok_and(|begins| begins) {
            return Ok(None);
        }
    }
    Ok(Some(recover(&define(frozen)?, log.as_deref(), &*history).await?))
}

/// Begins the next generation's log and puts the old one aside; answers what was done and where the old one is.
/// `reason` is who approved it, and why.
///
/// # Errors
/// See [`MendError`]; an engine that runs is one.
pub async fn renew_log(
    folder: &Folder,
    frozen: &Frozen,
    reason: &str,
) -> Result<Option<(Recovery, String)>, MendError> {
    let _locks = lock_all(folder)?;
    let Some(mut recovery) = plan_recovery(folder, frozen).await? else { return Ok(None) };
    recovery.first.reason = reason.to_owned();
    let generation = recovery.first.generation - 1;
    let record = Record::Continue(recovery.first);
    let bytes = encode(&record).map_err(|error| LogError::Unavailable(error.to_string()))?;
    let aside = stores::renew_log(folder, frozen, generation, &bytes).await?;
    let Record::Continue(first) = record else { return Ok(None) };
    Ok(Some((Recovery { first, report: recovery.report }, aside)))
}
