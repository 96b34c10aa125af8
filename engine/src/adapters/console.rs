//! Messages into the engine's log and the war room's timeline.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use crate::operator::wire::Note;
use crate::ports::{Notifier, Severity};
use crate::telemetry::Timeline;

/// Notes that wait for the next frame; beyond it the oldest is dropped (the log has it).
const NOTES: usize = 256;

/// Keeps messages for the timeline.
#[derive(Debug, Default)]
pub struct Console(Mutex<VecDeque<Note>>);

impl Notifier for Console {
    fn notify(&self, severity: Severity, key: &str, text: &str) {
        let level = match severity {
            Severity::Page => {
                tracing::error!(key, "{text}");
                "page"
            }
            Severity::Notice => {
                tracing::info!(key, "{text}");
                "info"
            }
        };
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.len() >= NOTES {
            notes.pop_front();
        }
        let at = jiff::Timestamp::now().as_millisecond();
        notes.push_back(Note { at, level: level.to_owned(), text: text.to_owned() });
    }
}

impl Timeline for Console {
    fn take(&self) -> Vec<Note> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect()
    }
}
