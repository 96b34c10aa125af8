//! What was told before. A ledger that lost its tail stands below decisions that shoppers have heard of already; the log
//! still has their records, so they are decided again. Every digest on the way must be the one that was told. All of them
//! lie before this writer's own takeover, and nothing reopens before that is committed.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ports::{Checkpoint, Log, LogError};
use crate::publisher::decisions::Told;
use crate::record::decode;

/// Decisions read at first, from the end backwards; each further step is twice as far.
const FIRST_STEP: u64 = 64;
/// Decisions in one read.
const READ_RECORDS: u64 = 1_024;
/// How long a read waits for records that the log's end says are there.
const READ_WITHIN: Duration = Duration::from_secs(5);

/// Digests by the offset after them, of every decision beyond the ledger's row in its generation.
///
/// # Errors
/// The log's.
pub async fn beyond(decisions: &dyn Log, row: &Checkpoint) -> Result<BTreeMap<u64, u64>, LogError> {
    let mut told = BTreeMap::new();
    let (mut to, mut step) = (decisions.end().await?, FIRST_STEP);
    while to > 0 {
        let from = to.saturating_sub(step);
        if step_back(decisions, from, to, row, &mut told).await? {
            break;
        }
        (to, step) = (from, step * 2);
    }
    Ok(told)
}

/// Takes in decisions `from..to`; true when one of them lies at or below the row, so that all before do too.
async fn step_back(
    decisions: &dyn Log,
    mut from: u64,
    to: u64,
    row: &Checkpoint,
    told: &mut BTreeMap<u64, u64>,
) -> Result<bool, LogError> {
    let mut reached = false;
    while from < to {
        let limit = usize::try_from((to - from).min(READ_RECORDS)).unwrap_or(usize::MAX);
        let records = decisions.read(from, limit, READ_WITHIN).await?;
        let Some(last) = records.last() else {
            return Err(LogError::Unavailable(format!("no decision at offset {from}, before their end")));
        };
        from = last.offset + 1;
        for record in records {
            // Not a decision: nobody can have heard of it.
            let Ok(Told { committed, .. }) = decode::<Told>(&record.bytes) else { continue };
            let Some(generation) = committed.decisions.first().map(|first| first.generation) else { continue };
            if (generation, committed.next_offset) <= (row.generation, row.next_offset) {
                reached = true;
            } else if generation == row.generation {
                told.insert(committed.next_offset, committed.digest);
            }
        }
    }
    Ok(reached)
}
