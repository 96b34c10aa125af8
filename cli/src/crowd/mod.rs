//! A simulated audience over real HTTP: open loop, labelled, latencies from the intended start.
//!
//! `arrivals` says when who comes; `audience` who they are; `request` what they send; `wire` is a socket that costs
//! little; `drive` brings them together; `result` is what came of it.

mod arrivals;
mod audience;
mod clock;
mod drive;
mod later;
mod request;
mod result;
mod wire;

pub use drive::{Plan, drive};
pub use result::{Acknowledged, Outcome};
