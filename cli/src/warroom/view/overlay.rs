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
A        halt all: checkout too; time stands still for open holds
R        resume after a halt
C        close for good; open holds may still check out
?        this page; any key closes it

Changes need --interactive and the sale's name, typed.
Dimmed numbers are old: their age stands in the upper right.
Metrics are explained in docs/metrics.md.";

/// Columns of an overlay.
const WIDTH: u16 = 66;

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
    let lines: Vec<usize> = text.lines().map(|line| line.chars().count()).collect();
    let width = WIDTH.min(area.width);
    let text = Paragraph::new(text).wrap(Wrap { trim: false });
    // Words may break a line early: one line to spare for each that is broken at all.
    let columns = usize::from(width.saturating_sub(2)).max(1);
    let height =
        u16::try_from(lines.iter().map(|letters| 1 + 2 * (letters.saturating_sub(1) / columns)).sum::<usize>());
    let height = (height.unwrap_or(area.height).saturating_add(2)).min(area.height);
    let [row] = Layout::vertical([Constraint::Length(height)]).flex(Flex::Center).areas(area);
    let [place] = Layout::horizontal([Constraint::Length(width)]).flex(Flex::Center).areas(row);
    frame.render_widget(Clear, place);
    frame.render_widget(text.block(panel(title)), place);
}
