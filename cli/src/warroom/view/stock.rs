//! The items: a bar of sold, held and free for one, a table for several.

use flashsale_engine::operator::wire::ItemStatusLine;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use super::super::model::Model;
use super::{Tone, grouped, panel, style};

/// Columns of a row's three numbers and the spaces before them.
const COLUMNS: usize = 27;

/// Draws as many items as there is room for, and says how many there are beyond.
pub fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let Some(news) = &model.frame else { return };
    let inner = area.width.saturating_sub(2);
    let room = usize::from(area.height.saturating_sub(2));
    let oversold = model.metric(flashsale_engine::telemetry::catalogue::name::OVERSELL_COUNT).unwrap_or(0.0);
    let tone = if oversold > 0.0 { Tone::Bad } else { Tone::Good };
    let lines = match news.status.items.as_slice() {
        [item] => alone(model, item, inner, tone),
        items => table(model, items, inner, room, tone),
    };
    let title =
        if oversold > 0.0 { format!("stock: OVERSOLD {}", grouped(oversold)) } else { "stock, units".to_owned() };
    frame.render_widget(Paragraph::new(lines).block(panel(&title)), area);
}

fn alone<'a>(model: &Model, item: &'a ItemStatusLine, width: u16, tone: Tone) -> Vec<Line<'a>> {
    let units = |units: u32| grouped(f64::from(units));
    let waiting = if item.waiting > 0 { format!("  {} waiting", units(item.waiting)) } else { String::new() };
    // A line a number, and numbers before names: a number that is cut off reads as another one.
    vec![
        Line::styled(format!("{} units of {}", units(item.stock), item.name), style(model, Tone::Plain)),
        Line::styled(bar(item, width), style(model, tone)),
        Line::styled(format!("# sold {:>11}", units(item.sold)), style(model, Tone::Plain)),
        Line::styled(format!("+ held {:>11}", units(item.held)), style(model, Tone::Plain)),
        Line::styled(format!(". free {:>11}{waiting}", units(item.available)), style(model, Tone::Plain)),
    ]
}

/// A line an item, as many as fit, and all of them together.
fn table<'a>(model: &Model, items: &'a [ItemStatusLine], width: u16, room: usize, tone: Tone) -> Vec<Line<'a>> {
    let names = usize::from(width).saturating_sub(COLUMNS).max(4);
    let row = |name: &str, sold: u32, held: u32, free: u32| {
        let [sold, held, free] = [sold, held, free].map(|units| grouped(f64::from(units)));
        format!("{:<names$} {sold:>8} {held:>8} {free:>8}", middle(name, names))
    };
    let fitting = items.len().min(room.saturating_sub(2));
    let head = if fitting < items.len() { format!("{fitting} shown") } else { String::new() };
    let head = format!("{:<names$} {:>8} {:>8} {:>8}", middle(&head, names), "sold", "held", "free");
    let mut lines = vec![Line::styled(head, style(model, Tone::Quiet))];
    let shown = items.iter().take(fitting);
    lines.extend(
        shown.map(|item| Line::styled(row(&item.sku, item.sold, item.held, item.available), style(model, Tone::Plain))),
    );
    let sum = |units: fn(&ItemStatusLine) -> u32| items.iter().map(units).fold(0, u32::saturating_add);
    let all =
        row(&format!("all {}", items.len()), sum(|item| item.sold), sum(|item| item.held), sum(|item| item.available));
    lines.push(Line::styled(all, style(model, tone)));
    lines
}

/// A name in so many columns: its end often tells it from the others.
fn middle(name: &str, columns: usize) -> String {
    let letters: Vec<char> = name.chars().collect();
    if letters.len() <= columns {
        return name.to_owned();
    }
    let (first, last) = ((columns - 2) / 2, columns - 2 - (columns - 2) / 2);
    letters[..first].iter().chain(&['.', '.']).chain(&letters[letters.len() - last..]).collect()
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
