//! A writer with its publisher over the memory's ports, on a paused clock.

use std::sync::Arc;
use std::time::Duration;

use flashsale_engine::allocator::gauges::Gauges;
use flashsale_engine::allocator::nudges;
use flashsale_engine::allocator::service::{Options, Ports, Service, WriterError};
use flashsale_engine::publisher::answers::Answers;
use flashsale_engine::publisher::events::Encoder;
use flashsale_engine::publisher::service::{Parts, Publisher};
use flashsale_engine::record::Committed;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::sale::{claim, frozen};
use super::{MemoryCache, MemoryEvents, MemoryLedger, MemoryLog, MemoryNotifier, TestClock};

/// What survives a process.
#[derive(Clone)]
pub struct World {
    pub log: Arc<MemoryLog>,
    pub told: Arc<MemoryLog>,
    pub ledger: Arc<MemoryLedger>,
    pub cache: Arc<MemoryCache>,
    pub events: Arc<MemoryEvents>,
    pub notifier: Arc<MemoryNotifier>,
    pub options: Options,
}

/// One process's writer.
pub struct Engine {
    pub gauges: Arc<Gauges>,
    pub decisions: mpsc::Receiver<Arc<Committed>>,
    pub nudge: Arc<Notify>,
    pub stop: CancellationToken,
    pub publisher_stop: CancellationToken,
    pub tasks: TaskTracker,
    pub writer: JoinHandle<Result<(), WriterError>>,
}

impl World {
    pub fn new() -> Self {
        let options = Options { alone: true, ..Options::default() };
        Self {
            log: MemoryLog::new(),
            told: MemoryLog::new(),
            ledger: Arc::default(),
            cache: Arc::default(),
            events: Arc::default(),
            notifier: Arc::default(),
            options,
        }
    }

    /// Starts a writer of its own number.
    pub fn start(&self, number: u128) -> Engine {
        let clock = Arc::new(TestClock::new());
        let (gauges, tasks, publisher_stop) =
            (Arc::new(Gauges::default()), TaskTracker::new(), CancellationToken::new());
        let parts = Parts {
            answers: Arc::new(Answers::new(Arc::new(()), Arc::clone(&gauges))),
            gauges: Arc::clone(&gauges),
            cache: self.cache.clone(),
            events: self.events.clone(),
            decisions: Some(self.told.clone()),
            history: self.ledger.clone(),
            ledger: self.ledger.clone(),
            clock: clock.clone(),
            encoder: Encoder::new(&frozen()),
        };
        let publisher = Publisher::start(parts, &tasks, &publisher_stop);
        let decisions = publisher.subscribe();
        let ports = Ports {
            log: self.log.clone(),
            decisions: Some(self.told.clone()),
            ledger: self.ledger.clone(),
            history: self.ledger.clone(),
            notifier: self.notifier.clone(),
            clock,
        };
        let (nudge, stop) = (Arc::new(Notify::new()), CancellationToken::new());
        if self.options.layers.notices {
            tasks.spawn(nudges::notices(self.cache.clone(), Arc::clone(&nudge), publisher_stop.clone()));
        }
        if self.options.layers.sweep {
            let (history, clock) = (self.ledger.clone(), ports.clock.clone());
            tasks.spawn(nudges::sweep(history, clock, Arc::clone(&nudge), publisher_stop.clone()));
        }
        let service = Service {
            ports,
            claim: claim(number),
            options: self.options,
            gauges: Arc::clone(&gauges),
            publisher,
            nudge: Arc::clone(&nudge),
            stop: stop.clone(),
        };
        Engine { gauges, decisions, nudge, stop, publisher_stop, tasks, writer: tokio::spawn(service.run()) }
    }
}

impl Engine {
    /// The next committed batch; a writer that tells nothing for a minute fails the story.
    pub async fn next(&mut self) -> Arc<Committed> {
        tokio::time::timeout(Duration::from_secs(60), self.decisions.recv())
            .await
            .expect("a decision")
            .expect("a writer")
    }

    /// Batches until everything below `offset` is decided.
    pub async fn through(&mut self, offset: u64) -> Vec<Arc<Committed>> {
        let mut told = Vec::new();
        while told.last().is_none_or(|last: &Arc<Committed>| last.next_offset < offset) {
            told.push(self.next().await);
        }
        told
    }

    /// A graceful stop: the writer first, then its publisher.
    pub async fn stop(self) -> Result<(), WriterError> {
        self.stop.cancel();
        let ended = self.writer.await.expect("no panic");
        self.publisher_stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        ended
    }

    /// `kill -9`: no task does another step.
    pub fn kill(self) {
        self.writer.abort();
        self.publisher_stop.cancel();
    }
}
