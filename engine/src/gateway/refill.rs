//! Availability while the board is not fresh: a gateway that has just started, or that no decision reaches, asks the
//! cache. Flags never do: what stands here may be ahead of the grants that this gateway knows.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwapOption, Guard};
use flashsale_core::ItemIndex;
use tokio::sync::Mutex;

use crate::ports::{Cache, Clock};
use crate::publisher::board::{Board, Page, page};

/// An item is asked for at most once in this time: the writer renews it as often.
const AGAIN: Duration = Duration::from_millis(250);

/// What the cache said last, of every item.
pub struct Refill {
    cache: Arc<dyn Cache>,
    clock: Arc<dyn Clock>,
    items: Vec<Asked>,
}

#[derive(Default)]
struct Asked {
    /// Held by the one who asks; when that was, on the monotonic clock.
    at: Mutex<Option<Duration>>,
    page: ArcSwapOption<Page>,
}

impl Refill {
    /// Nothing is asked before somebody wants to know.
    #[must_use]
    pub fn new(cache: Arc<dyn Cache>, clock: Arc<dyn Clock>, items: usize) -> Self {
        Self { cache, clock, items: std::iter::repeat_with(Asked::default).take(items).collect() }
    }

    /// The newer of the board's page and the cache's; true: it is the cache's. However many want to know, one asks.
    pub async fn page(&self, board: &Board, item: ItemIndex) -> Option<(Arc<Page>, bool)> {
        let known = Guard::into_inner(board.page(item)?);
        let (Some(asked), Some(sku)) = (self.items.get(usize::from(item)), board.sku(item)) else {
            return Some((known, false));
        };
        let mut at = asked.at.lock().await;
        let now = self.clock.monotonic();
        if at.is_none_or(|before| now.saturating_sub(before) >= AGAIN) {
            // A cache that does not answer has nothing to say.
            let kept = self.cache.stock(item).await.ok().flatten();
            let made = kept.map(|kept| page(sku, kept.item, kept.generation, kept.offset + 1, kept.as_of));
            asked.page.store(made.map(Arc::new));
            *at = Some(self.clock.monotonic());
        }
        drop(at);
        match asked.page.load_full() {
            Some(page) if (page.generation, page.offset) > (known.generation, known.offset) => Some((page, true)),
            _ => Some((known, false)),
        }
    }
}
