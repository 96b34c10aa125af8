//! Which sale, which phase, what time; how old the news is; the keys.

use flashsale_core::{HaltCause, HaltScope, Phase};
use flashsale_engine::operator::wire::Status;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph};

use super::super::model::{Model, STALE_MS};
use super::{Tone, ago, clock, fresh, style, utc};

/// Lines inside the box: the phase, and one for each trouble.
pub fn lines(model: &Model) -> u16 {
    1 + u16::try_from(model.frame.as_ref().map_or(0, |news| trouble(&news.status).len())).unwrap_or(0)
}

/// A box with the sale, its phase, its clock, and what is wrong.
pub fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let Some(news) = &model.frame else {
        let block = Block::bordered().title(" flashsale ").title_top(age(model).right_aligned());
        return frame.render_widget(Paragraph::new(" NO NEWS YET").block(block), area);
    };
    let status = &news.status;
    let (word, tone) = phase(model, status);
    let mut lines = vec![Line::from(vec![
        Span::styled(format!(" {word} "), style(model, tone)),
        Span::styled(format!("  {}   {} UTC", timing(status), utc(status.now)), style(model, Tone::Plain)),
    ])];
    let alarm = |text: String| Line::styled(format!(" {text} "), style(model, Tone::Bad));
    lines.extend(trouble(status).into_iter().map(alarm));
    let name = if status.rehearsal { format!("{} [REHEARSAL]", status.sale) } else { status.sale.clone() };
    let block = Block::bordered().title(format!(" {name} ")).title_top(age(model).right_aligned());
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

/// The last line.
pub fn keys(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let keys = if model.interactive {
        " q leave (the sale goes on)   H halt   A halt all   R resume   C close   ? help"
    } else {
        " q leave (the sale goes on)   ? help   (watching only)"
    };
    frame.render_widget(Paragraph::new(keys).style(style(model, Tone::Quiet)), area);
}

/// How old the news is, or why there is none.
pub fn age(model: &Model) -> Line<'static> {
    let age = model.age();
    match &model.lost {
        Some(why) => {
            // The last cause says most, and there is room for one.
            let why: String = why.rsplit(": ").next().unwrap_or(why).chars().take(40).collect();
            Line::styled(format!(" FEED LOST {}: {why} ", ago(model)), fresh(model, Tone::Bad))
        }
        None if age > STALE_MS => Line::styled(format!(" OLD NEWS: {} ", ago(model)), fresh(model, Tone::Bad)),
        None if model.frame.is_none() => Line::styled(" connecting ", fresh(model, Tone::Quiet)),
        None => Line::styled(format!(" feed {age} ms old "), style(model, Tone::Quiet)),
    }
}

/// The phase in words. The clock of old news stands still: nobody may take it for the sale's.
pub fn phase(model: &Model, status: &Status) -> (String, Tone) {
    let (word, tone) = current(status);
    if model.stale() { (format!("{word}, {}", ago(model)), tone) } else { (word, tone) }
}

fn current(status: &Status) -> (String, Tone) {
    let halted = || {
        let (scope, cause) =
            status.halt.as_ref().map_or((HaltScope::Reserve, HaltCause::Operator), |halt| (halt.scope, halt.cause));
        let scope = if scope == HaltScope::All { ", CHECKOUT TOO" } else { "" };
        let cause = if cause == HaltCause::Invariant { " BY AN INVARIANT" } else { "" };
        format!("HALTED{cause}{scope}")
    };
    match status.phase {
        Phase::Upcoming if status.armed => ("UPCOMING, ARMED".to_owned(), Tone::Good),
        Phase::Upcoming => ("UPCOMING, NOT ARMED".to_owned(), Tone::Warning),
        Phase::Live => ("LIVE".to_owned(), Tone::Good),
        Phase::Halted => (halted(), Tone::Bad),
        Phase::Closed if status.ended => ("ENDED".to_owned(), Tone::Plain),
        Phase::Closed => ("CLOSED, DRAINING".to_owned(), Tone::Warning),
    }
}

/// Where on its way the sale is.
pub fn timing(status: &Status) -> String {
    match (status.opened_at, status.opens_at, status.closed_at) {
        (_, _, Some(closed)) => format!("T+{} since it closed", clock(status.now - closed)),
        (Some(opened), _, _) => {
            let left = status.closes_at.map(|closes| format!(", closes in {}", clock((closes - status.now).max(0))));
            format!("T+{}{}", clock(status.now - opened), left.unwrap_or_default())
        }
        (None, Some(opens), _) if opens > status.now => {
            format!("T-{}, opens at {}", clock(opens - status.now), utc(opens))
        }
        (None, Some(_), _) => "T0 is past and it is not open".to_owned(),
        (None, None, _) => "opens as soon as it is armed".to_owned(),
    }
}

/// What is wrong, the worst first.
pub fn trouble(status: &Status) -> Vec<String> {
    let stopped = status.stopped.as_ref().map(|stopped| format!("WRITER STOPPED: {stopped}"));
    let gate = status.gate.as_ref().map(|gate| format!("GATE SHUT by {}: {}", gate.by, gate.reason));
    let unconfirmed = status.unconfirmed.as_ref().map(|why| format!("LEDGER CONFIRMS NOTHING: {why}"));
    let cache = status
        .cache_away_since
        .map(|since| format!("the cache is away for {} s; the sale goes on without it", (status.now - since) / 1_000));
    stopped.into_iter().chain(unconfirmed).chain(gate).chain(cache).collect()
}
