//! How a process becomes the writer: wait until the last one is gone, bump the epoch, rebuild, say so in the log.

use std::time::Duration;

use bytes::Bytes;
use flashsale_core::Command;
use uuid::Uuid;

use super::failpoint::{Point, reach};
use super::rebuild::{RebuildError, rebuild};
use super::step::{Allocator, Identity};
use crate::ports::{Checkpoint, Clock, History, Ledger, Log, LogError};
use crate::record::{Batch, BatchId, Define, Entry, Record, decode, encode};

/// A writer whose beat stands still for this long is gone.
pub const STILL: Duration = Duration::from_millis(1_500);
/// How often the beat is looked at.
pub const LOOK: Duration = Duration::from_millis(100);
/// Records in one read while looking for takeovers.
const READ_RECORDS: usize = 2_048;
/// How long a read waits for records that the log's end says are there.
const READ_WITHIN: Duration = Duration::from_secs(5);
/// How often an append of unknown end is tried; each try has a number of its own, and repeats are harmless.
const APPENDS: u64 = 5;

/// Epochs rise by one a takeover: a takeover this far ahead is no writer's, and outranks nobody.
pub(super) const PLAUSIBLE: u64 = 1_000;

/// What a process brings to become the writer.
#[derive(Debug, Clone)]
pub struct Claim {
    /// What the sale is; appended as the first record when the log is empty.
    pub define: Define,
    /// This writer; new at every start.
    pub writer: Uuid,
    /// The boot of its own batches, before the epoch is added; random.
    pub boot: u64,
}

/// Watches another writer's row until it has stood still for [`STILL`] of this process's own clock. Pure.
#[derive(Debug)]
pub struct Stillness {
    row: Checkpoint,
    since: Duration,
}

impl Stillness {
    /// The row as first seen, at `now`.
    #[must_use]
    pub const fn new(row: Checkpoint, now: Duration) -> Self {
        Self { row, since: now }
    }

    /// The row as seen at `now`; whether nobody writes any more.
    pub fn look(&mut self, row: Checkpoint, now: Duration) -> bool {
        if (row.epoch, row.beat, row.next_offset) != (self.row.epoch, self.row.beat, self.row.next_offset) {
            self.since = now;
        }
        self.row = row;
        self.free() || now.saturating_sub(self.since) >= STILL
    }

    /// Whether the row names no writer: nobody's beat is to be waited for.
    #[must_use]
    pub fn free(&self) -> bool {
        self.row.epoch == 0 || self.row.writer.is_nil()
    }

    /// The row as last seen.
    #[must_use]
    pub fn into_row(self) -> Checkpoint {
        self.row
    }
}

/// Waits until no other writer lives and answers the row. `alone` says that an exclusive lock proves it already.
///
/// # Errors
/// The ledger's.
pub async fn wait_for_still(ledger: &dyn Ledger, clock: &dyn Clock, alone: bool) -> Result<Checkpoint, RebuildError> {
    let mut stillness = Stillness::new(ledger.checkpoint().await?, clock.monotonic());
    if alone || stillness.free() {
        return Ok(stillness.into_row());
    }
    loop {
        tokio::time::sleep(LOOK).await;
        if stillness.look(ledger.checkpoint().await?, clock.monotonic()) {
            return Ok(stillness.into_row());
        }
    }
}

/// Takes the ledger over from the row that was seen, rebuilds and appends the takeover record. None: another was
/// faster. Needs no clock and never sleeps.
///
/// # Errors
/// See [`RebuildError`].
pub async fn take_over(
    log: &dyn Log,
    ledger: &dyn Ledger,
    history: &dyn History,
    claim: &Claim,
    seen: &Checkpoint,
) -> Result<Option<(Allocator, Checkpoint)>, RebuildError> {
    let Some(mut row) = ledger.take_over(seen.epoch, claim.writer).await? else { return Ok(None) };
    if row.next_offset == 0 && log.end().await? == 0 {
        define(log, claim).await?;
    }
    let fold = rebuild(log, history, claim.define.run, &row).await?;
    // A ledger that lost its tail also forgot epochs: those that the log knows of are outranked here.
    let known = highest_takeover(log, fold.next(), row.epoch + PLAUSIBLE).await?;
    while row.epoch <= known {
        let Some(higher) = ledger.take_over(row.epoch, claim.writer).await? else { return Ok(None) };
        row = higher;
    }
    // A try that failed half way may have announced another epoch already: its numbers are not used again.
    let boot = claim.boot.wrapping_add(row.epoch);
    let me = Identity { log: log.identity().await?, epoch: row.epoch, writer: claim.writer, boot };
    announce(log, me).await?;
    Ok(Some((Allocator::new(me, fold, &row), row)))
}

/// The first record. One that perhaps was appended may be there twice: the second is rejected by every fold.
async fn define(log: &dyn Log, claim: &Claim) -> Result<(), RebuildError> {
    append(log, |_| Record::Define(claim.define.clone())).await
}

async fn announce(log: &dyn Log, me: Identity) -> Result<(), RebuildError> {
    append(log, |number| own_batch(me.boot, number, Command::Takeover { epoch: me.epoch })).await
}

/// The numbers of a writer's own batches begin above those that a takeover may have used.
pub const FIRST_TICK: u64 = APPENDS + 1;

/// A record of the writer itself.
#[must_use]
pub fn own_batch(boot: u64, number: u64, command: Command) -> Record {
    let id = BatchId { gateway: BatchId::WRITER, boot, number };
    Record::Batch(Batch { id, entries: vec![Entry { command, words: "".into() }] })
}

async fn append(log: &dyn Log, record: impl Fn(u64) -> Record) -> Result<(), RebuildError> {
    let mut last = LogError::Unavailable("not tried".into());
    for number in 1..=APPENDS {
        reach(Point::BeforeAppend);
        let bytes = encode(&record(number)).map_err(|error| LogError::Unavailable(error.to_string()))?;
        match log.append(Bytes::from(bytes)).await {
            Ok(_) => return Ok(()),
            Err(LogError::Unknown(why)) => last = LogError::Unknown(why),
            Err(error) => return Err(error.into()),
        }
    }
    Err(last.into())
}

/// The highest epoch, up to `plausible`, that a takeover names among the records not folded yet; 0: none.
async fn highest_takeover(log: &dyn Log, mut from: u64, plausible: u64) -> Result<u64, RebuildError> {
    let (end, mut highest) = (log.end().await?, 0);
    while from < end {
        let records = log.read(from, READ_RECORDS, READ_WITHIN).await?;
        if records.is_empty() {
            return Err(LogError::Unavailable(format!("no record at offset {from}, before its end")).into());
        }
        from += records.len() as u64;
        for record in records {
            let Ok(Record::Batch(batch)) = decode::<Record>(&record.bytes) else { continue };
            for entry in batch.entries {
                if let Command::Takeover { epoch } = entry.command
                    && epoch <= plausible
                {
                    highest = highest.max(epoch);
                }
            }
        }
    }
    Ok(highest)
}
