//! Sixteen-byte keys. Each is already a hash when it gets here, so tables use it raw.

use std::hash::{BuildHasherDefault, Hasher};

use serde::{Deserialize, Serialize};

macro_rules! key {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub [u8; 16]);

        impl $name {
            /// The key as two words, for digests.
            #[must_use]
            pub fn words(self) -> [u64; 2] {
                let value = u128::from_le_bytes(self.0);
                #[allow(clippy::cast_possible_truncation)] // the two halves, on purpose
                [value as u64, (value >> 64) as u64]
            }
        }
    };
}

key!(
    /// A shopper's request: SHA-256 over run, subject, route and idempotency key, cut to 16 bytes.
    RequestKey
);
key!(
    /// A shopper: SHA-256 over the token's `sub`, cut to 16 bytes.
    SubjectKey
);
key!(
    /// A payment attempt; also the payment provider's idempotency key.
    PaymentKey
);
key!(
    /// An operator's change; a repeated id changes nothing.
    ChangeId
);

/// A hasher for keys that are hashes already: it folds the bytes it is given and no more.
#[derive(Debug, Default, Clone, Copy)]
pub struct RawHasher(u64);

impl Hasher for RawHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 = (self.0.rotate_left(23) ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    }

    fn write_u16(&mut self, value: u16) {
        self.0 = (self.0.rotate_left(23) ^ u64::from(value)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    // Arrays hash their length first; it is always 16.
    fn write_usize(&mut self, _length: usize) {}
}

/// Builds [`RawHasher`]s.
pub type RawKeys = BuildHasherDefault<RawHasher>;
