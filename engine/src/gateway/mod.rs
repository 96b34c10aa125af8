//! HTTP for shoppers, and the way into the log.

pub mod batch;
pub mod gate;
