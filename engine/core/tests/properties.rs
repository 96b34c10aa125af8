//! What holds for every sequence of commands, however it comes: invariants, replay, batching, repetition, snapshots.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use flashsale_core::{
    ChangeId, Command, Effect, HaltCause, HaltScope, ItemRules, Outcome, PaymentKey, Position, Refusal, Refused,
    RequestKey, Rules, State, SubjectKey,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree;

/// Time that passes before a command, ms, and the command.
type Step = (i64, Command);

/// Two items, few customers, few requests: so that things meet.
fn rules(pace: Option<u32>) -> Rules {
    Rules {
        items: vec![ItemRules { stock: 2, per_customer: 1 }, ItemRules { stock: 3, per_customer: 2 }],
        hold_ms: 1_000,
        offer_ms: 300,
        pace,
        opens_at: None,
        duration_ms: 60_000,
    }
}

fn key(number: u8) -> [u8; 16] {
    // Spread as a hash would be: tables use keys as they are.
    let word = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (u128::from(word) << 64 | u128::from(word.rotate_left(17))).to_le_bytes()
}

fn shopper() -> impl Strategy<Value = SubjectKey> {
    (0_u8..5).prop_map(|number| SubjectKey(key(number)))
}

/// Stands for whoever the hold belongs to: strangers alone would get nowhere.
const OWNER: SubjectKey = SubjectKey([0; 16]);

fn anyone() -> impl Strategy<Value = SubjectKey> {
    prop_oneof![8 => Just(OWNER), 1 => shopper()]
}

fn payment() -> impl Strategy<Value = PaymentKey> {
    (0_u8..6).prop_map(|number| PaymentKey(key(100 + number)))
}

/// Most often the hold's usual one.
fn payment_of(hold: u32) -> impl Strategy<Value = PaymentKey> {
    prop_oneof![6 => Just(PaymentKey(key(100 + (hold % 6) as u8))), 1 => payment()]
}

fn hold() -> impl Strategy<Value = u32> {
    prop_oneof![3 => 0_u32..3, 1 => 0_u32..10]
}

fn shoppers_command() -> impl Strategy<Value = Command> {
    let reserve = (0_u8..24, shopper(), 0_u16..3, any::<bool>()).prop_map(|(request, subject, item, wait)| {
        Command::Reserve { request: RequestKey(key(200 + request)), subject, item, wait }
    });
    prop_oneof![
        6 => reserve,
        1 => (hold(), anyone()).prop_map(|(hold, subject)| Command::Claim { hold, subject }),
        1 => (hold(), anyone()).prop_map(|(hold, subject)| Command::Cancel { hold, subject }),
        3 => (hold().prop_flat_map(|hold| (Just(hold), payment_of(hold))), anyone())
            .prop_map(|((hold, payment), subject)| Command::PayStart { hold, subject, payment }),
        3 => (hold().prop_flat_map(|hold| (Just(hold), payment_of(hold))), anyone())
            .prop_map(|((hold, payment), subject)| Command::Confirm { hold, subject, payment }),
    ]
}

fn moneys_command() -> impl Strategy<Value = Command> {
    prop_oneof![
        6 => payment().prop_map(|payment| Command::Captured { payment }),
        1 => payment().prop_map(|payment| Command::CaptureFailed { payment }),
        1 => payment().prop_map(|payment| Command::Voided { payment }),
        4 => (hold(), any::<bool>()).prop_map(|(hold, restock)| Command::RefundPlan { hold, restock }),
        4 => hold().prop_map(|hold| Command::RefundSent { hold }),
        4 => hold().prop_map(|hold| Command::RefundConfirmed { hold }),
    ]
}

fn operators_command() -> impl Strategy<Value = Command> {
    let change = || any::<[u8; 16]>().prop_map(ChangeId);
    let cause = HaltCause::Operator;
    prop_oneof![
        Just(Command::Tick),
        (0_u64..9).prop_map(|epoch| Command::Takeover { epoch }),
        (0_u16..2, 0_u64..9).prop_map(|(item, count)| Command::Tally {
            refusals: vec![Refused { item, refusal: Refusal::AllHeld, count }]
        }),
        (change(), any::<bool>()).prop_map(move |(change, all)| {
            Command::Halt { change, scope: if all { HaltScope::All } else { HaltScope::Reserve }, cause }
        }),
        change().prop_map(|change| Command::Resume { change }),
        change().prop_map(|change| Command::Resume { change }),
        (change(), prop::option::of(0_u32..50))
            .prop_map(|(change, units_per_second)| Command::Pace { change, units_per_second }),
        (change(), 0_u16..3, -2_i32..3).prop_map(|(change, item, by)| Command::Adjust { change, item, by }),
        (change(), 0_u16..3, 0_u32..4).prop_map(|(change, item, units)| Command::Shortage { change, item, units }),
        (change(), 0_i64..9_000).prop_map(|(change, opens_at)| Command::Reschedule { change, opens_at }),
        (change(), 0_i64..90_000).prop_map(|(change, closes_at)| Command::Extend { change, closes_at }),
        Just(Command::Open),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let command = prop_oneof![10 => shoppers_command(), 8 => moneys_command(), 2 => operators_command()];
    let passes = prop_oneof![40 => Just(0_i64), 8 => 0_i64..200, 1 => -500_i64..5_000];
    (passes, command)
}

/// An open sale and what happens to it; one in thirty sequences closes half way.
fn story() -> impl Strategy<Value = (Option<u32>, Vec<Step>)> {
    let steps = prop::collection::vec(step(), 1..200);
    (prop::option::weighted(0.2, 1_u32..30), steps, 0_u8..30).prop_map(|(pace, mut steps, end)| {
        if end == 0 {
            steps.insert(steps.len() / 2, (0, Command::Close { change: ChangeId([3; 16]) }));
        }
        (pace, steps)
    })
}

/// A sale being folded.
#[derive(Clone)]
struct Sale {
    state: State,
    now: i64,
    offset: u64,
}

impl Sale {
    fn open(pace: Option<u32>) -> Self {
        let mut sale = Self { state: State::new(rules(pace), 1_000), now: 1_000, offset: 0 };
        sale.fold(&(0, Command::Arm { change: ChangeId([1; 16]) }));
        sale.fold(&(0, Command::Open));
        sale
    }

    fn fold(&mut self, (passes, command): &Step) -> (Outcome, Vec<Effect>) {
        self.now += passes;
        self.offset += 1;
        self.place(Position { generation: 0, offset: self.offset, index: 0 }, command)
    }

    fn place(&mut self, position: Position, command: &Command) -> (Outcome, Vec<Effect>) {
        let mut effects = Vec::new();
        let outcome = self.state.apply(position, self.now, &self.by_owner(command.clone()), &mut effects);
        (outcome, effects)
    }

    fn by_owner(&self, mut command: Command) -> Command {
        if let Command::Claim { hold, subject }
        | Command::Cancel { hold, subject }
        | Command::PayStart { hold, subject, .. }
        | Command::Confirm { hold, subject, .. } = &mut command
            && *subject == OWNER
        {
            *subject = self.state.hold(*hold).map_or(OWNER, |held| held.subject);
        }
        command
    }
}

/// What the same command, come again at the same moment, must come to.
fn once_more(command: &Command, first: Outcome) -> Outcome {
    match (command, first) {
        (Command::Tick | Command::Takeover { .. } | Command::Tally { .. }, Outcome::Done) => Outcome::Done,
        (_, Outcome::Done) => Outcome::Unchanged,
        (_, Outcome::Granted { hold, expires_at, .. }) => Outcome::Granted { hold, expires_at, replayed: true },
        (_, Outcome::Waiting { hold, .. }) => Outcome::Waiting { hold, replayed: true },
        (_, Outcome::Confirmed { hold, .. }) => Outcome::Confirmed { hold, replayed: true },
        (_, other) => other,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_table_agrees_with_every_other_after_every_command((pace, steps) in story()) {
        let mut sale = Sale::open(pace);
        for step in &steps {
            let before = sale.state.digest();
            let (outcome, effects) = sale.fold(step);
            if let Err(what) = sale.state.check_all() {
                return Err(TestCaseError::fail(format!("{step:?}: {what}")));
            }
            prop_assert!(!effects.is_empty() || sale.state.digest() == before, "{step:?} came to {outcome:?} unseen");
        }
    }

    #[test]
    fn the_same_log_gives_the_same_sale((pace, steps) in story()) {
        let (mut one, mut two) = (Sale::open(pace), Sale::open(pace));
        for step in &steps {
            prop_assert_eq!(one.fold(step), two.fold(step));
        }
        prop_assert_eq!(one.state, two.state);
    }

    #[test]
    fn the_digest_does_not_know_how_records_were_cut((pace, steps) in story(), together in 1_usize..9) {
        let (mut alone, mut batched) = (Sale::open(pace), Sale::open(pace));
        for (offset, record) in (9_u64..).zip(steps.chunks(together)) {
            // A record has one timestamp.
            let passes = record.iter().map(|(passes, _)| passes).sum::<i64>();
            alone.now += passes;
            batched.now += passes;
            for (index, (_, command)) in (0..).zip(record) {
                let first = alone.fold(&(0, command.clone()));
                prop_assert_eq!(first, batched.place(Position { generation: 0, offset, index }, command));
            }
            prop_assert_eq!(alone.state.digest(), batched.state.digest());
        }
    }

    #[test]
    fn what_comes_again_changes_nothing((pace, steps) in story()) {
        let mut sale = Sale::open(pace);
        for step in &steps {
            let (first, _) = sale.fold(step);
            let (digest, phase) = (sale.state.digest(), sale.state.phase());
            let (again, effects) = sale.fold(&(0, step.1.clone()));
            prop_assert_eq!(again, once_more(&step.1, first), "{:?} after {:?}", step, first);
            prop_assert_eq!((sale.state.digest(), sale.state.phase()), (digest, phase), "{:?}: {:?}", step, effects);
            prop_assert!(!effects.iter().any(|effect| matches!(effect, Effect::Hold { .. })), "{:?}", effects);
        }
    }

    #[test]
    fn a_snapshot_goes_on_as_the_sale_would_have((pace, steps) in story(), part in 0_usize..200) {
        let mut sale = Sale::open(pace);
        let (before, after) = steps.split_at(part.min(steps.len()));
        for step in before {
            sale.fold(step);
        }
        let kept = postcard::to_stdvec(&sale.state).unwrap();
        let mut restored = Sale { state: postcard::from_bytes(&kept).unwrap(), ..sale.clone() };
        prop_assert_eq!(&restored.state, &sale.state);
        for step in after {
            prop_assert_eq!(restored.fold(step), sale.fold(step));
        }
        prop_assert_eq!(restored.state, sale.state);
    }

    #[test]
    fn a_batch_counts_once(numbers in prop::collection::vec((0_u32..3, 0_u64..2, 1_u64..9), 1..60)) {
        let mut state = State::new(rules(None), 0);
        let mut highest = std::collections::BTreeMap::new();
        for (gateway, boot, number) in numbers {
            let last: &mut u64 = highest.entry((gateway, boot)).or_default();
            prop_assert_eq!(state.accept_batch(gateway, boot, number), number > *last);
            *last = (*last).max(number);
        }
    }
}

/// The stories above are worth something: in a few hundred of them every way that a hold can go is gone.
#[test]
fn stories_go_every_way() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut ways, mut refusals) = (std::collections::HashSet::new(), std::collections::BTreeSet::new());
    for _ in 0..400 {
        let (pace, steps) = story().new_tree(&mut runner).unwrap().current();
        let mut sale = Sale::open(pace);
        for step in &steps {
            let (outcome, effects) = sale.fold(step);
            ways.extend(effects.iter().filter_map(|effect| match effect {
                Effect::Hold { change, .. } => Some(*change),
                _ => None,
            }));
            if let Outcome::Refused(refusal) | Outcome::VoidPayment { refusal } = outcome {
                refusals.insert(refusal);
            }
        }
    }
    assert_eq!(ways.len(), 11, "{ways:?}");
    // Stories begin open, and eight payments for one hold are rare.
    for refusal in Refusal::ALL {
        let rare = matches!(refusal, Refusal::NotOpen | Refusal::PaymentLimit);
        assert!(rare || refusals.contains(&refusal), "{refusal:?} was never said");
    }
}
