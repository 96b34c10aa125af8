//! The loop around the synchronous heart: while one batch commits, the next is read and folded; whoever waits is told
//! after the commit; time, beats and snapshots happen beside it.

use std::future::{pending, ready};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flashsale_core::{Command, Phase, State};
use futures_util::future::BoxFuture;
use tokio::time::{sleep, timeout};

use super::failpoint::{Point, reach};
use super::fold::StepError;
use super::landing::land;
use super::service::{Service, WriterError};
use super::shadow::{Shadow, Turn};
use super::step::{Allocator, Prepared};
use super::takeover::{FIRST_TICK, own_batch};
use super::ticks::Ticks;
use crate::ports::{Ledger, LedgerError, LogError, LogRecord, Snapshot};
use crate::record::encode;

/// Records in one read: small, so that a batch overshoots its bounds by little.
const READ_RECORDS: usize = 128;
/// How long a read waits for a record; nothing depends on it but how often a quiet log is asked.
const READ_WITHIN: Duration = Duration::from_secs(1);
/// A pause after the log did not answer.
const READ_PAUSE: Duration = Duration::from_millis(50);
/// A log that takes no tick for this long ends the writer.
const REFUSED_FOR: Duration = Duration::from_secs(5);
/// The writer shows that it lives.
const BEAT: Duration = Duration::from_millis(500);
/// The sale's view is at most this old while batches are committed.
const PICTURE: Duration = Duration::from_millis(50);
/// A graceful stop takes at most this long for what is on its way, and again for the last snapshot.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// A commit on its way.
struct InFlight {
    prepared: Prepared,
    landing: BoxFuture<'static, Result<(), WriterError>>,
    /// When its first record was read, and when it was sent.
    begun: Duration,
    sent: Duration,
}

/// A writer at work.
pub(super) struct Writing {
    service: Service,
    allocator: Allocator,
    ticks: Ticks,
    next_number: u64,
    in_flight: Option<InFlight>,
    begun: Option<Duration>,
    pictured: Duration,
    snapshot_at: Duration,
    reading: BoxFuture<'static, Result<Vec<LogRecord>, LogError>>,
    beating: BoxFuture<'static, Beat>,
    appending: Option<BoxFuture<'static, Result<u64, LogError>>>,
    refused_since: Option<Duration>,
    shadow: Shadow,
    /// The shadow's turn of work.
    shading: Option<Turn>,
}

/// What a beat brought: whether the epoch is still this writer's, and the log's end.
type Beat = (Result<bool, LedgerError>, Result<u64, LogError>);

impl Writing {
    pub(super) fn new(service: Service, allocator: Allocator) -> Self {
        let now = service.ports.clock.monotonic();
        let reading = Self::read(&service, allocator.next());
        let beating = Self::beat(&service, &allocator);
        let (log, ledger) = (Arc::clone(&service.ports.log), Arc::clone(&service.ports.ledger));
        let shadow = Shadow::new(log, ledger, allocator.fold_so_far().clone());
        Self {
            ticks: Ticks::new(service.options.layers.idle_ticks, now),
            next_number: FIRST_TICK,
            in_flight: None,
            begun: None,
            pictured: now,
            snapshot_at: now + service.options.snapshot_every,
            reading,
            beating,
            appending: None,
            refused_since: None,
            shadow,
            shading: None,
            service,
            allocator,
        }
    }

    /// Until stopped: then everything appended before is decided, a snapshot is kept and the ledger's row given up.
    pub(super) async fn run(mut self) -> Result<(), WriterError> {
        let stop = self.service.stop.clone();
        let ended = tokio::select! {
            ended = self.turns(None) => ended,
            () = stop.cancelled() => Ok(()),
        };
        let ended = match ended {
            Ok(()) => self.drain().await,
            Err(error) => Err(error),
        };
        self.hush();
        // What is on its way may yet be committed: whoever waits for it is told, whatever ended this writer.
        if let Some(flight) = &mut self.in_flight
            && let Ok(Ok(())) = timeout(STOP_WITHIN, &mut flight.landing).await
        {
            self.tell();
        }
        if ended.is_ok() {
            self.leave().await;
        }
        ended
    }

    /// Drops what the loop kept going beside the commits. Kept and no longer polled, one of them could hold the ledger's
    /// connection, or be next in line for it, while the end waits behind it for ever.
    fn hush(&mut self) {
        self.beating = Box::pin(pending());
        (self.shading, self.appending) = (None, None);
    }

    /// Decides what the log held when the stop was asked for.
    async fn drain(&mut self) -> Result<(), WriterError> {
        let Ok(end) = self.service.ports.log.end().await else { return Ok(()) };
        timeout(STOP_WITHIN, self.turns(Some(end))).await.unwrap_or_else(|_| {
            tracing::warn!("stopped before everything appended was decided; the next writer decides it");
            Ok(())
        })
    }

    /// Turns the loop until everything below `until` is committed; for ever without one.
    async fn turns(&mut self, until: Option<u64>) -> Result<(), WriterError> {
        loop {
            self.send().await?;
            let idle = self.in_flight.is_none() && self.allocator.waiting().is_none();
            if idle && until.is_some_and(|end| self.allocator.next() >= end) {
                return Ok(());
            }
            if until.is_none() {
                self.tick_if_due();
            }
            let clock = Arc::clone(&self.service.ports.clock);
            let nudge = Arc::clone(&self.service.nudge);
            tokio::select! {
                biased;
                ended = landed(&mut self.in_flight) => self.landed(ended).await?,
                beat = &mut self.beating => self.beaten(beat)?,
                appended = of(&mut self.appending) => self.appended(appended)?,
                fold = of(&mut self.shading) => {
                    self.shading = None;
                    self.shadow.rest(fold);
                }
                () = nudge.notified() => self.ticks.nudge(),
                records = &mut self.reading, if !self.allocator.is_full() => self.take(records)?,
                () = sleep(self.ticks.wait(clock.monotonic())) => {}
            }
        }
    }

    /// Seals what is open and sends it, when no commit is on its way.
    async fn send(&mut self) -> Result<(), StepError> {
        if self.in_flight.is_some() {
            return Ok(());
        }
        let now = self.now();
        let picture = now.saturating_sub(self.pictured) >= PICTURE;
        let Some(prepared) = self.allocator.seal(picture)? else { return Ok(()) };
        if prepared.sale.is_some() {
            self.pictured = now;
        }
        let (ports, gauges) = (self.service.ports.clone(), Arc::clone(&self.service.gauges));
        let mut landing: BoxFuture<'static, _> = Box::pin(land(ports, gauges, Arc::clone(&prepared.batch)));
        // Polled once, so that the ledger works while the last batch's waiters are told.
        if let std::task::Poll::Ready(ended) = futures_util::poll!(&mut landing) {
            landing = Box::pin(ready(ended));
        }
        let begun = self.begun.take().unwrap_or(now);
        self.in_flight = Some(InFlight { prepared, landing, begun, sent: now });
        Ok(())
    }

    /// A commit ended: send the next, then tell.
    async fn landed(&mut self, ended: Result<(), WriterError>) -> Result<(), WriterError> {
        let Some(flight) = self.in_flight.take() else { return ended };
        ended?;
        let sent = self.send().await;
        self.tell_of(flight);
        sent.map_err(WriterError::Step)
    }

    fn tell(&mut self) {
        if let Some(flight) = self.in_flight.take() {
            self.tell_of(flight);
        }
    }

    fn tell_of(&mut self, flight: InFlight) {
        let (publisher, gauges) = (Arc::clone(&self.service.publisher), Arc::clone(&self.service.gauges));
        let committed_at = self.now();
        let InFlight { prepared: Prepared { batch, committed, sale, size, records, leads }, begun, sent, .. } = flight;
        publisher.answer(&committed);
        if leads {
            publisher.lead();
        }
        let told_at = self.now();
        reach(Point::AfterReply);
        publisher.follow_up(&committed);
        let wall = self.service.ports.clock.now();
        for decision in &committed.decisions {
            let age = u64::try_from(wall.saturating_sub(decision.timestamp)).unwrap_or_default();
            gauges.queue.record(age.saturating_mul(1_000));
        }
        gauges.stand(batch.epoch, batch.generation, batch.next_offset, batch.digest, batch.chain);
        gauges.count_batch(size.records as u64, size.commands);
        gauges.commit.record_time(committed_at.saturating_sub(sent));
        gauges.reply.record_time(told_at.saturating_sub(committed_at));
        gauges.batch.record_time(told_at.saturating_sub(begun));
        gauges.spend(committed_at.saturating_sub(sent));
        if sale.is_some() {
            gauges.sale.store(sale);
        }
        self.show_waiting();
        if told_at >= self.snapshot_at {
            self.snapshot_at = told_at + self.service.options.snapshot_every;
            self.shadow.want_snapshot();
        }
        if let Some(turn) = self.shadow.follow(&batch, records) {
            self.shading = Some(turn);
        }
    }

    fn take(&mut self, records: Result<Vec<LogRecord>, LogError>) -> Result<(), WriterError> {
        let began = self.now();
        match records {
            Ok(records) if records.is_empty() => {}
            Ok(records) => {
                reach(Point::AfterRead);
                self.begun.get_or_insert(began);
                self.ticks.record(began);
                for record in records {
                    self.allocator.take(record)?;
                }
                self.show_waiting();
            }
            Err(LogError::Damaged(what)) => return Err(StepError::Damaged(what).into()),
            Err(error) => tracing::warn!(%error, "the log does not answer; asking again"),
        }
        self.reading = Self::read(&self.service, self.allocator.next());
        if self.in_flight.is_none() {
            self.service.gauges.spend(self.now().saturating_sub(began));
        }
        Ok(())
    }

    fn show_waiting(&self) {
        let open = self.allocator.waiting();
        let sent = self.in_flight.as_ref().map(|flight| flight.prepared.size);
        let commands = [open, sent].iter().flatten().map(|size| size.commands).sum();
        let oldest = sent.or(open).map(|size| size.oldest);
        self.service.gauges.reading(self.allocator.next(), commands, oldest);
    }

    fn tick_if_due(&mut self) {
        let now = self.now();
        let more_due = self.allocator.state().is_some_and(State::has_due);
        let rests = |state: &State| state.phase() == Phase::Upcoming || state.ended();
        self.ticks.rest(self.allocator.state().is_some_and(rests));
        if self.appending.is_some() || !self.ticks.due(now, more_due) {
            return;
        }
        let record = own_batch(self.allocator.identity().boot, self.next_number, Command::Tick);
        let Ok(bytes) = encode(&record) else { return };
        self.next_number += 1;
        self.ticks.appended(now);
        let log = Arc::clone(&self.service.ports.log);
        self.appending = Some(Box::pin(async move {
            reach(Point::BeforeAppend);
            log.append(Bytes::from(bytes)).await
        }));
    }

    fn appended(&mut self, appended: Result<u64, LogError>) -> Result<(), WriterError> {
        self.appending = None;
        match appended {
            Ok(offset) => {
                self.refused_since = None;
                self.service.gauges.appended(offset);
            }
            Err(LogError::Damaged(what)) => return Err(StepError::Damaged(what).into()),
            Err(error) => {
                let now = self.now();
                let since = *self.refused_since.get_or_insert(now);
                if !self.service.options.log_returns && now.saturating_sub(since) >= REFUSED_FOR {
                    return Err(WriterError::Log(error.to_string()));
                }
                tracing::warn!(%error, "a tick was perhaps not appended; the next one is as good");
            }
        }
        Ok(())
    }

    fn beaten(&mut self, (alive, end): Beat) -> Result<(), WriterError> {
        let mine = self.allocator.identity().epoch;
        match alive {
            Ok(true) => {}
            Ok(false) => return Err(WriterError::Fenced { mine }),
            Err(error) => tracing::warn!(%error, "no beat"),
        }
        if let Ok(end @ 1..) = end {
            self.service.gauges.appended(end - 1);
        }
        self.beating = Self::beat(&self.service, &self.allocator);
        Ok(())
    }

    /// The last snapshot, and the row given up, so that the next writer starts at once.
    async fn leave(&mut self) {
        let me = self.allocator.identity();
        let (next, generation) = (self.allocator.next(), self.allocator.generation());
        let all = self.in_flight.is_none() && self.allocator.waiting().is_none();
        let ledger = Arc::clone(&self.service.ports.ledger);
        if let Some(state) = self.allocator.state().filter(|_| all)
            && timeout(STOP_WITHIN, keep(&*ledger, generation, next, state)).await.is_err()
        {
            tracing::warn!("no snapshot was kept at the stop; the next start replays a little more");
        }
        match timeout(STOP_WITHIN, ledger.resign(me.epoch, me.writer)).await {
            Ok(Ok(_)) => {}
            other => {
                tracing::warn!(?other, "the ledger's row was not given up; the next writer waits for a still beat")
            }
        }
    }

    fn now(&self) -> Duration {
        self.service.ports.clock.monotonic()
    }

    fn read(service: &Service, from: u64) -> BoxFuture<'static, Result<Vec<LogRecord>, LogError>> {
        let log = Arc::clone(&service.ports.log);
        Box::pin(async move {
            let read = log.read(from, READ_RECORDS, READ_WITHIN).await;
            if read.is_err() {
                sleep(READ_PAUSE).await;
            }
            read
        })
    }

    fn beat(service: &Service, allocator: &Allocator) -> BoxFuture<'static, Beat> {
        let (log, ledger) = (Arc::clone(&service.ports.log), Arc::clone(&service.ports.ledger));
        let me = allocator.identity();
        Box::pin(async move {
            sleep(BEAT).await;
            // A log that is away must not make the writer look dead.
            let end =
                async { timeout(BEAT, log.end()).await.unwrap_or_else(|_| Err(LogError::Unavailable("slow".into()))) };
            tokio::join!(ledger.beat(me.epoch, me.writer), end)
        })
    }
}

/// Keeps the state that a stopping writer leaves.
async fn keep(ledger: &dyn Ledger, generation: u32, next_offset: u64, state: &State) {
    let digest = state.digest();
    let Ok(state) = postcard::to_stdvec(state).map(Bytes::from) else {
        tracing::error!(next_offset, "a state could not be serialized");
        return;
    };
    reach(Point::DuringSnapshot);
    if let Err(error) = ledger.save_snapshot(&Snapshot { generation, next_offset, digest, state }).await {
        tracing::warn!(%error, next_offset, "a snapshot was not kept; a start would replay more");
    }
}

async fn landed(flight: &mut Option<InFlight>) -> Result<(), WriterError> {
    match flight {
        Some(flight) => (&mut flight.landing).await,
        None => pending().await,
    }
}

async fn of<T>(slot: &mut Option<BoxFuture<'static, T>>) -> T {
    match slot {
        Some(future) => future.await,
        None => pending().await,
    }
}
