//! Which sale, which phase, what time; how old the news is; the keys.

use flashsale_core::Phase;
use flashsale_engine::operator::wire::Status;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph};

use super::super::model::{Model, STALE_MS};
use super::{Tone, clock, style};

/// Three lines: a box with the sale, its phase and clock.
pub fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let Some(news) = &model.frame else {
        frame.render_widget(Block::bordered().title(" flashsale "), area);
        return;
    };
    let status = &news.status;
    let (word, tone) = phase(status);
    let name = if status.rehearsal { format!("{} [REHEARSAL]", status.sale) } else { status.sale.clone() };
    let line = Line::from(vec![
        Span::styled(format!(" {word} "), style(model, tone)),
        Span::raw("  "),
        Span::styled(timing(status), style(model, Tone::Plain)),
        Span::raw("  "),
        Span::styled(trouble(status), style(model, Tone::Bad)),
    ]);
    let block = Block::bordered().title(format!(" {name} ")).title_top(age(model).right_aligned());
    frame.render_widget(Paragraph::new(line).block(block), area);
}

/// One line when there is no room for more.
pub fn tiny(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let text = match &model.frame {
        None => "no news yet".to_owned(),
        Some(news) => {
            let sold: u32 = news.status.items.iter().map(|item| item.sold).sum();
            let held: u32 = news.status.items.iter().map(|item| item.held).sum();
            let stale = if model.stale() { " (old)" } else { "" };
            format!("{}: sold {sold}, held {held}{stale}\nenlarge to 60x16 or more; q leaves", phase(&news.status).0)
        }
    };
    frame.render_widget(Paragraph::new(text), area);
}

/// The last line.
pub fn keys(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let keys = if model.interactive {
        " q leave (the sale goes on)   H halt   R resume   C close   ? help"
    } else {
        " q leave (the sale goes on)   ? help   (watching only)"
    };
    frame.render_widget(Paragraph::new(keys).style(style(model, Tone::Quiet)), area);
}

fn age(model: &Model) -> Line<'static> {
    let age = model.age();
    let seconds = age / 1_000;
    match &model.lost {
        Some(why) => {
            let why: String = why.chars().take(40).collect();
            Line::styled(format!(" FEED LOST {seconds} s ago: {why} "), style(model, Tone::Bad))
        }
        None if age > STALE_MS => Line::styled(format!(" OLD: {seconds} s "), style(model, Tone::Bad)),
        None => Line::styled(format!(" feed {age} ms "), style(model, Tone::Quiet)),
    }
}

fn phase(status: &Status) -> (&'static str, Tone) {
    match status.phase {
        Phase::Upcoming if status.armed => ("UPCOMING, ARMED", Tone::Good),
        Phase::Upcoming => ("UPCOMING, NOT ARMED", Tone::Warning),
        Phase::Live => ("LIVE", Tone::Good),
        Phase::Halted => ("HALTED", Tone::Bad),
        Phase::Closed if status.ended => ("ENDED", Tone::Plain),
        Phase::Closed => ("CLOSED, DRAINING", Tone::Warning),
    }
}

fn timing(status: &Status) -> String {
    match (status.opened_at, status.opens_at, status.closed_at) {
        (_, _, Some(closed)) => format!("T+{} since it closed", clock(status.now - closed)),
        (Some(opened), _, _) => {
            let left = status.closes_at.map(|closes| format!(", closes in {}", clock((closes - status.now).max(0))));
            format!("T+{}{}", clock(status.now - opened), left.unwrap_or_default())
        }
        (None, Some(opens), _) if opens > status.now => format!("T-{}", clock(opens - status.now)),
        (None, Some(_), _) => "T0 is past and it is not open".to_owned(),
        (None, None, _) => "opens as soon as it is armed".to_owned(),
    }
}

fn trouble(status: &Status) -> String {
    match (&status.stopped, &status.gate) {
        (Some(stopped), _) => format!(" WRITER STOPPED: {stopped} "),
        (None, Some(gate)) => format!(" GATE SHUT by {}: {} ", gate.by, gate.reason),
        (None, None) => String::new(),
    }
}
