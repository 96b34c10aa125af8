//! Brings arrivals, audience and sockets together.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use flashsale_engine::sale::definition::{BotKind, Crowd};
use flashsale_engine::token::Mint;
use hdrhistogram::Histogram;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::arrivals::Curve;
use super::audience::{Audience, Kind};
use super::clock::{thread_seconds, unix_ms};
use super::later::Later;
use super::result::{Acknowledged, Latency, Outcome};
use super::wire::{Came, QUEUED, Sent, socket};
use crate::exit::Failure;

/// How long before the opening sockets connect: an engine closes those that stay silent for ten seconds.
const EARLY: Duration = Duration::from_secs(2);
/// How often due requests are looked for.
const STEP: Duration = Duration::from_millis(1);
/// How long after the last arrival people may still pay, cancel and poll.
const AFTERMATH: Duration = Duration::from_secs(90);
/// How often a lost or undecided reserve is asked for again.
const AGAIN: u8 = 20;
/// Pause before that.
const PAUSE: Duration = Duration::from_millis(500);
/// Answers that may wait to be looked at.
const ANSWERS: usize = 65_536;

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

/// What a request is for.
#[derive(Debug, Clone)]
struct About {
    step: Step,
    /// Since the storm's beginning.
    intended: Duration,
    who: usize,
    key: u64,
    tries: u8,
    reservation: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Look,
    Reserve,
    Poll,
    Pay { method: &'static str },
    Cancel,
}

impl Step {
    const fn name(self) -> &'static str {
        match self {
            Self::Look => "look",
            Self::Reserve => "reserve",
            Self::Poll => "poll",
            Self::Pay { .. } => "checkout",
            Self::Cancel => "cancel",
        }
    }
}

/// Drives the sale until everybody is done. Runs on the calling thread.
pub fn drive(plan: Plan) -> Result<Outcome, Failure> {
    let audience = Audience::new(&plan.crowd, &plan.mint)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let before = thread_seconds();
    let mut outcome = runtime.block_on(async { Storm::new(plan, audience).run().await });
    let answered = outcome.answered.max(1);
    #[allow(clippy::cast_precision_loss)]
    let cpu = (thread_seconds() - before) * 1e6 / answered as f64;
    outcome.cpu_us = cpu;
    Ok(outcome)
}

struct Storm {
    plan: Plan,
    audience: Audience,
    sockets: Vec<mpsc::Sender<Sent<About>>>,
    answers: mpsc::Receiver<Came<About>>,
    begun: Instant,
    later: BinaryHeap<Later<About>>,
    count: u64,
    next_socket: usize,
    flying: u64,
    latencies: BTreeMap<&'static str, Histogram<u64>>,
    won: BTreeMap<String, (usize, String)>,
    outcome: Outcome,
}

impl Storm {
    fn new(plan: Plan, audience: Audience) -> Self {
        let (told, answers) = mpsc::channel(ANSWERS);
        let wait = Duration::from_millis((plan.opens_at - unix_ms()).max(0).unsigned_abs());
        let connect_in = wait.saturating_sub(EARLY);
        let sockets = (0..plan.crowd.connections)
            .map(|_| {
                let (sender, requests) = mpsc::channel(QUEUED);
                tokio::spawn(socket(plan.address, connect_in, requests, told.clone()));
                sender
            })
            .collect();
        Self {
            plan,
            audience,
            sockets,
            answers,
            begun: Instant::now(),
            later: BinaryHeap::new(),
            count: 0,
            next_socket: 0,
            flying: 0,
            latencies: BTreeMap::new(),
            won: BTreeMap::new(),
            outcome: Outcome::default(),
        }
    }

    async fn run(mut self) -> Outcome {
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
        loop {
            tokio::select! {
                biased;
                _ = steps.tick() => {}
                Some(came) = self.answers.recv() => {
                    self.came(came);
                    while let Ok(came) = self.answers.try_recv() {
                        self.came(came);
                    }
                    continue;
                }
                () = self.plan.stop.cancelled() => break,
            }
            let now = self.begun.elapsed();
            let (look, reserve) = (looks.due(now), reserves.due(now));
            self.arrive_all(Step::Look, look - looked, last, now);
            self.arrive_all(Step::Reserve, reserve - reserved, last, now);
            (looked, reserved, last) = (look, reserve, now);
            self.follow_up(now);
            let over = now > end && self.flying == 0 && self.later.is_empty();
            if over || now > end + AFTERMATH {
                break;
            }
        }
        self.finish(end.saturating_sub(late))
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
        let about = About { step, intended, who, key: self.count, tries: 0, reservation: String::new() };
        if step == Step::Reserve {
            let kind = self.audience.all[who].kind;
            *self.outcome.tried.entry(kind.label().to_owned()).or_default() += 1;
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

    fn send(&mut self, about: About) -> bool {
        let bytes = self.bytes(&about);
        let count = self.sockets.len();
        let mut sent = Sent { bytes, about };
        // A socket that is full is passed by; all full is a crowd that cannot offer its rate.
        for _ in 0..count {
            self.next_socket = (self.next_socket + 1) % count;
            match self.sockets[self.next_socket].try_send(sent) {
                Ok(()) => {
                    self.flying += 1;
                    return true;
                }
                Err(mpsc::error::TrySendError::Full(back) | mpsc::error::TrySendError::Closed(back)) => sent = back,
            }
        }
        false
    }

    fn bytes(&self, about: &About) -> Vec<u8> {
        let sku = &self.plan.skus[about.key as usize % self.plan.skus.len().max(1)];
        let token = self.audience.all.get(about.who).map_or("", |someone| someone.token.as_str());
        let (method, path, body) = match about.step {
            Step::Look => {
                return format!("GET /v1/skus/{sku}/availability HTTP/1.1\r\nhost: shop\r\n\r\n").into_bytes();
            }
            Step::Reserve => ("POST", format!("/v1/skus/{sku}/reserve"), String::new()),
            Step::Poll => ("GET", format!("/v1/requests/{}", about.reservation), String::new()),
            Step::Pay { method } => (
                "POST",
                format!("/v1/reservations/{}/checkout", about.reservation),
                format!("{{\"payment_method\":\"{method}\"}}"),
            ),
            Step::Cancel => ("DELETE", format!("/v1/reservations/{}", about.reservation), String::new()),
        };
        let method_key = if let Step::Pay { method } = about.step { method } else { "" };
        format!(
            "{method} {path} HTTP/1.1\r\nhost: shop\r\nauthorization: Bearer {token}\r\nidempotency-key: c{}{method_key}\r\n\
             content-length: {}\r\n\r\n{body}",
            about.key,
            body.len()
        )
        .into_bytes()
    }

    fn came(&mut self, came: Came<About>) {
        self.flying -= 1;
        match came {
            Came::Broken(about) => {
                self.outcome.broken += 1;
                self.again(about);
            }
            Came::Answer(about, status, body) => {
                self.outcome.answered += 1;
                let took = self.begun.elapsed().saturating_sub(about.intended);
                let name = about.step.name();
                *self.outcome.answers.entry(format!("{name} {status}")).or_default() += 1;
                let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
                if let Some(histogram) = self.latency(name) {
                    histogram.saturating_record(micros);
                }
                self.answered(about, status, &body);
            }
        }
    }

    fn latency(&mut self, name: &'static str) -> Option<&mut Histogram<u64>> {
        if !self.latencies.contains_key(name) {
            self.latencies.insert(name, Histogram::new_with_max(600_000_000, 3).ok()?);
        }
        self.latencies.get_mut(name)
    }

    fn answered(&mut self, about: About, status: u16, body: &[u8]) {
        match (about.step, status) {
            (Step::Reserve | Step::Poll, 201) => self.holds(about, body),
            (Step::Reserve | Step::Poll, 202) => {
                let request = text(body, "request_id");
                self.again(About { step: Step::Poll, reservation: request, ..about });
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
            (Step::Cancel, 200) => self.told(&about.reservation, "CANCELLED"),
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
        self.at(at, About { step: next, tries: 0, reservation, ..about });
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
        for (name, histogram) in &self.latencies {
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
