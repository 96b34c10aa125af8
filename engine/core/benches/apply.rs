//! What a decision costs: `apply` beside a plain `HashMap` insert of the same request keys, turn by turn in one run.
//! Times are this thread's processor time, so that a busy machine is no excuse. `cargo bench -p flashsale-core`; about
//! half a minute.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

#[path = "../../../cli/benches/rows/mod.rs"]
mod rows;

use std::collections::HashMap;
use std::hint::black_box;
use std::time::Duration;

use rows::{Goal, Rows};

use flashsale_core::{
    ChangeId, Command, ItemRules, LOOK_AHEAD, Outcome, Position, RequestKey, Rules, State, SubjectKey,
};

/// Commands that are made, then timed: a turn of `apply`, a turn of `insert`.
const TURN: u64 = 16_384;
/// The customer's goal: ten million decisions a second on one core, ns a decision.
const GOAL_NS: f64 = 100.0;
/// Ten million grants may cost so many times what a million cost, each.
const GOAL_GROWTH: f64 = 5.0;

fn main() {
    // `cargo test --benches` only asks whether this builds.
    if !std::env::args().any(|word| word == "--bench") {
        return;
    }
    let bytes = [1_000_000, 10_000_000].map(bytes_a_hold);
    println!("case                         decisions  granted   ns each  ns/grant  ns/refusal  HashMap ns");
    let mix = run("sale's mix, 10,000 units", 10_000, 1_000_000);
    let tenth = run("a tenth granted", 100_000, 1_000_000);
    let half = run("half granted, 1M units", 1_000_000, 2_000_000);
    let million = run("all granted, 1M", 1_000_000, 1_000_000);
    let ten = run("all granted, 10M", 10_000_000, 10_000_000);
    let mut rows = Rows::of("apply");
    let how = "this thread's processor time, turns beside a HashMap insert";
    rows.add("a decision, sale's mix of 10,000 units", mix.each, "ns", Goal::AtMost(GOAL_NS), how);
    rows.add("a decision, half granted, up to 1M grants", half.each, "ns", Goal::AtMost(GOAL_NS), how);
    rows.add("a refusal after 10,000 grants", mix.refusal, "ns", Goal::AtMost(GOAL_NS), how);
    rows.add("a refusal after 100,000 grants", tenth.refusal, "ns", Goal::AtMost(GOAL_NS), how);
    rows.add("a refusal after 1M grants", half.refusal, "ns", Goal::AtMost(GOAL_NS), how);
    rows.add("the last quarter of a million refusals / the first", mix.flat, "", Goal::AtMost(1.5), how);
    rows.add("a grant, 1M", million.grant, "ns", Goal::Told, how);
    rows.add("a grant, 1M / HashMap insert", million.grant / million.insert, "", Goal::Told, how);
    rows.add("a grant, 10M / a grant, 1M", ten.grant / million.grant, "", Goal::AtMost(GOAL_GROWTH), how);
    rows.add("a live hold with its tables, 1M", bytes[0], "bytes", Goal::AtMost(GOAL_BYTES), "resident memory");
    rows.add("a live hold with its tables, 10M", bytes[1], "bytes", Goal::AtMost(GOAL_BYTES), "resident memory");
}

/// About a hundred bytes a live hold, tables included.
const GOAL_BYTES: f64 = 100.0;

struct Cost {
    each: f64,
    grant: f64,
    refusal: f64,
    insert: f64,
    flat: f64,
}

/// Resident memory of a sale that granted so many units, a hold.
fn bytes_a_hold(grants: u64) -> f64 {
    let before = resident();
    let mut state = open_sale(grants);
    let mut effects = Vec::new();
    for number in 0..grants {
        effects.clear();
        state.apply(Position::default(), 1_000, &reserve(number), &mut effects);
    }
    #[allow(clippy::cast_precision_loss)]
    let bytes = resident().saturating_sub(before) as f64 / grants as f64;
    drop(black_box(state));
    bytes
}

/// Reserves by as many customers on a sale of `stock` units: all are granted until they are gone, as in a sale.
fn run(case: &str, stock: u64, decisions: u64) -> Cost {
    let mut state = open_sale(stock);
    let mut effects = Vec::new();
    let mut refusals = Vec::new();
    let mut turn = Vec::new();
    let mut plain: HashMap<[u8; 16], u32> = HashMap::new();
    let (mut granting, mut refusing, mut inserting) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    let (mut granted, mut done) = (0, 0);
    while done < decisions {
        // A turn is all grants or all refusals, so that each can be told apart.
        let left = if done < stock { stock - done } else { decisions - done };
        let count = TURN.min(left).min(decisions - done);
        turn.clear();
        turn.extend((done..done + count).map(reserve));
        let begun = spent();
        for (index, command) in (0..).zip(&turn) {
            if (index as usize).is_multiple_of(LOOK_AHEAD) {
                let ahead = turn.iter().skip(index as usize).take(LOOK_AHEAD);
                state.look_ahead(ahead);
            }
            effects.clear();
            let position = Position { generation: 0, offset: done, index };
            let outcome = state.apply(position, 1_000 + (done >> 8).cast_signed(), command, &mut effects);
            granted += u64::from(matches!(outcome, Outcome::Granted { .. }));
            black_box(&effects);
        }
        let took = spent() - begun;
        if done < stock {
            granting += took;
            let keys: Vec<[u8; 16]> = turn.iter().map(key).collect();
            let begun = spent();
            for (place, key) in (0..).zip(keys) {
                plain.insert(key, place);
            }
            inserting += spent() - begun;
        } else {
            refusing += took;
            refusals.push(took.as_secs_f64() / turn.len() as f64);
        }
        done += count;
    }
    assert_eq!(granted, stock.min(decisions), "every unit is granted, and no more");
    drop(black_box(plain));
    let quarter = refusals.len() / 4;
    let flat = median(&refusals[refusals.len() - quarter..]) / median(&refusals[..quarter]);
    report(case, decisions, granted, [granting, refusing, inserting], flat)
}

fn report(case: &str, decisions: u64, granted: u64, spent: [Duration; 3], flat: f64) -> Cost {
    #[allow(clippy::cast_precision_loss)]
    let per = |time: Duration, count: u64| time.as_secs_f64() * 1e9 / count as f64;
    let [granting, refusing, inserting] = spent;
    let cost = Cost {
        each: per(granting + refusing, decisions),
        grant: per(granting, granted),
        refusal: per(refusing, decisions - granted),
        insert: per(inserting, granted),
        flat,
    };
    println!(
        "{case:<27} {decisions:>10} {granted:>8}  {:>8.1}  {:>8.1}  {:>10.1}  {:>10.1}",
        cost.each, cost.grant, cost.refusal, cost.insert,
    );
    cost
}

/// Not a number for nothing.
fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn open_sale(stock: u64) -> State {
    let rules = Rules {
        items: vec![ItemRules { stock: u32::try_from(stock).unwrap(), per_customer: 1 }],
        hold_ms: 120_000,
        offer_ms: 20_000,
        pace: None,
        opens_at: None,
        duration_ms: 3_600_000,
    };
    let mut state = State::new(rules, 1_000);
    let mut effects = Vec::new();
    for command in [Command::Arm { change: ChangeId([1; 16]) }, Command::Open] {
        state.apply(Position::default(), 1_000, &command, &mut effects);
    }
    state
}

fn reserve(number: u64) -> Command {
    Command::Reserve {
        request: RequestKey(random(number * 4)),
        subject: SubjectKey(random(number * 4 + 2)),
        item: 0,
        wait: false,
    }
}

fn key(command: &Command) -> [u8; 16] {
    match command {
        Command::Reserve { request, .. } => request.0,
        other => panic!("{other:?}"),
    }
}

/// Sixteen bytes as a hash would give them: SplitMix64 of a seed and its successor.
fn random(seed: u64) -> [u8; 16] {
    let word = |seed: u64| {
        let mut mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    };
    (u128::from(word(seed)) << 64 | u128::from(word(seed + 1))).to_le_bytes()
}

/// Processor time of this thread so far.
fn spent() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap())
}

/// Bytes of memory that this process has resident, from the system; 0 where it does not say.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).map_or(0, |kib| kib * 1_024)
}
