//! The servers that a sale runs on, as this machine's own processes.
//!
//! # Layout, in the order a stack comes to be
//! - [`plan`]: which servers. [`layout`]: their ports and passwords, chosen once. [`programs`]: where their programs are.
//! - [`account`]: as whom PostgreSQL runs. [`background`]: a server as a process that outlives whoever started it.
//! - [`postgres`] (and its [`standby`]s), [`redis`] (and its [`cluster`]), [`kafka`] (and its [`jars`]): a file a service.
//! - [`process`]: all of them together, started, found again, stopped. [`external`]: those that others run.
//! - [`error`]: why there is no stack.

pub mod account;
pub mod background;
pub mod cluster;
pub mod error;
pub mod external;
pub mod jars;
pub mod kafka;
pub mod layout;
pub mod plan;
pub mod postgres;
pub mod process;
pub mod programs;
pub mod redis;
pub mod standby;

pub use error::StackError;
pub use plan::Plan;
pub use process::Running;
