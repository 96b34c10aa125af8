//! What happened, newest last.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::super::model::Model;
use super::{Tone, panel, style};

/// The newest lines that fit.
pub fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let room = usize::from(area.height.saturating_sub(2));
    let skipped = model.notes.len().saturating_sub(room);
    let lines: Vec<Line<'_>> = model
        .notes
        .iter()
        .skip(skipped)
        .map(|note| {
            let tone = match note.level.as_str() {
                "page" => Tone::Bad,
                "warning" => Tone::Warning,
                _ => Tone::Plain,
            };
            Line::from(vec![
                Span::styled(format!("{} ", time(note.at)), style(model, Tone::Quiet)),
                Span::styled(note.text.as_str(), style(model, tone)),
            ])
        })
        .collect();
    frame.render_widget(Paragraph::new(lines).block(panel("timeline (UTC)")), area);
}

fn time(at: i64) -> String {
    jiff::Timestamp::from_millisecond(at).map_or("-".to_owned(), |at| at.strftime("%H:%M:%S").to_string())
}
