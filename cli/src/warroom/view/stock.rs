//! The items: a bar each of sold, held and free.

use flashsale_engine::operator::wire::ItemStatusLine;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::super::model::Model;
use super::{Tone, grouped, panel, style};

/// Draws as many items as there is room for, and says how many there are beyond.
pub fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let Some(news) = &model.frame else { return };
    let inner = area.width.saturating_sub(2);
    let room = usize::from(area.height.saturating_sub(2));
    let items = &news.status.items;
    let mut lines = Vec::new();
    for item in items {
        lines.extend(item_lines(model, item, inner, items.len() == 1));
    }
    if lines.len() > room {
        lines.truncate(room.saturating_sub(1));
        lines.push(Line::raw(format!("... {} items in all", items.len())));
    }
    let oversold = model.metric(flashsale_engine::telemetry::catalogue::name::OVERSELL_COUNT).unwrap_or(0.0);
    let title = if oversold > 0.0 { format!("stock  OVERSOLD {oversold:.0}") } else { "stock".to_owned() };
    frame.render_widget(Paragraph::new(lines).block(panel(&title)), area);
}

fn item_lines<'a>(model: &Model, item: &'a ItemStatusLine, width: u16, alone: bool) -> Vec<Line<'a>> {
    let numbers = format!(
        "sold {}  held {}  free {}{}",
        grouped(f64::from(item.sold)),
        grouped(f64::from(item.held)),
        grouped(f64::from(item.available)),
        if item.waiting > 0 { format!("  waiting {}", grouped(f64::from(item.waiting))) } else { String::new() },
    );
    if !alone {
        let name: String = item.sku.chars().take(12).collect();
        let bar = bar(item, width.saturating_sub(12 + 2 + 22));
        let short = format!(" {}/{}/{}", item.sold, item.held, item.stock);
        return vec![Line::from(vec![
            Span::styled(format!("{name:<12} "), style(model, Tone::Plain)),
            Span::styled(bar, style(model, Tone::Good)),
            Span::styled(short, style(model, Tone::Plain)),
        ])];
    }
    vec![
        Line::styled(format!("{} of {}", item.name, grouped(f64::from(item.stock))), style(model, Tone::Plain)),
        Line::styled(bar(item, width), style(model, Tone::Good)),
        Line::styled(numbers, style(model, Tone::Plain)),
        Line::styled("# sold  + held  . free", style(model, Tone::Quiet)),
    ]
}

/// Sold, held and free in proportion; one sold unit already shows.
fn bar(item: &ItemStatusLine, width: u16) -> String {
    let width = usize::from(width);
    let part = |units: u32| {
        let share = u64::from(units) * width as u64 / u64::from(item.stock.max(1));
        usize::try_from(share).unwrap_or(width).max(usize::from(units > 0))
    };
    let sold = part(item.sold).min(width);
    let held = part(item.held).min(width - sold);
    format!("{}{}{}", "#".repeat(sold), "+".repeat(held), ".".repeat(width - sold - held))
}
