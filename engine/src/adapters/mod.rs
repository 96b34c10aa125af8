//! The products behind the ports, a file (or folder) each. They do not know one another.

pub mod console;
pub mod event_file;
#[cfg(feature = "cluster")]
pub mod kafka;
pub mod memory_cache;
#[cfg(feature = "cluster")]
pub mod postgres;
#[cfg(feature = "cluster")]
pub mod redis;
pub mod sandbox;
pub mod sqlite;
pub mod system_clock;
