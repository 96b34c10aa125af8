//! One suite of stories for every adapter behind a port.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "conformance/mod.rs"]
#[macro_use]
mod stories;
mod servers;

mod embedded {
    ledger_stories!(crate::stories::embedded::Embedded::new());
}

mod postgres {
    ledger_stories!(crate::stories::postgres::Postgres::new());
}
