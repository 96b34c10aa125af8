//! A small sale in which everything happens to somebody.

use flashsale_core::{
    ChangeId, Command, HoldNumber, ItemRules, PaymentKey, RULES_VERSION, RequestKey, Rules, SubjectKey,
};
use flashsale_engine::id::subject;
use flashsale_engine::ports::LogRecord;
use flashsale_engine::record::{Batch, BatchId, Define, Entry, Record, encode};

use super::tellers::RUN;

/// Who asks for the item of which there are 5: as many again may wait for one, the others are refused.
const SCARCE: u64 = 12;
/// Holds and places that those have.
const SCARCE_HOLDS: u32 = 10;
/// Who asks for the item of which there is enough.
const PLENTY: u64 = 90;
/// Records until the last of them is through.
const RECORDS: u64 = PLENTY + 20;

fn key(number: u64) -> [u8; 16] {
    (u128::from(number) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes()
}

fn who(number: u64) -> SubjectKey {
    subject(&format!("shopper-{number}"))
}

/// Its records, a third of a second apart.
pub fn sale() -> Vec<LogRecord> {
    let rules = Rules {
        items: vec![ItemRules { stock: 5, per_customer: 1 }, ItemRules { stock: 400, per_customer: 10 }],
        hold_ms: 3_000,
        offer_ms: 600,
        pace: None,
        opens_at: None,
        duration_ms: 1_800_000,
    };
    let define = Define { run: RUN, rules_version: RULES_VERSION, rules, definition: "{}".into() };
    let mut records = vec![Record::Define(define)];
    let mut put = |gateway: u32, number: u64, entries: Vec<Entry>| {
        records.push(Record::Batch(Batch { id: BatchId { gateway, boot: 1, number }, entries }));
    };
    let entry = |command: Command, number: u64| Entry { command, words: format!("shopper-{number}").into() };
    let reserve = |item: u16, number: u64, wait: bool| {
        let (request, subject) = (RequestKey(key(number)), who(number));
        entry(Command::Reserve { request, subject, item, wait }, number)
    };
    let arm = Entry { command: Command::Arm { change: ChangeId(key(1 << 40)) }, words: "ann: ready".into() };
    put(BatchId::OPERATOR, 1, vec![arm, Entry { command: Command::Open, words: "".into() }]);
    put(1, 1, (0..SCARCE).map(|number| reserve(0, 1_000 + number, true)).collect());
    for record in 0..RECORDS {
        let mut entries = Vec::new();
        for number in 0..PLENTY {
            let hold = SCARCE_HOLDS + HoldNumber::try_from(number).unwrap();
            match record.checked_sub(number) {
                Some(0) => entries.push(reserve(1, number, false)),
                Some(age) => entries.extend(fate(number, age, hold).map(|command| entry(command, number))),
                None => {}
            }
        }
        put(1, 2 + record, entries);
    }
    // Too late for its hold, and granted another: there is stock enough.
    let (hold, subject, payment) = (SCARCE_HOLDS + 5, who(5), PaymentKey(key(5)));
    put(1, 2 + RECORDS, vec![entry(Command::Confirm { hold, subject, payment }, 5)]);
    // One waits for a unit of the scarce item, and is offered it: everyone else's hold is over by now.
    put(1, 3 + RECORDS, (0..SCARCE).map(|number| reserve(0, 2_000 + number, true)).collect());
    let holder = HoldNumber::try_from(PLENTY).unwrap() + SCARCE_HOLDS + 1;
    put(1, 4 + RECORDS, vec![entry(Command::Cancel { hold: holder, subject: who(2_000) }, 2_000)]);
    let stamped = (0..).zip(records).map(|(offset, record)| LogRecord {
        offset,
        timestamp: 1_795_608_000_000 + i64::try_from(offset).unwrap() * 300,
        bytes: encode(&record).unwrap().into(),
    });
    stamped.collect()
}

/// What becomes of a shopper's hold, so many records after it was asked for.
fn fate(number: u64, age: u64, hold: HoldNumber) -> Option<Command> {
    let (subject, payment) = (who(number), PaymentKey(key(number)));
    let (pays, cancels, fails, refunds) = (number % 6 >= 2, number % 6 == 1, number % 6 == 3, number % 6 == 4);
    match age {
        1 if cancels => Some(Command::Cancel { hold, subject }),
        1 if pays => Some(Command::PayStart { hold, subject, payment }),
        2 if pays && number % 6 != 5 => Some(Command::Confirm { hold, subject, payment }),
        3 if fails => Some(Command::CaptureFailed { payment }),
        3 if pays && number % 6 != 5 => Some(Command::Captured { payment }),
        4 if fails => Some(Command::Voided { payment }),
        4 if refunds => Some(Command::RefundPlan { hold, restock: number.is_multiple_of(4) }),
        5 if refunds => Some(Command::RefundSent { hold }),
        6 if refunds && !number.is_multiple_of(5) => Some(Command::RefundConfirmed { hold }),
        _ => None,
    }
}
