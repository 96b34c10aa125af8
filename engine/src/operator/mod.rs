//! The operator's side of the engine: its own port, its own token.

pub mod wire;
