//! The whole of a run as JSON lines: every record of its logs, every committed batch.

use serde::Serialize;

use super::pages::Pages;
use super::verify::AuditError;
use crate::id::hex;
use crate::ports::{History, Log};
use crate::record::{Committed, Record, decode};

/// Records in one read.
const PAGE: usize = 1_000;
const READ: std::time::Duration = std::time::Duration::from_secs(1);

/// One line of the export.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Line {
    /// A record of the commands log.
    Record {
        /// Which log.
        generation: u32,
        /// Where.
        offset: u64,
        /// The log's time, Unix ms.
        timestamp: i64,
        /// What; none when the bytes are no record.
        record: Option<Record>,
    },
    /// A committed batch, with the link of the chain that covers it.
    Committed {
        /// Which log it was folded from.
        generation: u32,
        /// The link, hexadecimal.
        chain: String,
        /// The ledger's time, Unix ms.
        committed_at: i64,
        /// What; none when the bytes are not decisions.
        committed: Option<Committed>,
    },
}

/// Hands every record of every log that can be read, then every committed batch, to `line`, in order. A log that was
/// given up ends where it is damaged; what was decided of it is in the batches.
///
/// # Errors
/// When a store cannot be read, or `line` refuses.
pub async fn export<E>(
    logs: &[(u32, std::sync::Arc<dyn Log>)],
    history: &dyn History,
    mut line: impl FnMut(&Line) -> Result<(), E>,
) -> Result<Result<(), E>, AuditError> {
    let present = logs.iter().map(|(generation, _)| *generation).max();
    for (generation, log) in logs {
        let (end, mut offset) = (log.end().await?, 0);
        while offset < end {
            let records = match log.read(offset, PAGE, READ).await {
                Ok(records) if records.is_empty() => break,
                Ok(records) => records,
                Err(_) if Some(*generation) != present => break,
                Err(error) => return Err(error.into()),
            };
            for found in records {
                offset = found.offset + 1;
                let record = decode(&found.bytes).ok();
                let (generation, timestamp) = (*generation, found.timestamp);
                let next = Line::Record { generation, offset: found.offset, timestamp, record };
                if let Err(refused) = line(&next) {
                    return Ok(Err(refused));
                }
            }
        }
    }
    let mut pages = Pages::all(history).await?;
    while let Some(row) = pages.next().await? {
        let committed = decode(&row.committed).ok();
        let (generation, chain, committed_at) = (row.generation, hex(&row.chain), row.committed_at);
        if let Err(refused) = line(&Line::Committed { generation, chain, committed_at, committed }) {
            return Ok(Err(refused));
        }
    }
    Ok(Ok(()))
}
