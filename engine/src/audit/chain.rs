//! The audit chain: each committed batch's link hashes the one before it, so that history cannot be rewritten without
//! rewriting all that follows.

use sha2::{Digest, Sha256};

use crate::ports::LogRecord;

/// H(records): every record's offset, timestamp, length and bytes, in order.
#[must_use]
pub fn records_hash(records: &[LogRecord]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for record in records {
        absorb(&mut hash, record);
    }
    hash.finalize().into()
}

/// The hash of one record, as the `writer` row keeps it of the last one folded.
#[must_use]
pub fn last_record_hash(record: &LogRecord) -> [u8; 32] {
    let mut hash = Sha256::new();
    absorb(&mut hash, record);
    hash.finalize().into()
}

/// H(previous, epoch, first offset, next offset, H(records), digest).
#[must_use]
pub fn link(previous: [u8; 32], epoch: u64, first: u64, next: u64, records_hash: [u8; 32], digest: u64) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(previous);
    for word in [epoch, first, next] {
        hash.update(word.to_le_bytes());
    }
    hash.update(records_hash);
    hash.update(digest.to_le_bytes());
    hash.finalize().into()
}

fn absorb(hash: &mut Sha256, record: &LogRecord) {
    hash.update(record.offset.to_le_bytes());
    hash.update(record.timestamp.to_le_bytes());
    hash.update((record.bytes.len() as u64).to_le_bytes());
    hash.update(&record.bytes);
}
