//! Stock, rates and latency over time, for wide screens.

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::{Color, Style};
use ratatui::symbols::Marker;
use ratatui::text::Span;
use ratatui::widgets::{Axis, Chart, Dataset, GraphType, LegendPosition};

use super::super::model::{Model, Point};
use super::{Tone, ago, clock, grouped, panel, style};

/// Room above the highest point.
const HEADROOM: f64 = 1.1;

/// One line of a chart: its name, its colour, its value at a moment.
type Series<'a> = (&'a str, Color, fn(&Point) -> f64);

/// Units sold and held, against the pace if there is one.
pub fn stock(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let series: [Series<'_>; 2] =
        [("sold", Color::Green, |point| point.sold), ("sold + held", Color::Yellow, |point| point.sold + point.held)];
    let expected = expected(model);
    let title = if expected.is_empty() { "units" } else { "units (dots: as paced)" };
    draw(frame, area, model, title, &series, expected);
}

/// Reads and reserves a second.
pub fn rates(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let series: [Series<'_>; 2] =
        [("reads /s", Color::Cyan, |point| point.reads), ("reserves /s", Color::Magenta, |point| point.writes)];
    draw(frame, area, model, "requests a second", &series, Vec::new());
}

/// Reserve latency and the age of the queue.
pub fn latency(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let series: [Series<'_>; 2] =
        [("reserve P95", Color::Yellow, |point| point.p95_writes), ("queue age", Color::Blue, |point| point.queue_age)];
    draw(frame, area, model, "latency, ms", &series, Vec::new());
}

/// What should be taken by now when grants are paced: a straight line from the opening to the stock.
fn expected(model: &Model) -> Vec<(f64, f64)> {
    let Some(status) = model.frame.as_ref().map(|frame| &frame.status) else { return Vec::new() };
    let (Some(pace), Some(opened), Some(first)) = (status.pace, status.opened_at, model.points.front()) else {
        return Vec::new();
    };
    let stock: f64 = status.items.iter().map(|item| f64::from(item.stock)).sum();
    let taken = |at: i64| (seconds(at - opened).max(0.0) * f64::from(pace)).min(stock);
    model.points.iter().map(|point| (seconds(point.at - first.at), taken(point.at))).collect()
}

fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    model: &Model,
    title: &str,
    series: &[Series<'_>],
    expected: Vec<(f64, f64)>,
) {
    let Some(first) = model.points.front() else { return };
    let lines: Vec<Vec<(f64, f64)>> = series
        .iter()
        .map(|(_, _, value)| model.points.iter().map(|point| (seconds(point.at - first.at), value(point))).collect())
        .collect();
    let span = model.points.back().map_or(0, |last| last.at - first.at).max(1_000);
    let right = seconds(span);
    let all = lines.iter().flatten().chain(&expected);
    let top = round(all.map(|(_, value)| *value).fold(1.0, f64::max) * HEADROOM);
    let colour = |colour: Color| if model.colour && !model.stale() { Style::new().fg(colour) } else { Style::new() };
    let mut sets = Vec::new();
    if !expected.is_empty() {
        sets.push(Dataset::default().name("as paced").marker(Marker::Dot).data(&expected));
    }
    for ((name, tint, _), line) in series.iter().zip(&lines) {
        let set = Dataset::default().name(*name).marker(Marker::Braille).graph_type(GraphType::Line);
        sets.push(set.style(colour(*tint)).data(line));
    }
    let newest = if model.stale() { ago(model) } else { "now".to_owned() };
    let quiet = style(model, Tone::Quiet);
    let chart = Chart::new(sets)
        .block(panel(title))
        // Over the oldest points: the newest are what one looks at.
        .legend_position(Some(LegendPosition::TopLeft))
        .hidden_legend_constraints((Constraint::Ratio(1, 1), Constraint::Ratio(1, 1)))
        .x_axis(
            Axis::default()
                .style(quiet)
                .bounds([0.0, right])
                .labels([Span::raw(format!("-{}", clock(span))), Span::raw(newest)]),
        )
        .y_axis(Axis::default().style(quiet).bounds([0.0, top]).labels([Span::raw("0"), Span::raw(grouped(top))]));
    frame.render_widget(chart, area);
}

/// The next round number: an axis that one can read off.
fn round(value: f64) -> f64 {
    let scale = 10_f64.powf(value.log10().floor());
    let steps = [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0];
    steps.into_iter().map(|step| step * scale).find(|round| *round >= value).unwrap_or(value)
}

#[allow(clippy::cast_precision_loss)] // milliseconds of one sale
fn seconds(millis: i64) -> f64 {
    millis as f64 / 1_000.0
}
