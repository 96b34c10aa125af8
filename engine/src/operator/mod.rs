//! The operator's side of the engine: its own port, its own token.

pub mod changes;
pub mod prewarm;
pub mod routes;
pub mod status;
pub mod visits;
pub mod wire;
