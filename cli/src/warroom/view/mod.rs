//! Pure: the model becomes a picture. Nothing is shown as proven while the news is old.

mod charts;
mod flow;
mod header;
mod overlay;
mod slo;
mod stock;
mod timeline;
mod tiny;
mod writer;

use ratatui::Frame;
use ratatui::backend::TestBackend;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::widgets::{Block, Paragraph};

use super::model::Model;

/// Smaller than this and only the most important line is shown.
const SMALLEST: (u16, u16) = (60, 16);
/// Lines of the panel of promises: none is ever cut off.
const PROMISES: u16 = 5;
/// From this width on there is room for charts beside the numbers.
const WIDE: u16 = 120;

/// Draws everything.
pub fn draw(frame: &mut Frame<'_>, model: &Model) {
    let area = frame.area();
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        tiny::draw(frame, area, model);
        // A question that is asked is shown, whatever the size: the keys answer it.
        overlay::draw(frame, area, model);
        return;
    }
    let head = Constraint::Length(header::lines(model) + 2);
    let [head, body, foot] = Layout::vertical([head, Constraint::Min(1), Constraint::Length(1)]).areas(area);
    header::draw(frame, head, model);
    if model.frame.is_none() {
        let why = model.lost.as_deref().unwrap_or("waiting for the engine");
        frame.render_widget(Paragraph::new(format!("No news yet: {why}")).block(panel("sale")), body);
    } else if area.width >= WIDE && area.height >= 36 {
        wide(frame, body, model);
    } else {
        narrow(frame, body, model);
    }
    header::keys(frame, foot, model);
    overlay::draw(frame, area, model);
}

/// The picture as text, for `watch --once` and tests.
pub fn text(model: &Model, width: u16, height: u16) -> Result<String, String> {
    let mut terminal = ratatui::Terminal::new(TestBackend::new(width, height)).map_err(|error| format!("{error:?}"))?;
    terminal.draw(|frame| draw(frame, model)).map_err(|error| format!("{error:?}"))?;
    let buffer = terminal.backend().buffer();
    let rows = (0..height).map(|row| {
        let line: String = (0..width).map(|column| buffer[(column, row)].symbol()).collect();
        line.trim_end().to_owned()
    });
    Ok(rows.collect::<Vec<_>>().join("\n"))
}

fn narrow(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    // Trouble takes a line of the outcomes rather than one of the timeline, which says what to do.
    let flow = if header::lines(model) > 1 { 7 } else { 8 };
    let [top, middle, bottom] =
        Layout::vertical([Constraint::Length(PROMISES + 2), Constraint::Length(flow), Constraint::Min(3)]).areas(area);
    let [left, right] = Layout::horizontal([Constraint::Percentage(52), Constraint::Percentage(48)]).areas(top);
    stock::draw(frame, left, model);
    slo::draw(frame, right, model);
    let [left, right] = Layout::horizontal([Constraint::Percentage(52), Constraint::Percentage(48)]).areas(middle);
    flow::draw(frame, left, model);
    writer::draw(frame, right, model);
    timeline::draw(frame, bottom, model);
}

fn wide(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let items = u16::try_from(model.frame.as_ref().map_or(1, |frame| frame.status.items.len())).unwrap_or(1);
    let [top, middle, bottom] = Layout::vertical([
        Constraint::Length(items.saturating_add(2).clamp(8, 14) + 2),
        Constraint::Fill(2),
        Constraint::Fill(1),
    ])
    .areas(area);
    let [first, second, third, fourth] = Layout::horizontal([Constraint::Ratio(1, 4); 4]).areas(top);
    stock::draw(frame, first, model);
    slo::draw(frame, second, model);
    flow::draw(frame, third, model);
    writer::draw(frame, fourth, model);
    let [left, right] = Layout::horizontal([Constraint::Percentage(50), Constraint::Percentage(50)]).areas(middle);
    charts::stock(frame, left, model);
    charts::rates(frame, right, model);
    let [left, right] = Layout::horizontal([Constraint::Percentage(50), Constraint::Percentage(50)]).areas(bottom);
    timeline::draw(frame, left, model);
    charts::latency(frame, right, model);
}

/// A titled box.
fn panel(title: &str) -> Block<'_> {
    Block::bordered().title(format!(" {title} "))
}

/// How things are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tone {
    Plain,
    Quiet,
    Good,
    Warning,
    Bad,
}

/// A tone's style: old data is dimmed whatever it says, and nothing depends on colour alone.
fn style(model: &Model, tone: Tone) -> Style {
    if model.stale() { Style::new().add_modifier(Modifier::DIM) } else { fresh(model, tone) }
}

/// A tone's style for what is true now, also when the news is old.
fn fresh(model: &Model, tone: Tone) -> Style {
    let plain = Style::new();
    match (tone, model.colour) {
        (Tone::Plain, _) | (Tone::Good, false) => plain,
        (Tone::Quiet, _) => plain.add_modifier(Modifier::DIM),
        (Tone::Warning, false) => plain.add_modifier(Modifier::BOLD),
        (Tone::Bad, false) => plain.add_modifier(Modifier::BOLD | Modifier::REVERSED),
        (Tone::Good, true) => plain.fg(Color::Green),
        (Tone::Warning, true) => plain.fg(Color::Yellow),
        (Tone::Bad, true) => plain.fg(Color::White).bg(Color::Red).add_modifier(Modifier::BOLD),
    }
}

/// A latency in the unit that one reads: `31 µs`, `8.4 ms`, `5.02 s`.
fn latency(millis: f64) -> String {
    match millis.max(0.0) {
        millis if millis < 0.999_5 => format!("{:.0} µs", millis * 1_000.0),
        millis if millis < 99.95 => format!("{millis:.1} ms"),
        millis if millis < 999.5 => format!("{millis:.0} ms"),
        millis if millis < 99_950.0 => format!("{:.2} s", millis / 1_000.0),
        millis => format!("{} s", grouped(millis / 1_000.0)),
    }
}

/// What an old value carries with it.
fn ago(model: &Model) -> String {
    format!("{} ago", clock(model.age()))
}

/// A moment of the engine's clock: `17:01:30`.
fn utc(at: i64) -> String {
    jiff::Timestamp::from_millisecond(at).map_or("-".to_owned(), |at| at.strftime("%H:%M:%S").to_string())
}

/// A count with thin groups: `12,345`.
fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.max(0.0));
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A duration for people: `0:42`, `1:02:03`.
fn clock(millis: i64) -> String {
    let seconds = millis.unsigned_abs() / 1_000;
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}
