//! The stories that every adapter of a port passes, embedded or real. A story knows the port alone; a stack opens the
//! adapter, again for each process of the story, and lets an administrator reach behind it.

pub mod batches;
pub mod caches;
pub mod embedded;
pub mod eventful;
pub mod fences;
pub mod histories;
pub mod kafka;
pub mod logs;
pub mod lost_answers;
pub mod postgres;
pub mod redis;
pub mod refusals;
pub mod tellers;

use std::sync::Arc;

use async_trait::async_trait;
use flashsale_engine::ports::{History, Ledger};

/// One ledger, and whoever opens it.
#[async_trait]
pub trait LedgerStack: Send + Sync {
    /// Opens it as one more process would.
    async fn open(&self) -> Opened;
    /// A statement that an administrator runs on it by hand.
    async fn by_hand(&self, statement: &'static str);
}

/// A ledger as one process has it.
#[derive(Clone)]
pub struct Opened {
    pub ledger: Arc<dyn Ledger>,
    pub history: Arc<dyn History>,
}

impl Opened {
    pub fn new(both: Arc<impl Ledger + History + 'static>) -> Self {
        Self { ledger: both.clone(), history: both }
    }
}

/// Every story of the ledger as tests of one stack, each with a ledger of its own.
#[macro_export]
macro_rules! ledger_stories {
    ($stack:expr) => {
        $crate::ledger_stories!(@ $stack, fences: the_row_is_made_once a_takeover_is_compared_and_swapped
            a_stale_batch_changes_nothing_anywhere of_two_writers_the_later_writes a_beat_shows_a_life
            a_resigned_row_names_nobody);
        $crate::ledger_stories!(@ $stack, batches: a_batch_writes_every_row rows_move_on_in_place
            a_batch_may_be_large a_further_generation_begins_anew folded_sales_add_up_to_the_digest
            what_is_published_never_moves_back the_newest_three_snapshots_are_kept);
        $crate::ledger_stories!(@ $stack, refusals: a_row_changed_by_hand_stops_the_batch a_row_deleted_by_hand_stops_it_too
            an_oversell_is_refused a_hold_is_made_once a_rewrite_restores_the_rows);
        $crate::ledger_stories!(@ $stack, lost_answers: a_commit_that_happened_is_found a_commit_that_did_not_happen_is_sent_again
            another_writers_row_is_not_mine a_commit_nobody_waited_for_has_one_end);
        $crate::ledger_stories!(@ $stack, histories: the_books_are_of_one_moment sums_are_counted_from_rows
            overdue_holds_are_seen the_gate_is_a_row the_audit_is_read_in_pages holds_are_found_by_request_and_subject);
    };
    (@ $stack:expr, $chapter:ident: $($story:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() {
                let Some(stack) = $stack.await else { return };
                $crate::stories::$chapter::$story(&stack).await;
            }
        )*
    };
}

/// Every story of a log as tests of one stack, each with a log of its own.
#[macro_export]
macro_rules! log_stories {
    ($stack:expr) => {
        $crate::ledger_stories!(@ $stack, logs: a_new_log_is_empty records_come_back_in_order_from_any_place
            a_reader_waits_for_the_next_record appends_at_once_have_a_place_each a_record_may_be_large
            several_read_at_their_own_places who_reads_beside_sees_it_grow_and_appends_nothing
            a_log_made_again_is_another_log);
    };
}
