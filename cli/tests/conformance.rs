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

mod caches {
    use flashsale_engine::adapters::memory_cache::MemoryCache;
    use flashsale_engine::adapters::system_clock::SystemClock;

    use crate::stories::{caches, redis};

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_stories_in_this_process() {
        caches::stories(&MemoryCache::new(SystemClock::default())).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_stories_in_redis() {
        let Some(url) = crate::servers::redis() else { return };
        caches::stories(&redis::open(&[url.to_owned()])).await;
    }

    macro_rules! told_by_redis {
        ($($story:ident)*) => { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() {
                redis::$story().await;
            }
        )* };
    }

    told_by_redis!(a_flush_leaves_a_cache_that_fills_again values_of_another_s_hand_are_no_trouble
        a_restarted_server_is_found_again a_cluster_tells_the_stories_and_survives_the_loss_of_a_master);
}
