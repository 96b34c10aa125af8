//! The sale's definition: what `sale.yaml` says, checked and frozen.

pub mod definition;
pub mod frozen;

pub use definition::Definition;
pub use frozen::{Addresses, Folder, Frozen};
