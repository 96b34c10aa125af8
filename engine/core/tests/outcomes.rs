//! What each command comes to, as a table: `outcomes.txt`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use flashsale_core::{
    ChangeId, Command, HaltCause, HaltScope, ItemRules, Outcome, PaymentKey, Position, RequestKey, Rules, State,
    SubjectKey,
};

fn rules() -> Rules {
    Rules {
        items: vec![ItemRules { stock: 2, per_customer: 1 }],
        hold_ms: 1_000,
        offer_ms: 300,
        pace: None,
        opens_at: None,
        duration_ms: 60_000,
    }
}

fn bytes(word: &str) -> [u8; 16] {
    let mut key = [0; 16];
    key[..word.len()].copy_from_slice(word.as_bytes());
    key
}

fn command(words: &[&str], row: usize) -> Command {
    let change = ChangeId(bytes(&format!("row {row}")));
    let (payment, subject) = (|word: &str| PaymentKey(bytes(word)), |word: &str| SubjectKey(bytes(word)));
    let reserve = |who: &str, request: &str, wait| Command::Reserve {
        request: RequestKey(bytes(request)),
        subject: subject(who),
        item: 0,
        wait,
    };
    match words {
        ["tick"] => Command::Tick,
        ["arm"] => Command::Arm { change },
        ["open"] => Command::Open,
        ["close"] => Command::Close { change },
        ["halt"] => Command::Halt { change, scope: HaltScope::Reserve, cause: HaltCause::Operator },
        ["halt", "all"] => Command::Halt { change, scope: HaltScope::All, cause: HaltCause::Operator },
        ["resume"] => Command::Resume { change },
        ["stock", by] => Command::Adjust { change, item: 0, by: by.parse().unwrap() },
        ["shortage", units] => Command::Shortage { change, item: 0, units: units.parse().unwrap() },
        ["captured", key] => Command::Captured { payment: payment(key) },
        ["capture", "failed", key] => Command::CaptureFailed { payment: payment(key) },
        ["voided", key] => Command::Voided { payment: payment(key) },
        ["refund", "sent", hold] => Command::RefundSent { hold: hold.parse().unwrap() },
        ["refund", "confirmed", hold] => Command::RefundConfirmed { hold: hold.parse().unwrap() },
        ["refund", hold] => Command::RefundPlan { hold: hold.parse().unwrap(), restock: true },
        [who, "reserves", request] => reserve(who, request, false),
        [who, "waits", request] => reserve(who, request, true),
        [who, "cancels", hold] => Command::Cancel { hold: hold.parse().unwrap(), subject: subject(who) },
        [who, "claims", hold] => Command::Claim { hold: hold.parse().unwrap(), subject: subject(who) },
        [who, "starts", key, "on", hold] => {
            Command::PayStart { hold: hold.parse().unwrap(), subject: subject(who), payment: payment(key) }
        }
        [who, "confirms", key, "on", hold] => {
            Command::Confirm { hold: hold.parse().unwrap(), subject: subject(who), payment: payment(key) }
        }
        other => panic!("row {row}: {other:?}"),
    }
}

fn said(outcome: Outcome) -> String {
    match outcome {
        Outcome::Done => "done".to_owned(),
        Outcome::Unchanged => "unchanged".to_owned(),
        Outcome::Granted { hold, replayed: false, .. } => format!("granted {hold}"),
        Outcome::Granted { hold, replayed: true, .. } => format!("replayed {hold}"),
        Outcome::Waiting { hold, replayed: false } => format!("waiting {hold}"),
        Outcome::Waiting { hold, replayed: true } => format!("waiting again {hold}"),
        Outcome::PaymentStarted { payment } => format!("started {payment}"),
        Outcome::Confirmed { hold, replayed: false } => format!("confirmed {hold}"),
        Outcome::Confirmed { hold, replayed: true } => format!("confirmed again {hold}"),
        Outcome::VoidPayment { refusal } => format!("void {}", refusal.code()),
        Outcome::Refused(refusal) => refusal.code().to_owned(),
    }
}

#[test]
fn every_row_comes_to_what_it_says() {
    let (mut state, mut now, mut fresh) = (State::new(rules(), 1_000_000), 1_000_000_i64, true);
    let mut effects = Vec::new();
    for (row, line) in include_str!("outcomes.txt").lines().enumerate() {
        let Some((left, right)) = line.split_once("=>").filter(|_| !line.starts_with('#')) else {
            if line.is_empty() && !fresh {
                (state, now, fresh) = (State::new(rules(), 1_000_000), 1_000_000, true);
            }
            continue;
        };
        fresh = false;
        let mut words: Vec<&str> = left.split_whitespace().collect();
        if let Some(wait) = words.first().and_then(|word| word.strip_prefix('+')) {
            now += wait.parse::<i64>().unwrap();
            words.remove(0);
        }
        let position = Position { generation: 0, offset: row as u64, index: 0 };
        let outcome = state.apply(position, now, &command(&words, row), &mut effects);
        assert_eq!(said(outcome), right.trim(), "outcomes.txt:{}: {left}", row + 1);
        state.check_all().unwrap_or_else(|what| panic!("outcomes.txt:{}: {what}", row + 1));
    }
}

/// Every sequence of so many commands on a sale of one unit and two customers.
#[test]
fn every_short_sequence_keeps_every_invariant() {
    let one = Rules { items: vec![ItemRules { stock: 1, per_customer: 1 }], ..rules() };
    let rows = [
        "a reserves r1",
        "b reserves r2",
        "b waits r3",
        "a cancels 0",
        "b claims 1",
        "a starts p1 on 0",
        "a confirms p1 on 0",
        "capture failed p1",
        "captured p1",
        "voided p1",
        "refund 0",
        "halt",
        "halt all",
        "resume",
        "close",
        "stock 1",
        "stock -1",
        "shortage 1",
        "tick",
    ];
    let commands: Vec<Command> =
        rows.iter().enumerate().map(|(row, line)| command(&line.split_whitespace().collect::<Vec<_>>(), row)).collect();
    let mut state = State::new(one, 0);
    let mut effects = Vec::new();
    for opening in [Command::Arm { change: ChangeId([9; 16]) }, Command::Open] {
        state.apply(Position::default(), 0, &opening, &mut effects);
    }
    explore(&state, &commands, 4, 0);
}

fn explore(state: &State, commands: &[Command], depth: u32, now: i64) {
    for command in commands {
        // A tick lets a hold's whole time pass; everything else happens at once.
        let now = now + if *command == Command::Tick { 1_000 } else { 0 };
        let (mut next, mut twin) = (state.clone(), state.clone());
        let (mut effects, mut again) = (Vec::new(), Vec::new());
        let position = Position::default();
        let outcome = next.apply(position, now, command, &mut effects);
        assert_eq!(outcome, twin.apply(position, now, command, &mut again), "{command:?}");
        assert_eq!((next.digest(), &effects), (twin.digest(), &again), "{command:?}");
        if let Err(what) = next.check_all() {
            panic!("{command:?}: {what}");
        }
        if depth > 1 {
            explore(&next, commands, depth - 1, now);
        }
    }
}
