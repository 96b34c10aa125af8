//! A terminal with no room for panels: what matters most, in a few lines.

use flashsale_engine::telemetry::catalogue::name;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Wrap};

use super::super::model::Model;
use super::{Tone, grouped, header, slo, style};

/// Phase, stock, what is wrong; the alarms before what a smaller terminal cuts off.
pub fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let mut lines = Vec::new();
    if let Some(news) = &model.frame {
        let status = &news.status;
        let (phase, tone) = header::phase(model, status);
        let sum = |units: fn(&flashsale_engine::operator::wire::ItemStatusLine) -> u32| {
            grouped(status.items.iter().map(|item| f64::from(units(item))).sum())
        };
        let (sold, held, free) = (sum(|item| item.sold), sum(|item| item.held), sum(|item| item.available));
        if model.stale() {
            lines.push(header::age(model));
        }
        lines.push(Line::styled(format!("{phase}  {}", header::timing(status)), style(model, tone)));
        let oversold = model.metric(name::OVERSELL_COUNT).unwrap_or(0.0);
        if oversold > 0.0 {
            lines.push(Line::styled(format!("OVERSOLD {}", grouped(oversold)), style(model, Tone::Bad)));
        }
        lines.push(Line::styled(format!("sold {sold}  held {held}  free {free}"), style(model, Tone::Plain)));
        let alarm = |text: String| Line::styled(text, style(model, Tone::Bad));
        lines.extend(header::trouble(status).into_iter().map(alarm));
        let missed = slo::missed(model);
        if missed > 0 && !model.stale() {
            lines.push(alarm(format!("{missed} of 5 promises MISSED")));
        }
    } else {
        lines.push(Line::raw("no news yet"));
        lines.push(header::age(model));
    }
    lines.push(Line::styled("60x16 shows more; q leaves", style(model, Tone::Quiet)));
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: true }), area);
}
