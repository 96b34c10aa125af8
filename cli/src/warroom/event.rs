//! What can happen to the war room, and what it can ask for.

use crossterm::event::KeyEvent;
use flashsale_engine::operator::wire::{Change, Changed, Frame};

use super::Left;

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// A key.
    Key(KeyEvent),
    /// The terminal changed its size, or came back.
    Redraw,
    /// Time passed; Unix ms.
    Tick(i64),
    /// News of the sale.
    Frame(Box<Frame>),
    /// The feed broke; it is being taken up again.
    Lost(String),
    /// A change was answered.
    Answered(Result<Changed, String>),
}

/// What the loop is to do.
#[derive(Debug, PartialEq)]
pub enum Action {
    /// Nothing but draw.
    None,
    /// Leave.
    Leave(Left),
    /// Ask the engine for a change, with a reason.
    Send(Change, String),
}
