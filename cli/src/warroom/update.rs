//! Pure: an event changes the model and may ask the loop for something.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use flashsale_engine::operator::wire::Change;

use super::Left;
use super::event::{Action, Event};
use super::model::{Model, Overlay};

/// What is said in the audit for changes made here.
const REASON: &str = "by hand in the war room";

/// Takes one event in.
pub fn update(model: &mut Model, event: Event) -> Action {
    match event {
        Event::Redraw => Action::None,
        Event::Tick(now) => {
            model.now = now;
            Action::None
        }
        Event::Frame(frame) => {
            model.take(*frame);
            let ended = model.frame.as_ref().is_some_and(|frame| frame.status.ended);
            if ended && model.leave_at_end { Action::Leave(Left::Ended) } else { Action::None }
        }
        Event::Lost(why) => {
            model.lost = Some(why);
            Action::None
        }
        Event::Answered(answer) => {
            model.overlay = Overlay::Answer(answer.map(|changed| changed.steps.join(", ")));
            Action::None
        }
        Event::Key(key) if key.kind == KeyEventKind::Release => Action::None,
        Event::Key(key) if key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL) => {
            Action::Leave(Left::Interrupted)
        }
        Event::Key(key) => press(model, key),
    }
}

fn press(model: &mut Model, key: KeyEvent) -> Action {
    if let Overlay::Confirm { .. } = model.overlay {
        return confirm(model, key);
    }
    if model.overlay != Overlay::None {
        model.overlay = Overlay::None;
        return Action::None;
    }
    match key.code {
        KeyCode::Char('q') => return Action::Leave(Left::Quit),
        KeyCode::Char('?') => model.overlay = Overlay::Help,
        KeyCode::Char('H') => ask(model, Change::Halt { all: false }, "halt the sale: reserve answers 503 at once"),
        KeyCode::Char('A') => {
            ask(model, Change::Halt { all: true }, "halt all: checkout stops too, and time stands still for open holds")
        }
        KeyCode::Char('R') => ask(model, Change::Resume, "resume the sale"),
        KeyCode::Char('C') => ask(model, Change::Close, "close the sale for good: no new reservations"),
        _ => {}
    }
    Action::None
}

fn ask(model: &mut Model, change: Change, what: &'static str) {
    model.overlay = if !model.interactive {
        Overlay::Answer(Err("this war room only watches: start it with --interactive to change the sale".to_owned()))
    } else if model.frame.is_none() {
        Overlay::Answer(Err("no news of the sale yet".to_owned()))
    } else {
        Overlay::Confirm { change, what, typed: String::new() }
    };
}

fn confirm(model: &mut Model, key: KeyEvent) -> Action {
    let Overlay::Confirm { change, typed, .. } = &mut model.overlay else { return Action::None };
    let sale = model.frame.as_ref().map(|frame| frame.status.sale.as_str());
    match key.code {
        KeyCode::Esc => model.overlay = Overlay::None,
        KeyCode::Backspace => {
            typed.pop();
        }
        // A sale's name has at most 63 characters.
        KeyCode::Char(letter) if typed.len() < 63 => typed.push(letter),
        KeyCode::Enter if sale == Some(typed.as_str()) => {
            let change = change.clone();
            model.overlay = Overlay::None;
            return Action::Send(change, REASON.to_owned());
        }
        _ => {}
    }
    Action::None
}
