//! The engine of a flash sale: gateways in front of one log, one writer behind it, everything else a projection.
//!
//! # Layout, in the order data flows
//! - [`sale`]: the definition (`sale.yaml`), read and frozen into the state machine's rules.
//! - [`record`]: the bytes of the commands log and of decisions. [`id`]: the names shoppers see.
//! - [`submit`]: the way into the log. [`allocator`]: the one writer behind it. [`audit`]: proof of what it did.
//! - [`publisher`]: telling the world what was committed.
//! - [`ports`]: what the engine needs of the world. `adapters`: the products behind them, named only by [`compose`].

pub mod adapters;
pub mod allocator;
pub mod audit;
pub mod compose;
pub mod gateway;
pub mod id;
pub mod operator;
pub mod ports;
pub mod publisher;
pub mod reconciler;
pub mod record;
pub mod sale;
pub mod schedule;
pub mod settler;
pub mod submit;
pub mod telemetry;
pub mod token;
