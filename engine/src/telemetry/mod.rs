//! What is measured: one catalogue, ten-second windows, frames four times a second, a recording.

pub mod catalogue;
pub mod collect;
pub mod mirrors;
pub mod prometheus;
pub mod recorder;
mod window;

use crate::operator::wire::Note;

/// Notes that wait for the next frame.
pub trait Timeline: Send + Sync {
    /// Takes them.
    fn take(&self) -> Vec<Note>;
}
