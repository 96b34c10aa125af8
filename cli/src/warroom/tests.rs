//! Frames as an operator sees them, from events alone: no clock, no terminal, no engine.
//!
//! After a wanted change: `INSTA_UPDATE=always cargo test -p flashsale --lib warroom`; look at every frame you keep.

use std::collections::BTreeMap;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use flashsale_core::{HaltCause, HaltScope, ItemStatus, Phase};
use flashsale_engine::operator::wire::{
    Change, Changed, Frame, Halt, ItemStatusLine, Note, SloTargets, Status, Writer,
};
use flashsale_engine::ports::Gate;
use flashsale_engine::telemetry::catalogue::name;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::{Color, Modifier};

use super::event::{Action, Event};
use super::model::Model;
use super::update::update;
use super::{Left, Options, view};

/// The opening, Unix ms: 2026-11-27T17:00:00Z.
const OPENING: i64 = 1_795_798_800_000;

fn options(interactive: bool) -> Options {
    Options {
        url: String::new(),
        token: String::new(),
        interactive,
        colour: true,
        leave_at_end: false,
        operator: "ann".to_owned(),
    }
}

fn item(sku: &str, stock: u32, sold: u32, held: u32) -> ItemStatusLine {
    let available = stock.saturating_sub(sold + held);
    ItemStatusLine {
        sku: sku.to_owned(),
        name: format!("Sneaker {sku}"),
        status: ItemStatus::Live,
        stock,
        shortage: 0,
        held,
        sold,
        waiting: 0,
        available,
    }
}

/// A live sale, 90 s after its opening.
fn status() -> Status {
    Status {
        sale: "sneaker-drop".to_owned(),
        run: uuid::Uuid::nil(),
        rehearsal: false,
        version: "0.1.0".to_owned(),
        pid: 4_711,
        leads: true,
        started_at: OPENING - 600_000,
        now: OPENING + 90_000,
        phase: Phase::Live,
        armed: true,
        ended: false,
        opens_at: Some(OPENING),
        opened_at: Some(OPENING),
        closes_at: Some(OPENING + 1_800_000),
        closed_at: None,
        pace: None,
        slo: SloTargets { read_p95_ms: 150.0, write_p95_ms: 120.0, checkout_p95_ms: 450.0, availability: 0.999 },
        halt: None,
        gate: None,
        cache_away_since: None,
        stopped: None,
        unconfirmed: None,
        items: vec![item("SNKR-1", 10_000, 4_211, 1_789)],
        writer: Writer {
            epoch: 3,
            generation: 1,
            next_offset: 48_213,
            log_end: 48_215,
            published_through: 48_213,
            digest: "0123456789abcdef".to_owned(),
        },
        open_payments: 12,
        orders: 4_211,
        revenue_minor: 84_220_000,
        currency: "USD".to_owned(),
    }
}

fn metrics() -> BTreeMap<String, f64> {
    let outcome = |outcome: &str| format!("{}{{outcome=\"{outcome}\"}}", name::DECISIONS);
    let mut metrics: BTreeMap<String, f64> = [
        (name::READ_RATE, 212_345.0),
        (name::WRITE_RATE, 18_432.0),
        (name::CHECKOUT_RATE, 47.0),
        (name::DEPLETION_RATE, 66.6),
        (name::P95_READS, 0.031),
        (name::P95_WRITES, 8.4),
        (name::P95_CHECKOUT, 212.0),
        (name::AVAILABILITY, 0.999_97),
        (name::OVERSELL_COUNT, 0.0),
        (name::QUEUE_DEPTH, 37.0),
        (name::QUEUE_AGE, 2.4),
        (name::BATCH_SIZE, 61.0),
        (name::BATCH_TIME, 3.2),
        (name::UTILISATION, 0.31),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    metrics.insert(outcome("granted"), 6_000.0);
    metrics.insert(outcome("all_held"), 1_204_118.0);
    metrics.insert(outcome("limit_reached"), 912.0);
    metrics
}

fn frame(status: Status, metrics: BTreeMap<String, f64>) -> Event {
    Event::Frame(Box::new(Frame { number: 1, status, metrics, notes: Vec::new() }))
}

fn note(after: i64, level: &str, text: &str) -> Note {
    Note { at: OPENING + after, level: level.to_owned(), text: text.to_owned() }
}

/// A model that has seen a quarter of an hour of a sale, a frame every five seconds, up to this one.
fn seen(last: Status, metrics: BTreeMap<String, f64>, notes: Vec<Note>) -> Model {
    let mut model = Model::new(&options(true), last.now);
    for step in (0..18_u32).rev() {
        let mut earlier = last.clone();
        earlier.now -= i64::from(step) * 5_000;
        let grown = |units: u32| units - units / 18 * step;
        for item in &mut earlier.items {
            (item.sold, item.held) = (grown(item.sold), grown(item.held));
        }
        let notes = if step == 0 { notes.clone() } else { Vec::new() };
        update(&mut model, Event::Tick(earlier.now + 40));
        let frame = Frame { number: u64::from(18 - step), status: earlier, metrics: metrics.clone(), notes };
        update(&mut model, Event::Frame(Box::new(frame)));
    }
    model
}

fn normal() -> Model {
    let notes = vec![
        note(-300_000, "info", "preflight: go"),
        note(0, "info", "opened"),
        note(61_500, "warning", "read P95 rose to 12 ms, back after 3 s"),
    ];
    seen(status(), metrics(), notes)
}

/// Everything that can go wrong, at once.
fn alarming() -> Model {
    let mut status = status();
    status.phase = Phase::Halted;
    status.halt = Some(Halt { scope: HaltScope::Reserve, cause: HaltCause::Invariant });
    status.gate = Some(Gate {
        by: "reconciler".to_owned(),
        reason: "held + sold > stock".to_owned(),
        invariant: true,
        since: OPENING + 88_000,
    });
    status.stopped = Some("ledger: inventory_check violated at offset 48213".to_owned());
    status.items = vec![ItemStatusLine { waiting: 40, ..item("SNKR-1", 10_000, 9_990, 12) }];
    status.writer.log_end = 61_020;
    status.writer.published_through = 48_100;
    let mut metrics = metrics();
    for (name, value) in [
        (name::OVERSELL_COUNT, 2.0),
        (name::P95_READS, 1_204.0),
        (name::P95_WRITES, 5_021.7),
        (name::P95_CHECKOUT, 451.0),
        (name::AVAILABILITY, 0.981),
        (name::QUEUE_DEPTH, 123_456.0),
        (name::QUEUE_AGE, 61_234.0),
        (name::UTILISATION, 0.99),
    ] {
        metrics.insert(name.to_owned(), value);
    }
    seen(
        status,
        metrics,
        vec![
            note(80_000, "warning", "queue age 2.4 s: shedding"),
            note(
                88_000,
                "page",
                "invariant I1 violated on SNKR-1: the writer has stopped; run `flashsale audit verify`",
            ),
        ],
    )
}

fn stale() -> Model {
    let mut model = normal();
    update(&mut model, Event::Lost("error sending request: connection refused (os error 111)".to_owned()));
    let now = model.now;
    update(&mut model, Event::Tick(now + 73_000));
    model
}

fn draw(model: &Model, width: u16, height: u16) -> String {
    view::text(model, width, height).unwrap()
}

fn press(model: &mut Model, keys: &str) -> Action {
    let mut last = Action::None;
    for letter in keys.chars() {
        let code = match letter {
            '\n' => KeyCode::Enter,
            '\u{1b}' => KeyCode::Esc,
            '\u{8}' => KeyCode::Backspace,
            letter => KeyCode::Char(letter),
        };
        last = update(model, Event::Key(KeyEvent::new(code, KeyModifiers::NONE)));
    }
    last
}

/// The sizes of a laptop's terminal and of a wall.
fn both(name: &str, model: &Model) {
    insta::assert_snapshot!(format!("{name}_80x24"), draw(model, 80, 24));
    insta::assert_snapshot!(format!("{name}_160x50"), draw(model, 160, 50));
}

#[test]
fn a_live_sale() {
    both("live", &normal());
}

#[test]
fn everything_wrong_at_once() {
    both("alarming", &alarming());
}

#[test]
fn old_news_proves_nothing() {
    let model = stale();
    both("stale", &model);
    for size in [(80, 24), (160, 50), (40, 10)] {
        let text = draw(&model, size.0, size.1);
        assert!(!text.contains(" ok") && !text.contains("MISSED"), "a verdict from old news:\n{text}");
    }
}

#[test]
fn before_any_news() {
    let mut model = Model::new(&options(false), OPENING);
    both("empty", &model);
    update(&mut model, Event::Lost("error sending request: connection refused (os error 111)".to_owned()));
    update(&mut model, Event::Tick(OPENING + 8_000));
    both("empty_lost", &model);
}

#[test]
fn before_the_opening_nothing_has_been_measured() {
    let mut status = status();
    status.phase = Phase::Upcoming;
    (status.opened_at, status.closes_at) = (None, None);
    (status.now, status.orders, status.open_payments) = (OPENING - 3_723_000, 0, 0);
    status.items = vec![item("SNKR-1", 10_000, 0, 0)];
    both("upcoming", &seen(status, BTreeMap::new(), Vec::new()));
}

#[test]
fn many_items_that_do_not_fit() {
    let mut status = status();
    status.rehearsal = true;
    status.pace = Some(80);
    status.items =
        (1..=30).map(|place| item(&format!("LONG-SKU-NAME-{place}"), place * 1_000, place * 100, 7)).collect();
    both("many_items", &seen(status, metrics(), Vec::new()));
}

#[test]
fn a_sale_that_has_ended() {
    let mut status = status();
    (status.phase, status.ended) = (Phase::Closed, true);
    (status.closed_at, status.now) = (Some(OPENING + 1_800_000), OPENING + 1_925_000);
    status.items = vec![ItemStatusLine { status: ItemStatus::SoldOut, ..item("SNKR-1", 10_000, 10_000, 0) }];
    both("ended", &seen(status, metrics(), vec![note(1_925_000, "info", "ended: 10,000 sold, 0 oversold")]));
}

#[test]
fn a_terminal_too_small_shows_what_matters_most() {
    insta::assert_snapshot!("live_40x10", draw(&normal(), 40, 10));
    insta::assert_snapshot!("alarming_40x10", draw(&alarming(), 40, 10));
    insta::assert_snapshot!("stale_40x10", draw(&stale(), 40, 10));
    insta::assert_snapshot!("empty_40x10", draw(&Model::new(&options(false), OPENING), 40, 10));
    for model in [normal(), alarming(), stale(), Model::new(&options(true), OPENING)] {
        for (width, height) in
            [(1, 1), (2, 3), (59, 16), (60, 15), (60, 16), (119, 60), (120, 35), (120, 36), (300, 100)]
        {
            draw(&model, width, height);
        }
    }
}

#[test]
fn overlays() {
    let mut model = normal();
    press(&mut model, "?");
    insta::assert_snapshot!("help", draw(&model, 80, 24));
    press(&mut model, "xHsneaker");
    insta::assert_snapshot!("confirm", draw(&model, 80, 24));
    press(&mut model, "\u{1b}");
    let steps = vec!["gate shut".to_owned(), "logged at offset 48214".to_owned()];
    update(&mut model, Event::Answered(Ok(Changed { changed: true, steps, offset: Some(48_214) })));
    insta::assert_snapshot!("done", draw(&model, 80, 24));
    update(
        &mut model,
        Event::Answered(Err("503: the log does not answer; the gate is shut, nothing is logged".to_owned())),
    );
    insta::assert_snapshot!("not_done", draw(&model, 80, 24));
}

#[test]
fn a_change_takes_the_sale_s_whole_name() {
    let mut model = normal();
    assert_eq!(press(&mut model, "Hsneaker\n"), Action::None, "half a name is none");
    let halt = Action::Send(Change::Halt { all: false }, "by hand in the war room".to_owned());
    assert_eq!(press(&mut model, "-dropp\u{8}\n"), halt);
    assert_eq!(press(&mut model, "Csneaker-drop\u{1b}\n"), Action::None, "Esc takes it back");
    assert_eq!(press(&mut model, "q"), Action::Leave(Left::Quit));
    let mut watching = Model::new(&options(false), OPENING);
    update(&mut watching, frame(status(), metrics()));
    assert_eq!(press(&mut watching, "Hsneaker-drop\n"), Action::None, "who watches changes nothing");
}

#[test]
fn the_same_events_draw_the_same_frame() {
    for build in [normal, alarming, stale] {
        let (one, other) = (build(), build());
        assert_eq!(draw(&one, 160, 50), draw(&other, 160, 50));
        assert_eq!(draw(&one, 160, 50), draw(&one, 160, 50), "drawing changes nothing");
    }
}

#[test]
fn nothing_old_is_drawn_in_a_colour_that_reassures() {
    let cells = |model: &Model| {
        let mut terminal = Terminal::new(TestBackend::new(160, 50)).unwrap();
        terminal.draw(|frame| view::draw(frame, model)).unwrap();
        terminal.backend().buffer().content().to_vec()
    };
    assert!(cells(&normal()).iter().any(|cell| cell.fg == Color::Green));
    assert!(cells(&alarming()).iter().any(|cell| cell.bg == Color::Red));
    let old = cells(&stale());
    assert!(old.iter().all(|cell| cell.fg != Color::Green), "green from old news");
    assert!(old.iter().any(|cell| cell.bg == Color::Red), "the lost feed itself is an alarm");
    let numbers = old.iter().filter(|cell| cell.symbol().chars().all(|letter| letter.is_ascii_digit()));
    assert!(numbers.filter(|cell| cell.modifier.contains(Modifier::DIM)).count() > 50, "old numbers are dim");
}
