//! What happened, newest last.

use flashsale_engine::operator::wire::Note;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::super::model::Model;
use super::{Tone, panel, style, utc};

/// Columns of a note's time and the space behind it.
const TIME: u16 = 9;

/// The newest notes that fit.
pub fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let room = usize::from(area.height.saturating_sub(2));
    let width = usize::from(area.width.saturating_sub(2 + TIME)).max(10);
    let newest = model.notes.iter().skip(model.notes.len().saturating_sub(room));
    let mut lines: Vec<Line<'_>> = Vec::new();
    for note in newest.rev() {
        let mut whole = note_lines(model, note, width);
        // The newest begins with what happened, however little room there is; an older one is there whole or not.
        if lines.is_empty() {
            whole.truncate(room);
        } else if lines.len() + whole.len() > room {
            break;
        }
        lines.splice(0..0, whole);
    }
    frame.render_widget(Paragraph::new(lines).block(panel("timeline (UTC)")), area);
}

/// A note, broken between words: what to do stands at its end.
fn note_lines<'a>(model: &Model, note: &Note, width: usize) -> Vec<Line<'a>> {
    let tone = match note.level.as_str() {
        "page" => Tone::Bad,
        "warning" => Tone::Warning,
        _ => Tone::Plain,
    };
    let mut texts = vec![String::new()];
    for word in note.text.split_whitespace() {
        match texts.last_mut() {
            Some(text) if text.is_empty() => text.push_str(word),
            Some(text) if text.chars().count() + 1 + word.chars().count() <= width => {
                text.push(' ');
                text.push_str(word);
            }
            _ => texts.push(word.to_owned()),
        }
    }
    let line = |(place, text): (usize, String)| {
        let time = if place == 0 { utc(note.at) } else { String::new() };
        let time = format!("{time:<width$}", width = usize::from(TIME));
        Line::from(vec![Span::styled(time, style(model, Tone::Quiet)), Span::styled(text, style(model, tone))])
    };
    texts.into_iter().enumerate().map(line).collect()
}
