//! Four times a second: counters and histograms of every part become one frame.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use flashsale_core::Refusal;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use super::Timeline;
use super::catalogue::name;
use super::mirrors::Mirrors;
use super::window::{Percentiles, Rate};
use crate::allocator::gauges::{Gauges, Stage};
use crate::gateway::gauges::GatewayGauges;
use crate::operator::status::StatusSource;
use crate::operator::wire::Frame;
use crate::ports::Clock;

/// Between two frames.
pub const FRAME: Duration = Duration::from_millis(250);
/// Frames in a second.
pub const FRAMES_A_SECOND: u64 = 4;

/// Everything frames are made from.
pub struct Collector {
    /// Status.
    pub status: Arc<StatusSource>,
    /// The writer's.
    pub writer: Arc<Gauges>,
    /// Of every gateway thread of this process.
    pub gateways: Vec<Arc<GatewayGauges>>,
    /// Of the gateways that are processes of their own.
    pub mirrors: Arc<Mirrors>,
    /// Of every batcher: append times.
    pub produce: Vec<Arc<Stage>>,
    /// Notes.
    pub timeline: Arc<dyn Timeline>,
    /// Clock.
    pub clock: Arc<dyn Clock>,
}

/// Windows between two frames.
#[derive(Default)]
struct Windows {
    rates: BTreeMap<&'static str, Rate>,
    percentiles: BTreeMap<&'static str, Percentiles>,
}

impl Collector {
    /// Sends a frame four times a second until stopped.
    pub async fn run(self, frames: broadcast::Sender<Arc<Frame>>, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(FRAME);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut windows = Windows::default();
        let mut number = 0;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = stop.cancelled() => return,
            }
            number += 1;
            let frame = self.frame(number, &mut windows);
            // Nobody watching is no trouble.
            let _ = frames.send(Arc::new(frame));
        }
    }

    fn frame(&self, number: u64, windows: &mut Windows) -> Frame {
        let mut metrics = BTreeMap::new();
        let turn = number.is_multiple_of(FRAMES_A_SECOND);
        self.latencies(windows, turn, &mut metrics);
        self.rates(windows, &mut metrics);
        self.decisions(&mut metrics);
        let status = self.status.status();
        let oversold: u32 = status.items.iter().map(|item| (item.held + item.sold).saturating_sub(item.stock)).sum();
        metrics.insert(name::OVERSELL_COUNT.to_owned(), f64::from(oversold));
        Frame { number, status, metrics, notes: self.timeline.take() }
    }

    fn latencies(&self, windows: &mut Windows, turn: bool, metrics: &mut BTreeMap<String, f64>) {
        let mut put = |key: &'static str, stages: &mut dyn Iterator<Item = &Stage>, shown: &[(&str, f64, f64)]| {
            let window = windows.percentiles.entry(key).or_default();
            for stage in stages {
                if let Some(recorded) = stage.take() {
                    window.add(&recorded);
                }
            }
            if turn {
                window.turn();
            }
            for (metric, percentile, scale) in shown {
                if let Some(value) = window.value(*percentile) {
                    metrics.insert((*metric).to_owned(), value * scale);
                }
                if let Some(value) = window.whole(*percentile) {
                    metrics.insert(whole(metric), value * scale);
                }
            }
        };
        const MS: f64 = 0.001;
        let all = self.gateways();
        let gateways = || all.iter();
        put(
            "reads",
            &mut gateways().map(|one| &one.reads),
            &[(name::P50_READS, 50.0, MS), (name::P95_READS, 95.0, MS), (name::P99_READS, 99.0, MS)],
        );
        put(
            "writes",
            &mut gateways().map(|one| &one.writes),
            &[(name::P50_WRITES, 50.0, MS), (name::P95_WRITES, 95.0, MS), (name::P99_WRITES, 99.0, MS)],
        );
        put(
            "checkouts",
            &mut gateways().map(|one| &one.checkouts),
            &[(name::P50_CHECKOUT, 50.0, MS), (name::P95_CHECKOUT, 95.0, MS), (name::P99_CHECKOUT, 99.0, MS)],
        );
        let writer = &self.writer;
        put("produce", &mut self.produce.iter().map(AsRef::as_ref), &[(name::PRODUCE_TIME, 95.0, MS)]);
        put("queue", &mut std::iter::once(&writer.queue), &[(name::QUEUE_TIME, 95.0, MS)]);
        put("batch_size", &mut std::iter::once(&writer.batch_size), &[(name::BATCH_SIZE, 50.0, 1.0)]);
        put("batch", &mut std::iter::once(&writer.batch), &[(name::BATCH_TIME, 95.0, MS)]);
        put("commit", &mut std::iter::once(&writer.commit), &[(name::COMMIT_TIME, 95.0, MS)]);
        put("reply", &mut std::iter::once(&writer.reply), &[(name::REPLY_TIME, 95.0, MS)]);
        put("cache", &mut std::iter::once(&writer.cache), &[(name::CACHE_TIME, 95.0, MS)]);
    }

    #[allow(clippy::cast_precision_loss)] // counts on a screen
    fn rates(&self, windows: &mut Windows, metrics: &mut BTreeMap<String, f64>) {
        let (seconds, all) = (self.clock.monotonic().as_secs_f64(), self.gateways());
        let mut rate = |key: &'static str, value: f64| windows.rates.entry(key).or_default().at(seconds, value);
        let answers = self.answers();
        let sum = |wanted: &dyn Fn(&str, u16) -> bool| -> f64 {
            answers.iter().filter(|((route, status), _)| wanted(route, *status)).map(|(_, count)| *count as f64).sum()
        };
        let of = |name: &'static str| sum(&|route, _| route == name);
        let reads = rate("reads", of("availability") + of("products"));
        let requests = rate("all", sum(&|route, _| route != "health"));
        let halted: u64 = all.iter().map(|one| one.halted.load(Relaxed)).sum();
        let bad = rate("bad", sum(&|_, status| status >= 500)) - rate("halted", halted as f64);
        let ledger: u64 = all.iter().map(|one| one.ledger_reads.load(Relaxed)).sum();
        let missed = rate("ledger", ledger as f64);
        let read = |route: &str, status: u16| {
            matches!(route, "availability" | "products" | "request" | "reservation") && status < 500
        };
        let looks = sum(&read);
        let looked = rate("looked", looks);
        let edge = sum(&|route, status| read(route, status) && status == 304);
        let cached: u64 = all.iter().map(|one| one.cache_reads.load(Relaxed)).sum();
        let layers = [
            ("edge", edge),
            ("memory", (looks - edge - cached as f64 - ledger as f64).max(0.0)),
            ("redis", cached as f64),
            ("ledger", ledger as f64),
        ];
        let error = if requests > 0.0 { (bad / requests).clamp(0.0, 1.0) } else { 0.0 };
        let taken: f64 = self.status.board_items().map(|item| f64::from(item.held + item.sold)).sum();
        let depletion = rate("taken", taken);
        let busy = rate("busy", self.writer.busy().as_secs_f64());
        let (cpu, memory) = process();
        let connections: u64 = all.iter().map(|one| one.connections.load(Relaxed)).sum();
        let values = [
            (name::REQUEST_RATE, requests),
            (name::READ_RATE, reads),
            (name::WRITE_RATE, rate("writes", of("reserve"))),
            (name::CHECKOUT_RATE, rate("checkouts", of("checkout"))),
            (name::ERROR_RATE, error),
            (name::AVAILABILITY, 1.0 - error),
            (name::DEPLETION_RATE, depletion.max(0.0)),
            (name::QUEUE_DEPTH, self.writer.queue_depth() as f64),
            (name::QUEUE_AGE, self.writer.queue_age_ms(self.clock.now()) as f64),
            (name::UTILISATION, busy.min(1.0)),
            (name::CONNECTIONS, connections as f64),
            (name::MEMORY, memory),
            (name::CPU, rate("cpu", cpu)),
            (name::CACHE_UP, f64::from(u8::from(self.writer.cache_away_since().is_none()))),
        ];
        metrics.extend(values.map(|(name, value)| (name.to_owned(), value)));
        if looked > 0.0 {
            metrics.insert(name::CACHE_HIT_RATE.to_owned(), (1.0 - missed / looked).clamp(0.0, 1.0));
        }
        for (layer, count) in layers {
            metrics.insert(format!("{}{{layer=\"{layer}\"}}", name::READS), count);
        }
        for ((route, status), count) in &answers {
            metrics.insert(format!("{}{{route=\"{route}\",status=\"{status}\"}}", name::ANSWERS), *count as f64);
        }
    }

    #[allow(clippy::cast_precision_loss)]
    fn decisions(&self, metrics: &mut BTreeMap<String, f64>) {
        let Some(sale) = self.writer.sale.load_full() else { return };
        metrics.insert(format!("{}{{outcome=\"granted\"}}", name::DECISIONS), sale.granted as f64);
        for (place, refusal) in Refusal::ALL.iter().enumerate() {
            let count = sale.refused[place] + sale.tallied[place];
            metrics.insert(format!("{}{{outcome=\"{}\"}}", name::DECISIONS, refusal.code()), count as f64);
        }
    }

    fn answers(&self) -> BTreeMap<(&'static str, u16), u64> {
        let mut counts = BTreeMap::new();
        for gateway in self.gateways() {
            for (key, count) in gateway.answers() {
                *counts.entry(key).or_insert(0) += count;
            }
        }
        counts
    }

    /// Of all gateway threads, in this process and in others.
    fn gateways(&self) -> Vec<Arc<GatewayGauges>> {
        let others = self.mirrors.all().into_iter().map(|(_, gauges)| gauges);
        self.gateways.iter().map(Arc::clone).chain(others).collect()
    }
}

/// A metric's name over everything since the engine began.
#[must_use]
pub fn whole(metric: &str) -> String {
    format!("{metric}{{window=\"run\"}}")
}

/// Processor seconds and resident bytes of this process; zeros where the system does not say.
fn process() -> (f64, f64) {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // After the command's name, which may hold anything: utime and stime are the 12th and 13th, rss the 22nd.
    let fields: Vec<f64> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        .map(|field| field.parse().unwrap_or_default())
        .collect();
    let field = |place: usize| fields.get(place).copied().unwrap_or_default();
    #[allow(clippy::cast_precision_loss)]
    let (ticks, page) = (rustix::param::clock_ticks_per_second() as f64, rustix::param::page_size() as f64);
    ((field(10) + field(11)) / ticks.max(1.0), field(20) * page)
}
