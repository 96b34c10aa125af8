//! What comes in and what becomes of it.

use flashsale_engine::telemetry::catalogue::name;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use super::super::model::Model;
use super::{Tone, grouped, panel, style};

/// Rates, and decisions by what they came to.
pub fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let rate = |label: &str, metric: &str| {
        let value = model.metric(metric).map_or("-".to_owned(), grouped);
        format!("{label:<16} {value:>11} /s")
    };
    let mut lines: Vec<Line<'_>> = [
        rate("reads", name::READ_RATE),
        rate("reserves", name::WRITE_RATE),
        rate("checkouts", name::CHECKOUT_RATE),
        rate("depletion", name::DEPLETION_RATE),
    ]
    .into_iter()
    .map(|text| Line::styled(text, style(model, Tone::Plain)))
    .collect();
    let room = usize::from(area.height.saturating_sub(2)).saturating_sub(lines.len());
    lines.extend(outcomes(model).into_iter().take(room).map(|text| Line::styled(text, style(model, Tone::Quiet))));
    frame.render_widget(Paragraph::new(lines).block(panel("flow")), area);
}

/// `granted 10,000`, then `all_held 12,345`: the largest first.
fn outcomes(model: &Model) -> Vec<String> {
    let Some(news) = &model.frame else { return Vec::new() };
    let prefix = format!("{}{{", name::DECISIONS);
    let mut found: Vec<(&str, f64)> = news
        .metrics
        .iter()
        .filter(|(metric, count)| metric.starts_with(&prefix) && **count > 0.0)
        .filter_map(|(metric, count)| Some((metric.split('"').nth(1)?, *count)))
        .collect();
    // What was granted is never left out.
    found.sort_by(|left, right| (right.0 == "granted").cmp(&(left.0 == "granted")).then(right.1.total_cmp(&left.1)));
    found.into_iter().map(|(outcome, count)| format!("{outcome:<16} {:>11} so far", grouped(count))).collect()
}
