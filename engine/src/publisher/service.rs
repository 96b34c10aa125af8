//! The publisher: what the writer hands a committed batch to, and the tasks behind it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use flashsale_core::State;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::answers::Answers;
use super::cache;
use super::events::Encoder;
use super::outbox::{self, LINGER, Outbox, QUEUE_BATCHES, Reached};
use crate::allocator::gauges::Gauges;
use crate::ports::{Cache, Checkpoint, Clock, Events, History, Ledger, Log};
use crate::record::Committed;

/// What a publisher is made of.
pub struct Parts {
    /// The process's picture of the sale, and who waits for it.
    pub answers: Arc<Answers>,
    /// Shared with the writer.
    pub gauges: Arc<Gauges>,
    /// Advisory copies.
    pub cache: Arc<dyn Cache>,
    /// Where events go.
    pub events: Arc<dyn Events>,
    /// Where decisions go, for the processes that are not the writer; none: there are no others.
    pub decisions: Option<Arc<dyn Log>>,
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
    answers: Arc<Answers>,
    cache: Arc<cache::Queue>,
    outboxes: Vec<mpsc::Sender<Arc<Committed>>>,
    begin: Mutex<Vec<oneshot::Sender<Checkpoint>>>,
    clock: Arc<dyn Clock>,
}

impl Publisher {
    /// Starts the consumers on the current runtime, one task each, and answers the writer's side. Cancel `stop` once
    /// the writer has ended: the outbox then publishes what is left, once; wait for `tasks`.
    #[must_use]
    pub fn start(parts: Parts, tasks: &TaskTracker, stop: &CancellationToken) -> Arc<Self> {
        let Parts { answers, gauges, cache, events, decisions, history, ledger, clock, encoder } = parts;
        let cache_queue = Arc::new(cache::Queue::default());
        tasks.spawn(cache::run(Arc::clone(&cache_queue), cache, Arc::clone(&clock), Arc::clone(&gauges), stop.clone()));
        let mut this = Self { answers, cache: cache_queue, outboxes: Vec::new(), begin: Mutex::new(Vec::new()), clock };
        let ports = outbox::Ports { events, history, ledger };
        let reached = decisions.as_ref().map(|_| Arc::new(Reached::default()));
        if let (Some(log), Some(reached)) = (decisions, reached.clone()) {
            let (ports, gauges) = (ports.clone(), Arc::clone(&gauges));
            let make = move |row: &Checkpoint| Outbox::of_decisions(log, reached, ports, gauges, row);
            this.outbox(make, Duration::ZERO, tasks, stop);
        }
        let make = move |row: &Checkpoint| {
            let outbox = Outbox::new(ports, encoder, gauges, row);
            if let Some(reached) = reached { outbox.beside(reached) } else { outbox }
        };
        this.outbox(make, LINGER, tasks, stop);
        Arc::new(this)
    }

    fn outbox(
        &mut self,
        make: impl FnOnce(&Checkpoint) -> Outbox + Send + 'static,
        linger: Duration,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) {
        let (sender, receiver) = mpsc::channel(QUEUE_BATCHES);
        let (begin, begun) = oneshot::channel();
        tasks.spawn(outbox::run(begun, receiver, make, linger, stop.clone()));
        self.outboxes.push(sender);
        self.begin.get_mut().unwrap_or_else(PoisonError::into_inner).push(begin);
    }

    /// The feed, for who follows another process's decisions into it.
    #[must_use]
    pub fn answers(&self) -> Arc<Answers> {
        Arc::clone(&self.answers)
    }

    /// Every batch committed from now on, in order; see [`Answers::subscribe`].
    #[must_use]
    pub fn subscribe(&self) -> mpsc::Receiver<Arc<Committed>> {
        self.answers.subscribe()
    }

    /// A writer starts: what it rebuilt (none before the log's first record), from which row.
    pub fn begin(&self, state: Option<&State>, row: &Checkpoint) {
        self.answers.begin(state, row.generation, row.next_offset);
        if let Some(state) = state {
            self.cache.begin(state, row.generation, row.next_offset, &*self.clock);
        }
        for begin in self.begin.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
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

    /// The writer's own takeover is committed and told: gateways open.
    pub fn lead(&self) {
        self.answers.lead();
    }

    /// Hands it to cache, decisions and events. A full queue leaves it out: an outbox reads it from the audit rows.
    pub fn follow_up(&self, committed: &Arc<Committed>) {
        self.cache.offer(committed, self.clock.monotonic());
        for outbox in &self.outboxes {
            let _ = outbox.try_send(Arc::clone(committed));
        }
    }
}
