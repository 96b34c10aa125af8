//! The story of one reservation, and the whole log as JSON lines.

use flashsale_core::{Command, HoldNumber};
use serde::Serialize;

use super::verify::AuditError;
use crate::id::{Ids, hex};
use crate::ports::{History, Log, LogError};
use crate::record::{Committed, Record, decode};

/// Rows in one read.
const PAGE: u32 = 1_000;
/// How long a read waits for records that the log's end says are there.
const READ: std::time::Duration = std::time::Duration::from_secs(5);

/// One step of a reservation's story.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The log's time, Unix ms.
    pub at: i64,
    /// The record, and the command in it.
    pub offset: u64,
    /// See `offset`.
    pub index: u32,
    /// The reservation.
    pub reservation: String,
    /// What happened.
    pub what: String,
    /// The subject, when the reservation began.
    pub subject: Option<String>,
    /// The request, when it began by one.
    pub request: Option<String>,
    /// Its deadline, Unix ms.
    pub expires_at: i64,
}

/// Every step of the wanted holds (and of the ones that replaced them), in order, from the audit rows.
///
/// # Errors
/// When the ledger cannot be read.
pub async fn why(ids: &Ids, history: &dyn History, wanted: &[HoldNumber]) -> Result<Vec<Step>, AuditError> {
    let mut wanted: Vec<HoldNumber> = wanted.to_vec();
    let mut steps = Vec::new();
    let mut from = 0;
    loop {
        let page = history.audit(from, PAGE).await?;
        let Some(last) = page.last() else { return Ok(steps) };
        from = last.next_offset;
        for row in &page {
            let Ok(committed) = decode::<Committed>(&row.committed) else { continue };
            for decision in &committed.decisions {
                for notice in &decision.holds {
                    if notice.parent.is_some_and(|parent| wanted.contains(&parent)) && !wanted.contains(&notice.hold) {
                        wanted.push(notice.hold);
                    }
                    if wanted.contains(&notice.hold) {
                        steps.push(Step {
                            at: decision.timestamp,
                            offset: decision.offset,
                            index: notice.index,
                            reservation: ids.reservation(notice.hold),
                            what: format!("{:?}", notice.change).to_lowercase(),
                            subject: notice.name.as_ref().map(ToString::to_string),
                            request: notice.request.map(|request| hex(&request.0)),
                            expires_at: notice.expires_at,
                        });
                    }
                }
            }
        }
    }
}

/// One line of the export.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Line {
    /// A record of the commands log.
    Record {
        /// Where.
        offset: u64,
        /// The log's time, Unix ms.
        timestamp: i64,
        /// What; none when the bytes are no record.
        record: Option<Record>,
    },
    /// A committed batch, with the link of the chain that covers it.
    Committed {
        /// The link, hexadecimal.
        chain: String,
        /// The ledger's time, Unix ms.
        committed_at: i64,
        /// What; none when the bytes are not decisions.
        committed: Option<Committed>,
    },
}

/// Hands every record, then every committed batch, to `line`, in order.
///
/// # Errors
/// When a store cannot be read, or `line` refuses.
pub async fn export<E>(
    log: &dyn Log,
    history: &dyn History,
    mut line: impl FnMut(&Line) -> Result<(), E>,
) -> Result<Result<(), E>, AuditError> {
    let end = log.end().await?;
    let mut offset = 0;
    while offset < end {
        let records = log.read(offset, PAGE as usize, READ).await?;
        if records.is_empty() {
            return Err(LogError::Unavailable(format!("no record at offset {offset}, before its end")).into());
        }
        for found in records {
            offset = found.offset + 1;
            let record = decode(&found.bytes).ok();
            if let Err(refused) = line(&Line::Record { offset: found.offset, timestamp: found.timestamp, record }) {
                return Ok(Err(refused));
            }
        }
    }
    let mut from = 0;
    loop {
        let page = history.audit(from, PAGE).await?;
        let Some(last) = page.last() else { return Ok(Ok(())) };
        from = last.next_offset;
        for row in &page {
            let committed = decode(&row.committed).ok();
            let next = Line::Committed { chain: hex(&row.chain), committed_at: row.committed_at, committed };
            if let Err(refused) = line(&next) {
                return Ok(Err(refused));
            }
        }
    }
}

/// Operators' changes in the log, with who and why: (Unix ms, what, words).
///
/// # Errors
/// When the log cannot be read.
pub async fn changes(log: &dyn Log) -> Result<Vec<(i64, String, String)>, AuditError> {
    let end = log.end().await?;
    let (mut offset, mut found) = (0, Vec::new());
    while offset < end {
        let records = log.read(offset, PAGE as usize, READ).await?;
        if records.is_empty() {
            return Err(LogError::Unavailable(format!("no record at offset {offset}, before its end")).into());
        }
        for record in records {
            offset = record.offset + 1;
            let Ok(Record::Batch(batch)) = decode(&record.bytes) else { continue };
            for entry in batch.entries {
                let what = match entry.command {
                    Command::Arm { .. } => "armed".to_owned(),
                    Command::Open => "opened".to_owned(),
                    Command::Close { .. } => "closed".to_owned(),
                    Command::Halt { scope, .. } => format!("halted ({scope:?})").to_lowercase(),
                    Command::Resume { .. } => "resumed".to_owned(),
                    Command::Pace { units_per_second, .. } => format!("pace {units_per_second:?}"),
                    Command::Adjust { item, by, .. } => format!("stock of item {item} changed by {by}"),
                    Command::Shortage { item, units, .. } => format!("{units} units of item {item} are missing"),
                    Command::Reschedule { .. } => "rescheduled".to_owned(),
                    Command::Extend { .. } => "extended".to_owned(),
                    Command::Takeover { epoch } => format!("writer of epoch {epoch} took over"),
                    _ => continue,
                };
                found.push((record.timestamp, what, entry.words.to_string()));
            }
        }
    }
    Ok(found)
}
