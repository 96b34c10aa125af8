//! Proof afterwards that what was told is what happened.

pub mod chain;
