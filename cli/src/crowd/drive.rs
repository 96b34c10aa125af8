//! Brings arrivals, audience and sockets together.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use flashsale_engine::sale::definition::{BotKind, Crowd};
use flashsale_engine::token::Mint;
use hdrhistogram::Histogram;
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;

use super::arrivals::Curve;
use super::audience::{Audience, Kind};
use super::clock::{thread_seconds, unix_ms};
use super::later::Later;
use super::request::{About, Step, write};
use super::result::{Acknowledged, Latency, Outcome};
use super::wire::{Answers, Came, Socket};
use crate::exit::{Exit, Failure};

/// How long before the opening sockets connect: an engine closes those that stay silent for ten seconds.
const EARLY: Duration = Duration::from_secs(2);
/// How often due requests are sent and answers looked at.
const STEP: Duration = Duration::from_millis(1);
/// How long after the last arrival people may still pay, cancel and poll.
const AFTERMATH: Duration = Duration::from_secs(90);
/// How often a lost or undecided reserve is asked for again.
const AGAIN: u8 = 20;
/// Pause before that.
const PAUSE: Duration = Duration::from_millis(500);
/// The longest latency that is told apart, microseconds.
const LONGEST_US: u64 = 600_000_000;

/// What a crowd needs to know.
pub struct Plan {
    /// The audience.
    pub crowd: Crowd,
    /// Items.
    pub skus: Vec<String>,
    /// Where shoppers call.
    pub address: SocketAddr,
    /// Tokens.
    pub mint: Mint,
    /// When the sale opens, Unix ms.
    pub opens_at: i64,
    /// Ends it early.
    pub stop: CancellationToken,
}

/// Drives the sale until everybody is done. Runs on the calling thread.
pub fn drive(plan: Plan) -> Result<Outcome, Failure> {
    let audience = Audience::new(&plan.crowd, &plan.mint)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let before = thread_seconds();
    let storm = async { Storm::new(plan, audience)?.run().await };
    let mut outcome = LocalSet::new().block_on(&runtime, storm)?;
    let answered = outcome.answered.max(1);
    #[allow(clippy::cast_precision_loss)]
    let cpu = (thread_seconds() - before) * 1e6 / answered as f64;
    outcome.cpu_us = cpu;
    Ok(outcome)
}

struct Storm {
    plan: Plan,
    audience: Audience,
    sockets: Vec<Rc<Socket<About>>>,
    /// Sockets with something to send, by place.
    unsent: Vec<usize>,
    answers: Answers<About>,
    begun: Instant,
    later: BinaryHeap<Later<About>>,
    count: u64,
    next_socket: usize,
    flying: u64,
    /// By [`Step::place`], microseconds.
    latencies: [Histogram<u64>; Step::NAMES.len()],
    /// Answers by [`Step::place`] and status.
    counts: BTreeMap<(usize, u16), u64>,
    won: BTreeMap<String, (usize, String)>,
    tried: BTreeMap<&'static str, u64>,
    outcome: Outcome,
}

impl Storm {
    fn new(plan: Plan, audience: Audience) -> Result<Self, Failure> {
        let wait = Duration::from_millis((plan.opens_at - unix_ms()).max(0).unsigned_abs());
        let (connect_in, answers) = (wait.saturating_sub(EARLY), Answers::default());
        let open = |_| Socket::open(plan.address, connect_in, Rc::clone(&answers));
        let empty =
            || Histogram::new_with_max(LONGEST_US, 3).map_err(|error| Failure::new(Exit::Failed, error.to_string()));
        Ok(Self {
            sockets: (0..plan.crowd.connections).map(open).collect(),
            plan,
            audience,
            unsent: Vec::new(),
            answers,
            begun: Instant::now(),
            later: BinaryHeap::new(),
            count: 0,
            next_socket: 0,
            flying: 0,
            latencies: [empty()?, empty()?, empty()?, empty()?, empty()?],
            counts: BTreeMap::new(),
            won: BTreeMap::new(),
            tried: BTreeMap::new(),
            outcome: Outcome::default(),
        })
    }

    async fn run(mut self) -> Result<Outcome, Failure> {
        self.wait_for_opening().await;
        let looks = Curve::new(&self.plan.crowd.arrivals, |point| point.looks);
        let reserves = Curve::new(&self.plan.crowd.arrivals, |point| point.reserves);
        let end = looks.end();
        // A crowd that comes late to a running sale does not catch up.
        let late = self.begun.elapsed();
        let (mut looked, mut reserved) = (looks.due(late), reserves.due(late));
        let mut last = late;
        let mut steps = tokio::time::interval(STEP);
        steps.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut came = Vec::new();
        loop {
            tokio::select! {
                biased;
                _ = steps.tick() => {}
                () = self.plan.stop.cancelled() => break,
            }
            let now = self.begun.elapsed();
            let (look, reserve) = (looks.due(now), reserves.due(now));
            self.arrive_all(Step::Look, look - looked, last, now);
            self.arrive_all(Step::Reserve, reserve - reserved, last, now);
            (looked, reserved, last) = (look, reserve, now);
            std::mem::swap(&mut came, &mut *self.answers.borrow_mut());
            for answer in came.drain(..) {
                self.came(answer);
            }
            self.follow_up(now);
            self.flush();
            let over = now > end && self.flying == 0 && self.later.is_empty();
            if over || now > end + AFTERMATH {
                break;
            }
        }
        Ok(self.finish(end.saturating_sub(late)))
    }

    async fn wait_for_opening(&mut self) {
        let wait = self.plan.opens_at - unix_ms();
        if wait > 0 {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(wait.unsigned_abs())) => {}
                () = self.plan.stop.cancelled() => {}
            }
            self.begun = Instant::now();
        } else {
            let since = Duration::from_millis(wait.unsigned_abs());
            self.begun = Instant::now().checked_sub(since).unwrap_or_else(Instant::now);
        }
    }

    /// Requests that the curve asked for between two steps, each with its own moment: a stall here is no excuse.
    fn arrive_all(&mut self, step: Step, count: u64, last: Duration, now: Duration) {
        for place in 0..u32::try_from(count).unwrap_or(u32::MAX) {
            let intended = last + (now - last) * place / u32::try_from(count).unwrap_or(u32::MAX);
            self.arrive(step, intended, now);
        }
    }

    fn arrive(&mut self, step: Step, intended: Duration, now: Duration) {
        self.outcome.asked += 1;
        let who = if step == Step::Look { 0 } else { self.audience.next() };
        self.count += 1;
        let about = About { step, intended, who, key: self.count, tries: 0, named: String::new() };
        if step == Step::Reserve {
            let kind = self.audience.all[who].kind;
            *self.tried.entry(kind.label()).or_default() += 1;
            if kind == Kind::Bot(BotKind::Retrier) {
                // Its replies are "lost": the same request comes twice.
                self.send(About { tries: AGAIN, ..about.clone() });
            }
        }
        let late = now.saturating_sub(intended).as_millis() > u128::from(Outcome::LATE_MS);
        if self.send(about) && !late {
            self.outcome.offered += 1;
        }
    }

    fn follow_up(&mut self, now: Duration) {
        while self.later.peek().is_some_and(|later| later.0.0.0 <= now) {
            if let Some(Later(_, about)) = self.later.pop() {
                self.send(About { intended: now, ..about });
            }
        }
    }

    /// A socket that is full is passed by; all full is a crowd that cannot offer its rate.
    fn send(&mut self, about: About) -> bool {
        let mut about = Some(about);
        for _ in 0..self.sockets.len() {
            self.next_socket = (self.next_socket + 1) % self.sockets.len();
            let (skus, audience) = (&self.plan.skus, &self.audience);
            if self.sockets[self.next_socket].put(&mut about, |about, out| write(about, skus, audience, out)) {
                self.flying += 1;
                self.unsent.push(self.next_socket);
                return true;
            }
        }
        false
    }

    /// What a step wrote leaves; a socket that does not take all of it is tried again with the next step.
    fn flush(&mut self) {
        let sockets = &self.sockets;
        self.unsent.retain(|place| !sockets[*place].flush());
    }

    fn came(&mut self, came: Came<About>) {
        self.flying -= 1;
        match came {
            Came::Broken(about) => {
                self.outcome.broken += 1;
                self.again(about);
            }
            Came::Answer(about, status, body, at) => {
                self.outcome.answered += 1;
                let took = at.duration_since(self.begun).saturating_sub(about.intended);
                let place = about.step.place();
                *self.counts.entry((place, status)).or_default() += 1;
                self.latencies[place].saturating_record(u64::try_from(took.as_micros()).unwrap_or(LONGEST_US));
                self.answered(about, status, &body);
            }
        }
    }

    fn answered(&mut self, about: About, status: u16, body: &[u8]) {
        match (about.step, status) {
            (Step::Reserve | Step::Poll, 201) => self.holds(about, body),
            (Step::Reserve | Step::Poll, 202) => {
                let request = text(body, "request_id");
                self.again(About { step: Step::Poll, named: request, ..about });
            }
            (Step::Pay { .. }, 200) => {
                // A late payment buys a fresh unit: the order is another reservation than was paid for.
                let bought = text(body, "reservation_id");
                self.won.entry(bought.clone()).or_insert_with(|| (about.who, String::new()));
                self.told(&bought, "CONFIRMED");
            }
            (Step::Pay { .. }, 402) => {
                let now = self.begun.elapsed();
                self.at(now + PAUSE, About { step: Step::Pay { method: "pm_ok" }, ..about });
            }
            (Step::Cancel, 200) => self.told(&about.named, "CANCELLED"),
            // Shed: a client that is told to try again does so, a few times; a shopper who reserves looks elsewhere.
            (Step::Poll | Step::Pay { .. } | Step::Cancel, 500..) if about.tries < 3 => self.again(about),
            _ => {}
        }
    }

    /// Somebody holds a unit: decides what to do with it.
    fn holds(&mut self, about: About, body: &[u8]) {
        let reservation = text(body, "reservation_id");
        if reservation.is_empty() || self.won.contains_key(&reservation) {
            return;
        }
        self.won.insert(reservation.clone(), (about.who, "RESERVED".to_owned()));
        let people = self.plan.crowd.people.clone();
        let (toss, wait) = (self.audience.toss(), self.audience.hesitation(people.hesitate));
        let declined = self.audience.toss() < people.declined;
        let at = self.begun.elapsed() + wait;
        let next = match self.audience.all[about.who].kind {
            Kind::Bot(BotKind::Hoarder) => return,
            _ if toss < people.pay => Step::Pay { method: if declined { "pm_declined" } else { "pm_ok" } },
            _ if toss < people.pay + people.cancel => Step::Cancel,
            _ => return,
        };
        self.at(at, About { step: next, tries: 0, named: reservation, ..about });
    }

    fn told(&mut self, reservation: &str, status: &str) {
        if let Some(known) = self.won.get_mut(reservation) {
            status.clone_into(&mut known.1);
        }
    }

    /// Asks again under the same key, a bounded number of times. Looks are not worth it.
    fn again(&mut self, about: About) {
        if about.step != Step::Look && about.tries < AGAIN {
            let at = self.begun.elapsed() + PAUSE;
            self.at(at, About { tries: about.tries + 1, ..about });
        }
    }

    fn at(&mut self, at: Duration, about: About) {
        self.count += 1;
        self.later.push(Later(Reverse((at, self.count)), about));
    }

    fn finish(mut self, lasted: Duration) -> Outcome {
        self.outcome.seconds = lasted.as_secs_f64();
        #[allow(clippy::cast_precision_loss)]
        let ms = |micros: u64| micros as f64 / 1_000.0;
        for (name, histogram) in Step::NAMES.iter().zip(&self.latencies).filter(|(_, histogram)| !histogram.is_empty())
        {
            let value = |percentile| ms(histogram.value_at_percentile(percentile));
            let latency = Latency {
                count: histogram.len(),
                p50: value(50.0),
                p95: value(95.0),
                p99: value(99.0),
                max: ms(histogram.max()),
            };
            self.outcome.latency.insert((*name).to_owned(), latency);
        }
        let named =
            |((place, status), count): (&(usize, u16), &u64)| (format!("{} {status}", Step::NAMES[*place]), *count);
        self.outcome.answers = self.counts.iter().map(named).collect();
        self.outcome.tried = self.tried.iter().map(|(label, count)| ((*label).to_owned(), *count)).collect();
        for (reservation, (who, status)) in std::mem::take(&mut self.won) {
            let label = self.audience.all[who].kind.label().to_owned();
            *self.outcome.won.entry(label.clone()).or_default() += 1;
            self.outcome.acknowledged.push(Acknowledged { reservation, label, status });
        }
        self.outcome
    }
}

fn text(body: &[u8], key: &str) -> String {
    let value: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    value[key].as_str().unwrap_or_default().to_owned()
}
