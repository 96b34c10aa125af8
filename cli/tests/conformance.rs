//! One suite of stories for every adapter behind a port.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "conformance/mod.rs"]
#[macro_use]
mod stories;
mod servers;

mod embedded {
    ledger_stories!(crate::stories::embedded::Embedded::new());
    log_stories!(crate::stories::embedded::Embedded::new());
}

mod postgres {
    ledger_stories!(crate::stories::postgres::Postgres::new());
}

mod kafka {
    log_stories!(crate::stories::kafka::Kafka::new());
    ledger_stories!(@ crate::stories::kafka::Kafka::new(), kafka: a_topic_that_would_lose_records_is_refused
        an_event_is_a_message_with_its_subject_as_key);
}
