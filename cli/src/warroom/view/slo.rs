//! What is promised, what is measured, and whether that is kept. Never a tick from old news.

use flashsale_engine::telemetry::catalogue::name;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::super::model::Model;
use super::{Tone, panel, style};

/// One line a promise.
pub fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let Some(news) = &model.frame else { return };
    let slo = news.status.slo;
    let lines = vec![
        latency(model, "reads P95", name::P95_READS, slo.read_p95_ms),
        latency(model, "writes P95", name::P95_WRITES, slo.write_p95_ms),
        latency(model, "checkout P95", name::P95_CHECKOUT, slo.checkout_p95_ms),
        share(model, "available", name::AVAILABILITY, slo.availability),
        count(model, "oversold", name::OVERSELL_COUNT),
    ];
    frame.render_widget(Paragraph::new(lines).block(panel("promises, last 10 s")), area);
}

fn latency<'a>(model: &Model, label: &'a str, metric: &str, target: f64) -> Line<'a> {
    let value = model.metric(metric);
    let shown = value.map_or("-".to_owned(), |value| format!("{value:.1} ms"));
    line(model, label, shown, format!("<= {target:.0} ms"), value.map(|value| value <= target))
}

fn share<'a>(model: &Model, label: &'a str, metric: &str, target: f64) -> Line<'a> {
    let value = model.metric(metric);
    let shown = value.map_or("-".to_owned(), |value| format!("{:.3} %", value * 100.0));
    line(model, label, shown, format!(">= {:.1} %", target * 100.0), value.map(|value| value >= target))
}

fn count<'a>(model: &Model, label: &'a str, metric: &str) -> Line<'a> {
    let value = model.metric(metric);
    let shown = value.map_or("-".to_owned(), |value| format!("{value:.0}"));
    line(model, label, shown, "0".to_owned(), value.map(|value| value <= 0.0))
}

fn line<'a>(model: &Model, label: &'a str, value: String, target: String, kept: Option<bool>) -> Line<'a> {
    let (word, tone) = match kept {
        _ if model.stale() => ("?", Tone::Quiet),
        None => ("no data", Tone::Quiet),
        Some(true) => ("ok", Tone::Good),
        Some(false) => ("MISSED", Tone::Bad),
    };
    Line::from(vec![
        Span::styled(format!("{label:<12} {value:>10} {target:>9} "), style(model, Tone::Plain)),
        Span::styled(word, style(model, tone)),
    ])
}
