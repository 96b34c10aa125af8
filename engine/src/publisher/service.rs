//! The publisher: what the writer hands a committed batch to, and the tasks behind it.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use flashsale_core::State;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::answers::{Answers, Follow};
use super::events::Encoder;
use super::outbox::{self, Outbox};
use super::{cache, outbox::QUEUE_BATCHES};
use crate::allocator::gauges::Gauges;
use crate::ports::{Cache, Checkpoint, Clock, Events, History, Ledger};
use crate::record::Committed;

/// What a publisher is made of.
pub struct Parts {
    /// The process's picture of the sale.
    pub board: Arc<dyn Follow>,
    /// Shared with the writer.
    pub gauges: Arc<Gauges>,
    /// Advisory copies.
    pub cache: Arc<dyn Cache>,
    /// Where events go.
    pub events: Arc<dyn Events>,
    /// The audit rows.
    pub history: Arc<dyn History>,
    /// `published_through`.
    pub ledger: Arc<dyn Ledger>,
    /// The monotonic clock.
    pub clock: Arc<dyn Clock>,
    /// Decisions as events.
    pub encoder: Encoder,
}

/// The writer's side: nothing here waits for anyone.
pub struct Publisher {
    answers: Answers,
    cache: Arc<cache::Queue>,
    events: mpsc::Sender<Arc<Committed>>,
    begin: Mutex<Option<oneshot::Sender<Checkpoint>>>,
    clock: Arc<dyn Clock>,
}

impl Publisher {
    /// Starts the consumers on the current runtime, one task each, and answers the writer's side. Cancel `stop` once
    /// the writer has ended: the outbox then publishes what is left, once; wait for `tasks`.
    #[must_use]
    pub fn start(parts: Parts, tasks: &TaskTracker, stop: &CancellationToken) -> Arc<Self> {
        let Parts { board, gauges, cache, events, history, ledger, clock, encoder } = parts;
        let cache_queue = Arc::new(cache::Queue::default());
        let (sender, receiver) = mpsc::channel(QUEUE_BATCHES);
        let (begin, begun) = oneshot::channel();
        tasks.spawn(cache::run(Arc::clone(&cache_queue), cache, Arc::clone(&clock), Arc::clone(&gauges), stop.clone()));
        let ports = outbox::Ports { events, history, ledger };
        let counting = Arc::clone(&gauges);
        let make = move |row: &Checkpoint| Outbox::new(ports, encoder, counting, row);
        tasks.spawn(outbox::run(begun, receiver, make, stop.clone()));
        let answers = Answers::new(board, gauges);
        Arc::new(Self { answers, cache: cache_queue, events: sender, begin: Mutex::new(Some(begin)), clock })
    }

    /// Every batch committed from now on, in order; see [`Answers::subscribe`].
    #[must_use]
    pub fn subscribe(&self) -> mpsc::Receiver<Arc<Committed>> {
        self.answers.subscribe()
    }

    /// A writer starts: what it rebuilt (none before the log's first record), from which row.
    pub fn begin(&self, state: Option<&State>, row: &Checkpoint) {
        if let Some(state) = state {
            self.answers.begin(state, row.generation, row.next_offset);
            self.cache.begin(state, row.generation, row.next_offset, &*self.clock);
        }
        if let Some(begin) = self.begin.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // Refused only when the outbox has stopped already.
            let _ = begin.send(row.clone());
        }
    }

    /// Product data by item, JSON: kept in the cache for whoever reads it there.
    pub fn offer_products(&self, products: &[Bytes]) {
        self.cache.offer_products(products);
    }

    /// Answers who waits for a committed batch: the board, then the waiters.
    pub fn answer(&self, committed: &Arc<Committed>) {
        self.answers.tell(committed);
    }

    /// Hands it to cache and events. A full queue leaves it out: events read it from the audit rows.
    pub fn follow_up(&self, committed: &Arc<Committed>) {
        self.cache.offer(committed, self.clock.monotonic());
        let _ = self.events.try_send(Arc::clone(committed));
    }
}
