//! Shoppers: too many for the stock, impatient, forgetful, and fond of sending things twice.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use flashsale_core::{Command, HoldNumber, Refusal, RequestKey, SubjectKey};
use flashsale_engine::gateway::flag::refusal;
use flashsale_engine::gateway::paying::{Attempt, Paid};
use flashsale_engine::id::subject;
use flashsale_engine::record::Entry;
use flashsale_engine::submit::Submit;
use tokio::sync::oneshot;

use crate::engine::Engine;
use crate::faults::Fault;
use crate::gateway::{Asked, Gateway, Said};
use crate::sim::WORLD;
use crate::told::Grant;
use crate::world::World;

/// How long a shopper waits for an answer.
const PATIENCE: Duration = Duration::from_millis(900);
/// How long for one to a checkout, which asks a provider.
const PATIENCE_TO_PAY: Duration = Duration::from_millis(2_500);
/// How often a request is sent before its shopper turns away; and once faults have stopped.
const TRIES: u32 = 4;
const LAST_TRIES: u32 = 120;

/// Counts who is still at it.
#[derive(Default)]
pub struct Busy(AtomicU32);

impl Busy {
    /// Starts something that ends.
    pub fn start(self: &Arc<Self>, world: &Arc<World>, job: impl Future<Output = ()> + Send + 'static) {
        self.0.fetch_add(1, Relaxed);
        let busy = Arc::clone(self);
        world.sim.spawn(WORLD, async move {
            job.await;
            busy.0.fetch_sub(1, Relaxed);
        });
    }

    /// How many have not ended.
    pub fn left(&self) -> u32 {
        self.0.load(Relaxed)
    }
}

/// Sends shoppers in.
pub fn begin(world: &Arc<World>, busy: &Arc<Busy>) {
    let (shoppers, hurry) = world.sim.chance(|chance| (chance.between(6, 18), chance.between(5, 100)));
    for number in 0..shoppers {
        let name = format!("shopper-{number}");
        let shopper = Shopper {
            world: Arc::clone(world),
            busy: Arc::clone(busy),
            subject: subject(&name),
            name,
            asked: Vec::new(),
            holds: Vec::new(),
            sent: 0,
        };
        busy.start(world, shopper.shop(hurry));
    }
}

#[derive(Clone)]
struct Shopper {
    world: Arc<World>,
    busy: Arc<Busy>,
    name: String,
    subject: SubjectKey,
    asked: Vec<Asked>,
    holds: Vec<(HoldNumber, u16)>,
    sent: u64,
}

impl Shopper {
    async fn shop(mut self, hurry: u64) {
        let sim = self.world.sim.clone();
        while !self.world.faults.is_calm() {
            sim.sleep(sim.micros(1_000, hurry * 2_000)).await;
            match sim.chance(|chance| chance.below(100)) {
                0..40 => self.ask_anew().await,
                40..55 => self.ask_again().await,
                55..75 => self.pay(false).await,
                75..82 => self.pay(true).await,
                82..90 => self.give_back().await,
                90..96 => self.claim().await,
                _ => self.ask_otherwise().await,
            }
        }
        for asked in std::mem::take(&mut self.asked) {
            self.settle(asked).await;
        }
    }

    async fn ask_anew(&mut self) {
        self.sent += 1;
        let key = format!("key-{}", self.sent);
        let (item, wait, chosen) = self.world.sim.chance(|chance| {
            (chance.below(self.world.sale.rules.items.len() as u64), chance.percent(30), chance.percent(90))
        });
        let request = self.world.sale.ids.request(&self.name, "reserve", &key);
        let item = u16::try_from(item).unwrap_or(0);
        let asked = Asked { request, subject: self.subject, item, wait, chosen };
        if chosen {
            self.asked.push(asked);
        }
        let tries = if chosen { TRIES } else { 1 };
        self.reserve(asked, tries).await;
    }

    async fn ask_again(&mut self) {
        if let Some(asked) = self.world.sim.chance(|chance| chance.pick(&self.asked)) {
            self.reserve(asked, TRIES).await;
        }
    }

    /// The same id for another item.
    async fn ask_otherwise(&mut self) {
        if let Some(asked) = self.world.sim.chance(|chance| chance.pick(&self.asked)) {
            let items = u16::try_from(self.world.sale.rules.items.len()).unwrap_or(1);
            let Some(engine) = self.world.some_engine() else { return };
            let other = Asked { item: (asked.item + 1) % items, ..asked };
            if other.item != asked.item && self.world.told.granted(asked.request).is_some() {
                let said = self.send(&engine, other).await;
                if matches!(said, Some(Said::Granted { .. } | Said::Waiting { .. })) {
                    self.world.sim.fail(|| format!("I3: {other:?} was granted under an id used for another item"));
                }
            }
        }
    }

    /// Sends a reserve until there is an answer, through whichever gateway.
    async fn reserve(&mut self, asked: Asked, tries: u32) -> bool {
        let sim = self.world.sim.clone();
        self.world.told.asks(asked.request, asked.subject, asked.item);
        for attempt in 0..tries {
            if let Some(engine) = self.world.some_engine() {
                let before = self.world.told.granted(asked.request);
                if attempt > 0 && refusal(&engine.board, asked.item, asked.wait).is_some() {
                    self.world.faults.count(Fault::RetryUnderFlag);
                }
                let mut said = self.send(&engine, asked).await;
                if said == Some(Said::Pending) && asked.chosen {
                    said = self.look_up(asked).await;
                }
                if let Some(said) = said
                    && self.hear(asked, before, said)
                {
                    return true;
                }
            }
            sim.sleep(sim.millis(5, 250)).await;
        }
        false
    }

    /// Takes an answer in; false: it is none yet.
    fn hear(&mut self, asked: Asked, before: Option<Grant>, said: Said) -> bool {
        let Asked { request, subject, item, .. } = asked;
        self.world.sim.note(|| format!("{} hears of {:02x?}: {said:?}", self.name, &request.0[..4]));
        if let Some(grant) = said.grant(subject, item) {
            self.world.told.grant(request, grant);
            if !self.holds.contains(&(grant.hold, item)) {
                self.holds.push((grant.hold, item));
            }
            return true;
        }
        match said {
            Said::Refused(refusal) => {
                self.world.told.refuse(request, before, refusal);
                true
            }
            Said::NotFound => {
                self.world.told.refuse(request, before, Refusal::NotFound);
                false
            }
            _ => false,
        }
    }

    async fn send(&self, engine: &Arc<Engine>, asked: Asked) -> Option<Said> {
        let gateway = self.gateway(engine)?;
        let (serving, name) = (Arc::clone(engine), self.name.clone());
        self.call(engine, PATIENCE, async move { gateway.reserve(&serving, asked, &name).await }).await
    }

    /// Asks what became of a request, a few times.
    async fn look_up(&self, asked: Asked) -> Option<Said> {
        let sim = &self.world.sim;
        for _ in 0..3 {
            sim.sleep(sim.millis(20, 300)).await;
            let Some(engine) = self.world.some_engine() else { continue };
            let Some(gateway) = self.gateway(&engine) else { continue };
            let serving = Arc::clone(&engine);
            let asking = async move { gateway.request(&serving, asked.request, asked.item).await };
            match self.call(&engine, PATIENCE, asking).await {
                None | Some(Said::Pending | Said::Overloaded) => {}
                said => return said,
            }
        }
        None
    }

    /// Pays, sometimes twice at once: with the same key, or with another.
    async fn pay(&mut self, twice: bool) {
        let sim = self.world.sim.clone();
        let Some((hold, item)) = sim.chance(|chance| chance.pick(&self.holds)) else { return };
        let key = sim.chance(|chance| chance.below(2));
        if twice {
            let other = sim.chance(|chance| chance.below(3));
            let shopper = self.clone();
            let job = async move { shopper.check_out(hold, item, other).await };
            self.busy.start(&self.world, job);
        }
        self.check_out(hold, item, key).await;
    }

    async fn check_out(&self, hold: HoldNumber, item: u16, key: u64) {
        let sim = &self.world.sim;
        let Some(amount) = self.world.sale.prices.get(usize::from(item)).copied() else { return };
        let request: RequestKey = self.world.sale.ids.request(&self.name, "checkout", &format!("pay-{key}"));
        let payment = self.world.sale.ids.payment(hold, request);
        let (name, method) = (self.name.as_str().into(), "pm_ok".to_owned());
        let attempt = Attempt { hold, subject: self.subject, name, payment, amount, method };
        for _ in 0..2 {
            let Some(engine) = self.world.some_engine() else { return };
            let Some(gateway) = self.gateway(&engine) else { return };
            let (serving, attempt) = (Arc::clone(&engine), attempt.clone());
            let paying = async move { gateway.checkout(&serving, &attempt).await };
            let paid = self.call(&engine, PATIENCE_TO_PAY, paying).await;
            sim.note(|| format!("{} paid for hold {hold}: {paid:?}", self.name));
            match paid {
                Some(Paid::Confirmed(sold)) => return self.world.told.confirm(sold, payment),
                None | Some(Paid::Overloaded(_)) => sim.sleep(sim.millis(5, 300)).await,
                Some(_) => return,
            }
        }
    }

    async fn give_back(&mut self) {
        let Some((hold, _)) = self.world.sim.chance(|chance| chance.pick(&self.holds)) else { return };
        self.command(Command::Cancel { hold, subject: self.subject }).await;
    }

    async fn claim(&mut self) {
        let Some((hold, _)) = self.world.sim.chance(|chance| chance.pick(&self.holds)) else { return };
        self.command(Command::Claim { hold, subject: self.subject }).await;
    }

    async fn command(&self, command: Command) {
        let Some(engine) = self.world.some_engine() else { return };
        let Some(gateway) = self.gateway(&engine) else { return };
        let entry = Entry { command, words: self.name.as_str().into() };
        self.call(&engine, PATIENCE, async move { gateway.submit(entry, PATIENCE).await }).await;
    }

    /// Once faults have stopped, every request gets its decision.
    async fn settle(&mut self, asked: Asked) {
        if !self.reserve(asked, LAST_TRIES).await && !self.over() {
            let name = &self.name;
            self.world.sim.fail(|| format!("liveness: {name} gets no decision for {asked:?}"));
        }
    }

    fn over(&self) -> bool {
        self.world.damaged.load(Relaxed)
    }

    fn gateway(&self, engine: &Engine) -> Option<Arc<Gateway>> {
        let place = self.world.sim.chance(|chance| chance.below(engine.shoppers.len() as u64));
        engine.shoppers.get(usize::try_from(place).unwrap_or(0)).cloned()
    }

    /// A call to a gateway's process, and its answer, if that comes in time.
    async fn call<T: Send + 'static>(
        &self,
        engine: &Engine,
        patience: Duration,
        job: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let World { sim, faults, .. } = &*self.world;
        if faults.strikes(Fault::RequestLost) {
            sim.sleep(patience).await;
            return None;
        }
        let (lost, late) = (faults.strikes(Fault::ReplyLost), faults.strikes(Fault::ReplyLate));
        let (tell, told) = oneshot::channel();
        let serving = sim.clone();
        sim.spawn(engine.process, async move {
            serving.sleep(serving.micros(100, 2_000)).await;
            let answer = job.await;
            if late {
                serving.sleep(serving.millis(1, 1_200)).await;
            }
            if !lost {
                // Who no longer waits hears nothing.
                let _ = tell.send(answer);
            }
        });
        sim.within(patience, told).await?.ok()
    }
}
