//! What lies over the screen: help, a confirmation, an answer.

use ratatui::Frame;
use ratatui::layout::{Constraint, Flex, Layout, Rect};
use ratatui::widgets::{Clear, Paragraph, Wrap};

use super::super::model::{Model, Overlay};
use super::panel;

const HELP: &str = "\
q        leave; the sale goes on
Ctrl-C   the same
H        halt: reserve answers 503, checkout and expiry go on
R        resume after a halt
C        close for good; open holds may still check out
?        this page; any key closes it

Changes need --interactive and the sale's name, typed.
Dimmed numbers are old: their age stands in the upper right.
Metrics are explained in docs/metrics.md.";

/// Draws the overlay, if there is one.
pub fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let (title, text) = match &model.overlay {
        Overlay::None => return,
        Overlay::Help => ("keys", HELP.to_owned()),
        Overlay::Answer(Ok(steps)) => ("done", format!("{steps}\n\nany key closes this")),
        Overlay::Answer(Err(why)) => ("not done", format!("{why}\n\nany key closes this")),
        Overlay::Confirm { what, typed, .. } => {
            let sale = model.frame.as_ref().map_or("", |frame| frame.status.sale.as_str());
            (
                "confirm",
                format!("To {what},\ntype the sale's name and press Enter. Esc leaves it.\n\n{sale}\n> {typed}_"),
            )
        }
    };
    let height = u16::try_from(text.lines().count()).unwrap_or(10) + 3;
    let [row] = Layout::vertical([Constraint::Length(height.min(area.height))]).flex(Flex::Center).areas(area);
    let [place] = Layout::horizontal([Constraint::Length(66.min(area.width))]).flex(Flex::Center).areas(row);
    frame.render_widget(Clear, place);
    frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: false }).block(panel(title)), place);
}
