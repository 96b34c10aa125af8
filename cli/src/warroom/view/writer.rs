//! The one writer and its log.

use flashsale_engine::telemetry::catalogue::name;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use super::super::model::Model;
use super::{Tone, grouped, latency, panel, style};

/// Epoch, offsets, queue, batches.
pub fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let Some(news) = &model.frame else { return };
    let writer = &news.status.writer;
    let many = |metric: &str| model.metric(metric).map_or("-".to_owned(), grouped);
    let time = |metric: &str| model.metric(metric).map_or("-".to_owned(), latency);
    let behind = writer.log_end.saturating_sub(writer.next_offset);
    let unpublished = writer.next_offset.saturating_sub(writer.published_through);
    let busy = model.metric(name::UTILISATION).map_or("-".to_owned(), |busy| format!("{:.0} %", busy * 100.0));
    let lines = [
        format!("epoch {}  generation {}  busy {busy}", writer.epoch, writer.generation),
        format!("log   {} records, {} behind", grouped(count(writer.log_end)), grouped(count(behind))),
        format!("queue {} commands, {} old", many(name::QUEUE_DEPTH), time(name::QUEUE_AGE)),
        format!("batch {} commands, P95 {}", many(name::BATCH_SIZE), time(name::BATCH_TIME)),
        format!("to publish {}, open payments {}", grouped(count(unpublished)), news.status.open_payments),
    ];
    let lines: Vec<Line<'_>> = lines.into_iter().map(|text| Line::styled(text, style(model, Tone::Plain))).collect();
    frame.render_widget(Paragraph::new(lines).block(panel("writer")), area);
}

#[allow(clippy::cast_precision_loss)] // an offset on a screen
fn count(offset: u64) -> f64 {
    offset as f64
}
