//! The small sale that the stories are about, and its records.

use flashsale_core::{Command, ItemRules, PaymentKey, RULES_VERSION, RequestKey, Rules, SubjectKey};
use flashsale_engine::allocator::takeover::Claim;
use flashsale_engine::record::{Batch, BatchId, Define, Entry, Record, encode};
use uuid::Uuid;

pub const RUN: Uuid = Uuid::from_u128(0xf1a5);

pub fn rules() -> Rules {
    Rules {
        items: vec![ItemRules { stock: 3, per_customer: 1 }, ItemRules { stock: 1_000, per_customer: 10 }],
        hold_ms: 1_000,
        offer_ms: 500,
        pace: None,
        opens_at: None,
        duration_ms: 1_800_000,
    }
}

pub fn define() -> Define {
    Define { run: RUN, rules_version: RULES_VERSION, rules: rules(), definition: "{}".into() }
}

pub fn claim(number: u128) -> Claim {
    Claim { define: define(), writer: Uuid::from_u128(number), boot: u64::try_from(number).unwrap() }
}

pub fn bytes(record: &Record) -> Vec<u8> {
    encode(record).unwrap()
}

pub fn entry(command: Command, words: &str) -> Entry {
    Entry { command, words: words.into() }
}

pub fn key(number: u64) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&number.to_le_bytes());
    key[8..].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    key
}

pub fn subject(number: u64) -> SubjectKey {
    flashsale_engine::id::subject(&format!("shopper-{number}"))
}

pub fn request(number: u64) -> RequestKey {
    RequestKey(key(number))
}

pub fn payment(number: u64) -> PaymentKey {
    PaymentKey(key(number))
}

pub fn change(number: u64) -> flashsale_core::ChangeId {
    flashsale_core::ChangeId(key(number))
}

/// Shopper `number` asks for one unit of item 0.
pub fn reserve(number: u64) -> Entry {
    reserve_of(0, number)
}

pub fn reserve_of(item: u16, number: u64) -> Entry {
    let command = Command::Reserve { request: request(number), subject: subject(number), item, wait: false };
    entry(command, &format!("shopper-{number}"))
}

pub fn batch(gateway: u32, boot: u64, number: u64, entries: Vec<Entry>) -> Vec<u8> {
    bytes(&Record::Batch(Batch { id: BatchId { gateway, boot, number }, entries }))
}

/// What an operator and the schedule do before anyone can buy.
pub fn opening() -> Vec<u8> {
    let armed = entry(Command::Arm { change: change(1) }, "ann: ready");
    batch(BatchId::OPERATOR, 1, 1, vec![armed, entry(Command::Open, "")])
}

/// The sale as `up` would have frozen it.
pub fn frozen() -> flashsale_engine::sale::Frozen {
    let text = "
sale: small
hold: 1s
items:
  - { sku: ONE, stock: 3, price: \"200.00 USD\", per_customer: 1 }
  - { sku: TWO, stock: 1000, price: \"200.00 USD\", per_customer: 10 }
";
    flashsale_engine::sale::Frozen {
        run: RUN,
        frozen_at: "2026-11-24T12:00:00Z".parse().unwrap(),
        opens_at: None,
        rehearsal: false,
        source_hash: String::new(),
        definition: flashsale_engine::sale::read(text, "small.yaml", &[]).unwrap().definition,
    }
}
