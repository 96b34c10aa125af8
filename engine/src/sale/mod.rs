//! The sale's definition: what `sale.yaml` says, checked and frozen.
//!
//! `keys` is the one table of keys; `places` knows where each stands in the file; `read` puts both together and
//! collects complaints ([`Problem`]); `build` makes the [`Definition`] ([`stack`]: what it runs on); [`schema`] shows the table to editors;
//! [`frozen`] is what `up` keeps; [`services`] says where its servers are, and what it is called in them.

mod build;
pub mod definition;
pub mod environment;
pub mod frozen;
pub mod keys;
mod places;
mod problem;
pub mod process;
mod read;
mod schema;
pub mod services;
pub mod stack;
pub mod values;

pub use definition::Definition;
pub use frozen::{Addresses, Folder, Frozen};
pub use problem::Problem;
pub use process::{Process, Role};
pub use read::{LARGEST, MOST, Sale, Source, read, read_in};
pub use schema::schema;
pub use services::{Names, RECONCILER, Services};
pub use stack::Provider;
