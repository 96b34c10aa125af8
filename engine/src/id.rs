//! The names shoppers see: reservation and order ids that say nothing about how many there are, and keys made from
//! tokens and headers.

use flashsale_core::{ChangeId, HoldNumber, PaymentKey, RequestKey, SubjectKey};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The 32 symbols of Crockford's base 32, lower case.
const SYMBOLS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Turns numbers into public ids and back: a keyed four-round Feistel permutation of 64 bits, of which 32 are the
/// number and 32 must come out as zero, so that a guessed id is almost surely nobody's.
#[derive(Debug, Clone)]
pub struct Ids {
    run: Uuid,
    rounds: [[u8; 16]; 4],
}

impl Ids {
    /// The ids of a run. The run's uuid is the secret: shoppers never see it.
    #[must_use]
    pub fn new(run: Uuid) -> Self {
        let rounds = [0_u8, 1, 2, 3].map(|round| hash16(&[b"id round", run.as_bytes(), &[round]]));
        Self { run, rounds }
    }

    /// `res-` and 13 symbols.
    #[must_use]
    pub fn reservation(&self, hold: HoldNumber) -> String {
        self.write("res-", hold)
    }

    /// `ord-` and 13 symbols: the order that a confirmed reservation is.
    #[must_use]
    pub fn order(&self, hold: HoldNumber) -> String {
        self.write("ord-", hold)
    }

    /// The hold that a reservation or order id names; none for anything else.
    #[must_use]
    pub fn hold(&self, id: &str) -> Option<HoldNumber> {
        let symbols = id.strip_prefix("res-").or_else(|| id.strip_prefix("ord-"))?;
        if symbols.len() != 13 {
            return None;
        }
        let mut block: u64 = 0;
        for (place, symbol) in symbols.bytes().enumerate() {
            let value = SYMBOLS.iter().position(|known| *known == symbol)? as u64;
            if place == 0 && value > 15 {
                return None;
            }
            block = block << 5 | value;
        }
        let plain = self.permute(block, true);
        let number = u32::try_from(plain & 0xffff_ffff).ok()?;
        (plain >> 32 == 0).then_some(number)
    }

    /// The key of a shopper's request that carries an `Idempotency-Key`.
    #[must_use]
    pub fn request(&self, subject: &str, route: &str, idempotency_key: &str) -> RequestKey {
        RequestKey(hash16(&[
            b"request",
            self.run.as_bytes(),
            subject.as_bytes(),
            b"\0",
            route.as_bytes(),
            b"\0",
            idempotency_key.as_bytes(),
        ]))
    }

    /// The key of a request without an `Idempotency-Key`: unique by its gateway's boot and a counter.
    #[must_use]
    pub fn minted(&self, gateway: u32, boot: u64, counter: u64) -> RequestKey {
        RequestKey(hash16(&[
            b"minted",
            self.run.as_bytes(),
            &gateway.to_le_bytes(),
            &boot.to_le_bytes(),
            &counter.to_le_bytes(),
        ]))
    }

    /// The key of a payment attempt, from the request that began it.
    #[must_use]
    pub fn payment(&self, hold: HoldNumber, request: RequestKey) -> PaymentKey {
        PaymentKey(hash16(&[b"payment", self.run.as_bytes(), &hold.to_le_bytes(), &request.0]))
    }

    /// A change's id from its cause (`open`, `close`, an operator's request id).
    #[must_use]
    pub fn change(&self, cause: &str) -> ChangeId {
        ChangeId(hash16(&[b"change", self.run.as_bytes(), cause.as_bytes()]))
    }

    fn write(&self, prefix: &str, hold: HoldNumber) -> String {
        let block = self.permute(u64::from(hold), false);
        let mut id = String::with_capacity(prefix.len() + 13);
        id.push_str(prefix);
        for place in (0..13).rev() {
            let symbol = usize::try_from(block >> (5 * place) & 31).unwrap_or_default();
            id.push(char::from(SYMBOLS[symbol]));
        }
        id
    }

    fn permute(&self, block: u64, backwards: bool) -> u64 {
        let mut left = (block >> 32) as u32;
        #[allow(clippy::cast_possible_truncation)] // the lower half, on purpose
        let mut right = block as u32;
        if backwards {
            for key in self.rounds.iter().rev() {
                (left, right) = (right ^ round(key, left), left);
            }
        } else {
            for key in &self.rounds {
                (left, right) = (right, left ^ round(key, right));
            }
        }
        u64::from(left) << 32 | u64::from(right)
    }
}

/// The key of a token's `sub`.
#[must_use]
pub fn subject(name: &str) -> SubjectKey {
    SubjectKey(hash16(&[b"subject", name.as_bytes()]))
}

/// 32 hexadecimal digits, as request ids are shown.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Reads 32 hexadecimal digits.
#[must_use]
pub fn unhex16(text: &str) -> Option<[u8; 16]> {
    (text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(())?;
    let mut bytes = [0; 16];
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(place * 2..place * 2 + 2)?, 16).ok()?;
    }
    Some(bytes)
}

fn hash16(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    let mut key = [0; 16];
    key.copy_from_slice(&hash.finalize()[..16]);
    key
}

fn round(key: &[u8; 16], half: u32) -> u32 {
    let digest = hash16(&[key, &half.to_le_bytes()]);
    u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_names_its_hold_and_nothing_else() {
        let ids = Ids::new(Uuid::from_u128(7));
        for hold in [0, 1, 9_999, u32::MAX] {
            assert_eq!(ids.hold(&ids.reservation(hold)), Some(hold));
            assert_eq!(ids.hold(&ids.order(hold)), Some(hold));
        }
        assert_eq!(Ids::new(Uuid::from_u128(8)).hold(&ids.reservation(1)), None);
        for stranger in ["", "res-", "res-0000000000000", "res-zzzzzzzzzzzzz", "res-00000000000é", "nothing"] {
            assert_eq!(ids.hold(stranger), None, "{stranger}");
        }
    }

    #[test]
    fn hexadecimal_goes_there_and_back() {
        assert_eq!(unhex16(&hex(&[7; 16])), Some([7; 16]));
        assert_eq!(unhex16("+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1"), None);
    }
}
