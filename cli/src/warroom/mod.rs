//! The war room: what an operator sees and does while a sale runs.
//!
//! One loop, one event type. `update` and `view` are pure; only `poller` and `terminal` touch the world. Quitting never
//! stops anything.

mod event;
mod model;
mod poller;
mod terminal;
#[cfg(test)]
mod tests;
mod update;
mod view;

use std::time::Duration;

use crossterm::event::{Event as TerminalEvent, EventStream};
use futures_util::StreamExt;
use tokio::sync::mpsc;

use crate::exit::{Exit, Failure};

use event::{Action, Event};
use model::Model;

/// Events that may wait for the loop; a poller that finds it full drops a frame, never blocks.
const EVENTS: usize = 256;
/// How often clocks move without news.
const TICK: Duration = Duration::from_millis(250);

/// Which sale, and how to show it.
#[derive(Debug, Clone)]
pub struct Options {
    /// The operator API, `http://127.0.0.1:8081`.
    pub url: String,
    /// Its token.
    pub token: String,
    /// Changes are allowed, after a typed confirmation.
    pub interactive: bool,
    /// Colours are shown.
    pub colour: bool,
    /// Leave by itself when the sale has ended.
    pub leave_at_end: bool,
    /// Who is at the keyboard, for the audit.
    pub operator: String,
}

/// How the war room was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// By its key; the sale goes on.
    Quit,
    /// By Ctrl-C; the sale goes on.
    Interrupted,
    /// By a signal from outside; the sale goes on.
    Terminated,
    /// The sale has ended.
    Ended,
}

/// Shows the war room until it is left. The terminal is as it was afterwards, also after a panic or a signal.
pub async fn run(options: &Options) -> Result<Left, Failure> {
    let (events, mut inbox) = mpsc::channel(EVENTS);
    let feed = tokio::spawn(poller::follow(options.clone(), events.clone()));
    let mut screen = terminal::Screen::open()?;
    let mut keys = EventStream::new();
    let mut ticks = tokio::time::interval(TICK);
    let mut signals = terminal::Signals::new()?;
    let mut model = Model::new(options, poller::now());
    let left = loop {
        screen.draw(|frame| view::draw(frame, &model))?;
        let event = tokio::select! {
            Some(event) = inbox.recv() => event,
            key = keys.next() => match key {
                Some(Ok(TerminalEvent::Key(key))) => Event::Key(key),
                Some(Ok(_)) => Event::Redraw,
                Some(Err(_)) | None => break Left::Interrupted,
            },
            _ = ticks.tick() => Event::Tick(poller::now()),
            left = signals.any() => break left,
        };
        match update::update(&mut model, event) {
            Action::None => {}
            Action::Leave(left) => break left,
            Action::Send(change, reason) => {
                tokio::spawn(poller::send(options.clone(), change, reason, events.clone()));
            }
        }
    };
    feed.abort();
    drop(screen);
    Ok(left)
}

/// One frame as text, `width` by `height`, once the first frame has come.
pub async fn once(options: &Options, width: u16, height: u16) -> Result<String, Failure> {
    let mut model = Model::new(options, poller::now());
    let frame = poller::first_frame(options).await?;
    update::update(&mut model, Event::Frame(Box::new(frame)));
    update::update(&mut model, Event::Tick(poller::now()));
    view::text(&model, width, height).map_err(|error| Failure::new(Exit::Failed, error))
}
