//! What is measured.

pub mod catalogue;
