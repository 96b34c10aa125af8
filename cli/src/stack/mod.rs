//! The servers that a sale runs on, as this machine's own processes.
//!
//! # Layout, in the order a stack comes to be
//! - [`plan`]: which servers. [`layout`]: their ports and passwords, chosen once. [`programs`]: where their programs are; [`needs`]:
//!   how they are installed.
//! - [`account`]: as whom PostgreSQL runs. [`background`]: a server as a process that outlives whoever started it.
//! - [`postgres`] (and its [`standby`]s), [`redis`] (and its [`cluster`]), [`kafka`] (and its [`jars`]): a file a service.
//! - [`process`]: all of them together, started, found again, stopped. [`external`]: those that others run.
//! - [`borrowed`]: the servers of a sale that is down, for who reads its books.
//! - [`error`]: why there is no stack.

pub mod account;
pub mod background;
pub mod borrowed;
pub mod cluster;
pub mod error;
pub mod external;
pub mod jars;
pub mod kafka;
pub mod layout;
pub mod needs;
pub mod plan;
pub mod postgres;
pub mod process;
pub mod programs;
pub mod redis;
pub mod standby;

pub use borrowed::Borrowed;
pub use error::StackError;
pub use plan::Plan;
pub use process::Running;
