//! The sale as a pure state machine.
//!
//! [`State::apply`] folds commands into a [`State`]. It reads no clock, no randomness and no IO: the same log always
//! gives the same decisions, whoever folds it: the writer, a standby, the audit, the simulator.
//!
//! # Layout, in the order data flows
//! - [`rules`]: what the definition says. [`key`]: hashes in place of names.
//! - [`command`]: everything that can change a sale. [`outcome`]: what a command came to.
//! - `state`: the tables, of `hold`s, `item`s and `payment`s; `table` finds holds by key, for `allowance`. [`view`]:
//!   plain pictures of them.
//! - `apply`: one match. `clock` and `pace`: time. `reserve`: the line that grants. [`holds`]: beginning and ending them.
//!   [`payment`]: what the sale knows of money. `phase`: what operators do.
//! - [`recover`]: a state from the ledger's rows, for a log that lost its tail.
//! - [`digest`], `invariants`: how anyone can tell that it is right. [`switch`]: what shows that it would be noticed.

mod allowance;
mod apply;
mod change;
mod clock;
pub mod command;
pub mod digest;
mod duplicates;
mod hold;
pub mod holds;
mod invariants;
mod item;
pub mod key;
pub mod outcome;
mod pace;
pub mod payment;
mod phase;
pub mod recover;
mod reserve;
pub mod rules;
mod state;
pub mod switch;
mod table;
pub mod view;

pub use allowance::LOOK_AHEAD;
pub use command::{Command, HaltCause, HaltScope, HoldNumber, ItemIndex, PaymentNumber, Position, Refused};
pub use key::{ChangeId, PaymentKey, RequestKey, SubjectKey};
pub use outcome::{Effect, HoldChange, Outcome, Refusal};
pub use rules::{ItemRules, RULES_VERSION, Rules};
pub use state::State;
pub use view::{HoldStatus, HoldView, ItemStatus, ItemView, PaymentState, PaymentView, Phase, RefundState, RefundView};
