//! What former generations of the log left in the ledger: the chain up to the present one, and the words of its rows.

use super::chain;
use super::gateways::Boots;
use super::pages::Pages;
use super::verify::{Audit, AuditError};
use super::words::Words;
use crate::id::hex;
use crate::ports::{AuditRow, History};
use crate::record::{Committed, decode};

/// Where the present generation begins.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// The chain's head.
    pub(super) chain: [u8; 32],
    /// The offset after the last record of the generation before; 0: there is none.
    pub(super) next_offset: u64,
    /// The state's digest there; none: there is no generation before.
    pub(super) digest: Option<u64>,
    /// Names, requests and orders of the rows.
    pub(super) words: Words,
    /// Who sent what, in the present generation.
    pub(super) boots: Boots,
}

/// Reads the generations before `generation`, checks their chain, and counts what cannot be replayed any more.
pub(super) async fn past(audit: &mut Audit, history: &dyn History, generation: u32) -> Result<Past, AuditError> {
    let mut past = Past::default();
    let Some(last) = generation.checked_sub(1) else { return Ok(past) };
    let (mut within, mut pages) = (0, Pages::of(history, 0, last));
    while let Some(row) = pages.next().await? {
        let first = row.generation != within;
        within = row.generation;
        check(audit, &past, &row);
        if let Ok(committed) = decode::<Committed>(&row.committed) {
            audit.unreplayed += committed.decisions.len() as u64;
            committed.decisions.iter().for_each(|decision| past.words.decided(decision));
        } else {
            audit.differs("outbox", place(&row), "decisions".to_owned(), "unreadable".to_owned());
        }
        // The first batch of a further generation goes on from the last one's offset.
        let due = past.next_offset;
        if row.first_offset != due {
            let found = format!("a batch that begins at {}", row.first_offset);
            audit.differs("chain", place(&row), format!("{due}{}", if first { " once more" } else { "" }), found);
        }
        (past.chain, past.next_offset, past.digest) = (row.chain, row.next_offset, Some(row.digest));
        audit.batches += 1;
    }
    Ok(past)
}

fn check(audit: &mut Audit, past: &Past, row: &AuditRow) {
    let (first, next) = (row.first_offset, row.next_offset);
    let expected = chain::link(past.chain, row.epoch, first, next, row.records_hash, row.digest);
    if expected != row.chain {
        audit.differs("chain", place(row), hex(&expected), hex(&row.chain));
    }
}

/// An audit row, by name.
pub(super) fn place(row: &AuditRow) -> String {
    let generation = if row.generation == 0 { String::new() } else { format!("generation {}: ", row.generation) };
    format!("{generation}audit {}..{}", row.first_offset, row.next_offset)
}
