//! The writer of a process: the product's takeover, fold, commit, publisher and cache queue, driven by simulated time.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use flashsale_core::{Command, Phase, State};
use flashsale_engine::allocator::commit::{Attempt, COMMIT_WITHIN, go_on, send};
use flashsale_engine::allocator::fold::StepError;
use flashsale_engine::allocator::rebuild::RebuildError;
use flashsale_engine::allocator::step::{Allocator, Prepared};
use flashsale_engine::allocator::takeover::{Claim, FIRST_TICK, LOOK, Stillness, own_batch, take_over};
use flashsale_engine::allocator::ticks::Ticks;
use flashsale_engine::ports::{Cache, Checkpoint, Ledger, LedgerBatch, Log, LogError, LogRecord, Snapshot};
use flashsale_engine::publisher::cache::Pending;
use flashsale_engine::publisher::events::Encoder;
use flashsale_engine::publisher::outbox::{Outbox, Ports};
use flashsale_engine::record::{Committed, encode};
use futures_util::future::BoxFuture;
use tokio::sync::Notify;

use crate::engine::Engine;
use crate::ledger::Connection;
use crate::log::Line;
use crate::sim::{Sim, lock};
use crate::switch::Switch;

/// Records in one read.
const READ_RECORDS: usize = 16;
/// A pause between attempts at a commit, and before trying to become the writer again.
const PAUSE: Duration = Duration::from_millis(50);
/// The writer shows that it lives.
const BEAT: Duration = Duration::from_millis(400);
/// Between two snapshots.
const SNAPSHOT_EVERY: Duration = Duration::from_millis(1_500);
/// Events are gathered, and the cache is written, this often.
const LINGER: Duration = Duration::from_millis(40);

/// What a writer hands on.
#[derive(Default)]
struct Behind {
    events: Mutex<VecDeque<Arc<Committed>>>,
    cache: Mutex<Pending>,
    news: Notify,
}

/// Becomes the writer and writes, until it may not go on: then its process ends.
pub async fn run(engine: Arc<Engine>) {
    let ledger: Arc<dyn Ledger> = Arc::new(Connection(Arc::clone(&engine.books)));
    let log: Arc<dyn Log> = Line::new(&engine.world.records);
    let ended = match seat(&engine, &*log, &*ledger).await {
        Ok((allocator, row)) => write(&engine, log, ledger, allocator, row).await,
        Err(error) if error.is_damage() => {
            damage(&engine, &error.to_string());
            error.to_string()
        }
        Err(error) => error.to_string(),
    };
    engine.end(|| ended);
}

/// What is stored contradicts itself, somebody says: right only if it does.
fn damage(engine: &Engine, what: &str) {
    let world = &engine.world;
    if world.damaged.load(std::sync::atomic::Ordering::Relaxed) {
        world.noticed.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        world.sim.note(|| format!("the damage is noticed: {what}"));
    } else {
        world.sim.fail(|| format!("I6: a sound log and ledger are taken for damaged: {what}"));
    }
}

async fn seat(engine: &Engine, log: &dyn Log, ledger: &dyn Ledger) -> Result<(Allocator, Checkpoint), RebuildError> {
    let (world, sim) = (&engine.world, &engine.world.sim);
    let boot = sim.chance(crate::chance::Chance::bits);
    let claim = Claim { define: world.sale.define.clone(), writer: engine.writer_id(), boot };
    loop {
        let seen = still(engine, ledger).await;
        match take_over(log, ledger, &*engine.history, &claim, &seen).await {
            Ok(Some(seat)) => return Ok(seat),
            Ok(None) => {}
            Err(error) if error.is_damage() || matches!(error, RebuildError::Step(_)) => return Err(error),
            Err(error) => sim.note(|| format!("process {} is not the writer yet: {error}", engine.process)),
        }
        sim.sleep(PAUSE).await;
    }
}

async fn still(engine: &Engine, ledger: &dyn Ledger) -> Checkpoint {
    let sim = &engine.world.sim;
    let mut stillness: Option<Stillness> = None;
    loop {
        if let Ok(row) = ledger.checkpoint().await {
            let hasty = engine.world.hasty.swap(false, std::sync::atomic::Ordering::Relaxed);
            let is_still = match &mut stillness {
                None => stillness.insert(Stillness::new(row, sim.now())).free(),
                Some(stillness) => stillness.look(row, sim.now()),
            };
            if let Some(stillness) = stillness.take_if(|_| is_still || hasty) {
                return stillness.into_row();
            }
        }
        sim.sleep(LOOK).await;
    }
}

async fn write(
    engine: &Arc<Engine>,
    log: Arc<dyn Log>,
    ledger: Arc<dyn Ledger>,
    allocator: Allocator,
    row: Checkpoint,
) -> String {
    let sim = &engine.world.sim;
    if engine.world.damaged.load(std::sync::atomic::Ordering::Relaxed) {
        sim.fail(|| "I6: a writer was seated over a damaged log".to_owned());
    }
    sim.note(|| format!("process {} is the writer of epoch {} from {}", engine.process, row.epoch, row.next_offset));
    engine.gauges.lead();
    engine.gauges.stand(row.epoch, row.generation, row.next_offset, row.digest, row.chain);
    let behind = Arc::new(Behind::default());
    if let Some(state) = allocator.state() {
        engine.answers.begin(Some(state), row.generation, row.next_offset);
        lock(&behind.cache).load(state, row.generation, row.next_offset, engine.clock.now(), sim.now());
    }
    sim.spawn(engine.process, publish(Arc::clone(engine), Arc::clone(&ledger), Arc::clone(&behind), row));
    sim.spawn(engine.process, fill_cache(Arc::clone(engine), Arc::clone(&behind)));
    sim.spawn(engine.process, beat(Arc::clone(engine), Arc::clone(&ledger), allocator.identity().epoch));
    let ticks = Ticks::new(true, sim.now());
    let snapshot_at = sim.now() + SNAPSHOT_EVERY;
    let writer =
        Writer { engine: Arc::clone(engine), log, ledger, allocator, ticks, behind, number: FIRST_TICK, snapshot_at };
    writer.turns().await
}

struct Writer {
    engine: Arc<Engine>,
    log: Arc<dyn Log>,
    ledger: Arc<dyn Ledger>,
    allocator: Allocator,
    ticks: Ticks,
    behind: Arc<Behind>,
    number: u64,
    snapshot_at: Duration,
}

/// A commit on its way, and the state after it when a snapshot is due.
struct Flight {
    prepared: Prepared,
    snapshot: Option<State>,
    landing: BoxFuture<'static, Result<(), String>>,
}

impl Writer {
    /// Turns until something ends this writer; answers what.
    async fn turns(mut self) -> String {
        let sim = self.engine.world.sim.clone();
        let mut flight: Option<Flight> = None;
        let mut reading = self.read();
        loop {
            if flight.is_none() {
                match self.allocator.seal(true) {
                    Ok(prepared) => flight = prepared.map(|prepared| self.fly(prepared)),
                    Err(error) => return self.refused(&error),
                }
            }
            self.tick_if_due();
            let wait = self.ticks.wait(sim.now());
            tokio::select! {
                biased;
                landed = landed(&mut flight) => match (landed, flight.take()) {
                    (Ok(()), Some(flight)) => self.tell(flight),
                    (Err(why), _) => return why,
                    (Ok(()), None) => {}
                },
                records = &mut reading, if !self.allocator.is_full() => {
                    match self.take(records) {
                        Ok(()) => reading = self.read(),
                        Err(error) => return self.refused(&error),
                    }
                }
                () = sim.sleep(wait) => {}
            }
        }
    }

    fn refused(&self, error: &StepError) -> String {
        match error {
            StepError::Violated(what) => self.engine.world.sim.fail(|| format!("the writer's own check: {what}")),
            StepError::Damaged(what) => damage(&self.engine, what),
            StepError::Superseded { .. } | StepError::Rules { .. } => {}
        }
        error.to_string()
    }

    fn read(&self) -> BoxFuture<'static, Result<Vec<LogRecord>, LogError>> {
        let (log, from) = (Arc::clone(&self.log), self.allocator.next());
        Box::pin(async move { log.read(from, READ_RECORDS, Duration::from_secs(1)).await })
    }

    fn take(&mut self, records: Result<Vec<LogRecord>, LogError>) -> Result<(), StepError> {
        match records {
            Ok(records) if records.is_empty() => {}
            Ok(records) => {
                self.ticks.record(self.engine.world.sim.now());
                for record in records {
                    self.allocator.take(record)?;
                }
                self.show();
            }
            Err(LogError::Damaged(what)) => return Err(StepError::Damaged(what)),
            Err(_) => {}
        }
        Ok(())
    }

    fn show(&self) {
        let open = self.allocator.waiting();
        let commands = open.map_or(0, |size| size.commands);
        self.engine.gauges.reading(self.allocator.next(), commands, open.map(|size| size.oldest));
    }

    fn fly(&mut self, prepared: Prepared) -> Flight {
        let now = self.engine.world.sim.now();
        let due = now >= self.snapshot_at;
        let snapshot = due.then(|| self.allocator.state().cloned()).flatten();
        let (sim, ledger) = (self.engine.world.sim.clone(), Arc::clone(&self.ledger));
        let landing = Box::pin(land(sim, ledger, Arc::clone(&prepared.batch)));
        Flight { prepared, snapshot, landing }
    }

    fn tell(&mut self, flight: Flight) {
        let (engine, sim) = (&self.engine, &self.engine.world.sim);
        let Flight { prepared: Prepared { batch, committed, size, leads, .. }, snapshot, .. } = flight;
        engine.answers.tell(&committed);
        if leads {
            engine.answers.lead();
        }
        lock(&self.behind.cache).absorb(&committed, sim.now());
        lock(&self.behind.events).push_back(Arc::clone(&committed));
        self.behind.news.notify_one();
        engine.gauges.stand(batch.epoch, batch.generation, batch.next_offset, batch.digest, batch.chain);
        engine.gauges.count_batch(size.records as u64, size.commands);
        self.show();
        if let Some(state) = snapshot
            && let Ok(bytes) = postcard::to_stdvec(&state)
        {
            self.snapshot_at = sim.now() + SNAPSHOT_EVERY;
            let (digest, ledger) = (state.digest(), Arc::clone(&self.ledger));
            let snapshot =
                Snapshot { generation: batch.generation, next_offset: batch.next_offset, digest, state: bytes.into() };
            sim.spawn(engine.process, async move { drop(ledger.save_snapshot(&snapshot).await) });
        }
    }

    fn tick_if_due(&mut self) {
        let now = self.engine.world.sim.now();
        let rests = |state: &State| state.phase() == Phase::Upcoming || state.ended();
        self.ticks.rest(self.allocator.state().is_some_and(rests));
        if !self.ticks.due(now, self.allocator.state().is_some_and(State::has_due)) {
            return;
        }
        let Ok(bytes) = encode(&own_batch(self.allocator.identity().boot, self.number, Command::Tick)) else { return };
        self.number += 1;
        self.ticks.appended(now);
        let log = Arc::clone(&self.log);
        self.engine.world.sim.spawn(self.engine.process, async move { drop(log.append(Bytes::from(bytes)).await) });
    }
}

async fn landed(flight: &mut Option<Flight>) -> Result<(), String> {
    match flight {
        Some(flight) => (&mut flight.landing).await,
        None => pending().await,
    }
}

/// Brings a batch into the ledger, or says why this writer may not go on.
async fn land(sim: Sim, ledger: Arc<dyn Ledger>, batch: Arc<LedgerBatch>) -> Result<(), String> {
    let unheard = || Attempt::Unknown("no answer within the limit".into());
    let mut attempt = sim.within(COMMIT_WITHIN, send(&*ledger, &batch)).await.unwrap_or_else(unheard);
    loop {
        match &attempt {
            Attempt::Committed => return Ok(()),
            Attempt::Again | Attempt::Unknown(_) | Attempt::Mismatch(_) => sim.sleep(PAUSE).await,
            Attempt::Fenced(_) => return Err(format!("the ledger is another writer's: epoch {} is over", batch.epoch)),
            Attempt::Damaged(what) => return Err(what.clone()),
        }
        attempt = sim.within(COMMIT_WITHIN, go_on(&*ledger, &batch, &attempt)).await.unwrap_or_else(unheard);
    }
}

async fn beat(engine: Arc<Engine>, ledger: Arc<dyn Ledger>, epoch: u64) {
    loop {
        engine.world.sim.sleep(BEAT).await;
        if let Ok(false) = ledger.beat(epoch, engine.writer_id()).await {
            return engine.end(|| format!("fenced: epoch {epoch} is over"));
        }
    }
}

/// Events: what a crash left, then what is committed.
async fn publish(engine: Arc<Engine>, ledger: Arc<dyn Ledger>, behind: Arc<Behind>, mut row: Checkpoint) {
    let world = &engine.world;
    if world.without(Switch::AuditOutbox) {
        row.published_through = row.next_offset;
    }
    let ports = Ports { events: world.events.clone(), history: Arc::clone(&engine.history), ledger };
    let mut outbox = Outbox::new(ports, Encoder::new(&world.sale.frozen), Arc::clone(&engine.gauges), &row);
    let mut left = row.next_offset;
    let mut waiting = VecDeque::new();
    loop {
        waiting.append(&mut lock(&behind.events));
        match outbox.turn(left, &waiting).await {
            Ok(()) => {
                left = 0;
                waiting.clear();
            }
            Err(error) => world.sim.note(|| format!("events are behind: {error}")),
        }
        world.sim.sleep(LINGER).await;
        while waiting.is_empty() && left == 0 && lock(&behind.events).is_empty() {
            behind.news.notified().await;
        }
    }
}

/// The cache: the newest value of each key, put back when it fails.
async fn fill_cache(engine: Arc<Engine>, behind: Arc<Behind>) {
    let world = &engine.world;
    loop {
        let (writes, _) = lock(&behind.cache).take();
        if world.cache.write(&writes).await.is_err() {
            writes.into_iter().for_each(|write| lock(&behind.cache).put_back(write));
        }
        world.sim.sleep(LINGER).await;
    }
}
