//! What is promised, what is measured, and whether that is kept. Never a tick from old news.

use flashsale_engine::telemetry::catalogue::name;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::super::model::Model;
use super::{Tone, grouped, latency, panel, style};

/// One line a promise.
pub fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let Some(news) = &model.frame else { return };
    let slo = news.status.slo;
    let lines = vec![
        wait(model, "reads", name::P95_READS, slo.read_p95_ms),
        wait(model, "reserves", name::P95_WRITES, slo.write_p95_ms),
        wait(model, "checkouts", name::P95_CHECKOUT, slo.checkout_p95_ms),
        share(model, "available", name::AVAILABILITY, slo.availability),
        count(model, "oversold", name::OVERSELL_COUNT),
    ];
    frame.render_widget(Paragraph::new(lines).block(panel("promises: P95, last 10 s")), area);
}

/// How many promises are not kept.
pub fn missed(model: &Model) -> usize {
    let Some(slo) = model.frame.as_ref().map(|news| news.status.slo) else { return 0 };
    let above = |metric: &str, target: f64| model.metric(metric).is_some_and(|value| value > target);
    let broken = [
        above(name::P95_READS, slo.read_p95_ms),
        above(name::P95_WRITES, slo.write_p95_ms),
        above(name::P95_CHECKOUT, slo.checkout_p95_ms),
        model.metric(name::AVAILABILITY).is_some_and(|value| value < slo.availability),
        above(name::OVERSELL_COUNT, 0.0),
    ];
    broken.into_iter().filter(|missed| *missed).count()
}

fn wait<'a>(model: &Model, label: &'a str, metric: &str, target: f64) -> Line<'a> {
    let value = model.metric(metric);
    let kept = value.map(|value| value <= target);
    line(model, label, value.map(latency), format!("<= {target:.0} ms"), kept)
}

fn share<'a>(model: &Model, label: &'a str, metric: &str, target: f64) -> Line<'a> {
    let value = model.metric(metric);
    // Rounded down: what is missed never reads as kept.
    let shown = value.map(|value| format!("{:.3} %", (value * 100_000.0).floor() / 1_000.0));
    line(model, label, shown, format!(">= {:.1} %", target * 100.0), value.map(|value| value >= target))
}

fn count<'a>(model: &Model, label: &'a str, metric: &str) -> Line<'a> {
    let value = model.metric(metric);
    line(model, label, value.map(grouped), "0 units".to_owned(), value.map(|value| value <= 0.0))
}

/// The verdict first: a narrow panel cuts the target, never it.
fn line<'a>(model: &Model, label: &'a str, value: Option<String>, target: String, kept: Option<bool>) -> Line<'a> {
    let (word, tone) = match kept {
        _ if model.stale() => ("?", Tone::Quiet),
        None => ("-", Tone::Quiet),
        Some(true) => ("ok", Tone::Good),
        Some(false) => ("MISSED", Tone::Bad),
    };
    let value = value.unwrap_or_else(|| "no data".to_owned());
    Line::from(vec![
        Span::styled(format!("{word:<6}"), style(model, tone)),
        Span::styled(format!(" {label:<9} {value:>9} {target:>9}"), style(model, Tone::Plain)),
    ])
}
