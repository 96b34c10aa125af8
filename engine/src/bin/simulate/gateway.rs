//! A gateway: the product's queue of sent batches, flags, tallies and payments, with the simulator's time and log.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use flashsale_core::{Command, HoldNumber, HoldStatus, Outcome, Refusal, RequestKey, SubjectKey};
use flashsale_engine::allocator::gauges::Gauges;
use flashsale_engine::gateway::flag::{Known, known, refusal};
use flashsale_engine::gateway::late::Decision;
use flashsale_engine::gateway::lookup::{Found, find};
use flashsale_engine::gateway::paying::{Attempt, Paid, Paying};
use flashsale_engine::gateway::sent::SentBatches;
use flashsale_engine::gateway::shedding::Shedding;
use flashsale_engine::gateway::tally::Tally;
use flashsale_engine::ports::{Clock, Log};
use flashsale_engine::publisher::answers::Answers;
use flashsale_engine::record::Entry;
use flashsale_engine::sale::definition::Overload;
use flashsale_engine::submit::{Submit, Submitted};
use tokio::sync::{Notify, oneshot};

use crate::engine::Engine;
use crate::faults::{Fault, Faults};
use crate::log::Line;
use crate::sim::{Process, Sim, lock};
use crate::switch::Switch;
use crate::told::Grant;
use crate::world::World;

/// Commands in one record.
const TOGETHER: usize = 8;
/// Commands that may wait to be put into one.
const WAITING: usize = 64;
/// How long a reserve waits for its decision.
const REPLY_WITHIN: Duration = Duration::from_millis(400);
/// How long a late decision is still waited for.
const GIVE_UP: Duration = Duration::from_secs(5);
/// How often refusals by flags are tallied.
const TALLY: Duration = Duration::from_millis(300);

type Waiter = oneshot::Sender<Submitted>;

/// One sender of batches.
pub struct Gateway {
    pub sim: Sim,
    faults: Arc<Faults>,
    process: Process,
    line: Arc<Line>,
    sent: Mutex<SentBatches<Waiter>>,
    waiting: Mutex<Vec<(Entry, Waiter)>>,
    news: Notify,
    shedding: Shedding,
    tally: Mutex<Tally>,
}

/// A reserve, as it comes in.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    pub request: RequestKey,
    pub subject: SubjectKey,
    pub item: u16,
    pub wait: bool,
    /// The shopper chose the id, and may send it again.
    pub chosen: bool,
}

/// What a shopper is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    Granted { hold: HoldNumber, offset: Option<u64> },
    Waiting { hold: HoldNumber, offset: Option<u64> },
    Refused(Refusal),
    Pending,
    Overloaded,
    NotFound,
}

impl Gateway {
    /// Starts one in a process.
    pub fn start(
        world: &Arc<World>,
        process: Process,
        number: u32,
        answers: &Answers,
        gauges: &Arc<Gauges>,
        clock: &Arc<dyn Clock>,
        overload: Option<Overload>,
    ) -> Arc<Self> {
        let boot = world.sim.chance(crate::chance::Chance::bits);
        let gateway = Arc::new(Self {
            sim: world.sim.clone(),
            faults: Arc::clone(&world.faults),
            process,
            line: Line::new(&world.records),
            sent: Mutex::new(SentBatches::new(number, boot)),
            waiting: Mutex::default(),
            news: Notify::new(),
            shedding: Shedding { gauges: Arc::clone(gauges), clock: Arc::clone(clock), overload },
            tally: Mutex::default(),
        });
        let feed = answers.subscribe();
        world.sim.spawn(process, Arc::clone(&gateway).send());
        world.sim.spawn(process, Arc::clone(&gateway).follow(feed));
        gateway
    }

    /// Puts what waits into records, one gap apart.
    async fn send(self: Arc<Self>) {
        loop {
            while lock(&self.waiting).is_empty() {
                self.news.notified().await;
            }
            self.sim.sleep(self.sim.micros(500, 3_000)).await;
            if !lock(&self.sent).has_room() {
                continue;
            }
            let taken: Vec<_> = {
                let mut waiting = lock(&self.waiting);
                let count = waiting.len().min(TOGETHER);
                waiting.drain(..count).collect()
            };
            let (entries, waiters) = taken.into_iter().unzip();
            let Ok((number, bytes)) = lock(&self.sent).record(entries, waiters) else {
                self.sim.fail(|| "a batch could not be encoded".to_owned());
                return;
            };
            let gateway = Arc::clone(&self);
            self.sim.spawn(self.process, async move {
                match gateway.line.append(bytes).await {
                    Ok(offset) => gateway.shedding.gauges.appended(offset),
                    Err(error) => lock(&gateway.sent).not_appended(number, &error, answer),
                }
            });
        }
    }

    /// Hears of decisions.
    async fn follow(self: Arc<Self>, mut feed: tokio::sync::mpsc::Receiver<Arc<flashsale_engine::record::Committed>>) {
        while let Some(committed) = feed.recv().await {
            if self.faults.strikes(Fault::DecisionsLost) {
                continue;
            }
            if self.faults.strikes(Fault::DecisionsLate) {
                self.sim.sleep(self.sim.millis(1, 900)).await;
            }
            lock(&self.sent).decided(&committed, answer);
            if self.faults.strikes(Fault::DecisionsRepeated) {
                lock(&self.sent).decided(&committed, answer);
            }
        }
    }

    /// Appends what was refused here, now and then.
    pub async fn tally(self: Arc<Self>) {
        loop {
            self.sim.sleep(TALLY).await;
            let counted = lock(&self.tally).take();
            if let Some(entry) = counted
                && let Submitted::Overloaded(_) = self.submit(entry.clone(), TALLY).await
            {
                lock(&self.tally).put_back(entry);
            }
        }
    }

    fn hand_over(&self, entry: Entry) -> Result<oneshot::Receiver<Submitted>, &'static str> {
        if let Some(reason) = self.shedding.overloaded() {
            return Err(reason);
        }
        let mut waiting = lock(&self.waiting);
        if waiting.len() >= WAITING {
            return Err("the gateway's queue is full");
        }
        let (tell, told) = oneshot::channel();
        waiting.push((entry, tell));
        self.news.notify_one();
        Ok(told)
    }

    /// `POST /v1/skus/{sku}/reserve`
    pub async fn reserve(self: &Arc<Self>, engine: &Arc<Engine>, asked: Asked, name: &str) -> Said {
        let Asked { request, subject, item, wait, chosen } = asked;
        let board = &engine.board;
        let looked_up = if engine.world.without(Switch::LookupBeforeFlag) {
            refusal(board, item, wait).map(Known::Refused)
        } else {
            known(board, chosen.then_some(request), item, wait)
        };
        match looked_up {
            Some(Known::Granted(hold)) => return self.again(engine, hold, item),
            Some(Known::Refused(refusal)) => {
                lock(&self.tally).count(item, refusal);
                engine.world.told.flag();
                let through = board.through();
                if lock(&engine.books.judge).granted_below(request, through) {
                    let text = format!("a flag at {through} hid a grant of {request:?} from its own request");
                    self.sim.fail(|| text);
                }
                return Said::Refused(refusal);
            }
            None => {}
        }
        let entry = Entry { command: Command::Reserve { request, subject, item, wait }, words: name.into() };
        let Ok(mut answered) = self.hand_over(entry) else { return Said::Overloaded };
        match self.sim.within(REPLY_WITHIN, &mut answered).await {
            Some(Ok(Submitted::Decided { outcome, position, .. })) => said(outcome, position.offset),
            Some(Ok(Submitted::Overloaded(_))) => Said::Overloaded,
            Some(Ok(Submitted::Pending) | Err(_)) => {
                engine.late.set(request, subject, Decision::Lost);
                Said::Pending
            }
            None => {
                engine.late.set(request, subject, Decision::Pending);
                let engine = Arc::clone(engine);
                let sim = self.sim.clone();
                self.sim.spawn(self.process, async move {
                    let decision = match sim.within(GIVE_UP, answered).await {
                        Some(Ok(Submitted::Decided { outcome: Outcome::Refused(refusal), .. })) => {
                            Decision::Refused(refusal)
                        }
                        _ => Decision::Lost,
                    };
                    engine.late.set(request, subject, decision);
                });
                Said::Pending
            }
        }
    }

    fn again(&self, engine: &Engine, hold: HoldNumber, item: u16) -> Said {
        match engine.board.hold(hold) {
            Some(card) if card.item != item => Said::Refused(Refusal::IdempotencyMismatch),
            Some(card) if matches!(card.status, HoldStatus::Waiting | HoldStatus::Offered) => {
                Said::Waiting { hold, offset: None }
            }
            _ => Said::Granted { hold, offset: None },
        }
    }

    /// `GET /v1/requests/{request_id}`
    pub async fn request(self: &Arc<Self>, engine: &Arc<Engine>, request: RequestKey, item: u16) -> Said {
        match find(&engine.board, &engine.late, &*engine.history, request).await {
            Ok(Found::Granted(hold)) => self.again(engine, hold, item),
            Ok(Found::Row(row)) => Said::Granted { hold: row.view.hold, offset: None },
            Ok(Found::Late(_, Decision::Pending)) => Said::Pending,
            Ok(Found::Late(_, Decision::Refused(refusal))) => Said::Refused(refusal),
            Ok(Found::Late(_, Decision::Lost) | Found::Nothing | Found::NoRow) => Said::NotFound,
            Ok(Found::Starting) | Err(_) => Said::Overloaded,
        }
    }

    /// `POST /v1/reservations/{id}/checkout`
    pub async fn checkout(self: &Arc<Self>, engine: &Arc<Engine>, attempt: &Attempt) -> Paid {
        Paying { submit: &**self, payments: &*engine.payments, within: REPLY_WITHIN }.pay(attempt).await
    }
}

#[async_trait]
impl Submit for Gateway {
    async fn submit(&self, entry: Entry, within: Duration) -> Submitted {
        match self.hand_over(entry) {
            Err(reason) => Submitted::Overloaded(reason),
            Ok(answered) => match self.sim.within(within, answered).await {
                Some(Ok(submitted)) => submitted,
                Some(Err(_)) | None => Submitted::Pending,
            },
        }
    }
}

fn said(outcome: Outcome, offset: u64) -> Said {
    let offset = Some(offset);
    match outcome {
        Outcome::Granted { hold, .. } => Said::Granted { hold, offset },
        Outcome::Waiting { hold, .. } => Said::Waiting { hold, offset },
        Outcome::Refused(refusal) => Said::Refused(refusal),
        _ => Said::NotFound,
    }
}

impl Said {
    /// The reservation that it tells of.
    pub fn grant(self, subject: SubjectKey, item: u16) -> Option<Grant> {
        match self {
            Self::Granted { hold, offset } | Self::Waiting { hold, offset } => {
                Some(Grant { hold, subject, item, offset })
            }
            _ => None,
        }
    }
}

fn answer(waiter: Waiter, submitted: Submitted) {
    // Who no longer waits has been told to ask again.
    let _ = waiter.send(submitted);
}
