//! What the war room knows.

use std::collections::VecDeque;

use flashsale_engine::operator::wire::{Change, Frame, Note};
use flashsale_engine::telemetry::catalogue::name;

use super::Options;

/// Points kept for charts: five minutes at four a second; older ones are thinned to every second one.
const POINTS: usize = 1_200;
/// Lines of the timeline kept.
const NOTES: usize = 500;
/// Data older than this is dimmed and proves nothing, ms.
pub const STALE_MS: i64 = 2_000;

/// Everything the screen shows.
#[derive(Debug)]
pub struct Model {
    /// Newest news.
    pub frame: Option<Frame>,
    /// When it came, Unix ms by the local clock.
    pub received: i64,
    /// The local clock, Unix ms.
    pub now: i64,
    /// Why there is no feed just now.
    pub lost: Option<String>,
    /// For the charts, oldest first.
    pub points: VecDeque<Point>,
    /// The timeline, oldest first.
    pub notes: VecDeque<Note>,
    /// What lies over the screen.
    pub overlay: Overlay,
    /// Changes are allowed.
    pub interactive: bool,
    /// Colours are shown.
    pub colour: bool,
    /// Leave by itself when the sale has ended.
    pub leave_at_end: bool,
}

/// One moment of the charts.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Point {
    /// Unix ms, the engine's clock.
    pub at: i64,
    /// Units sold, all items.
    pub sold: f64,
    /// Units held, all items.
    pub held: f64,
    /// Reads a second.
    pub reads: f64,
    /// Reserves a second.
    pub writes: f64,
    /// P95 of reserves, ms.
    pub p95_writes: f64,
    /// Age of the oldest undecided command, ms.
    pub queue_age: f64,
}

/// What lies over the screen.
#[derive(Debug, Clone, PartialEq)]
pub enum Overlay {
    /// Nothing.
    None,
    /// The keys.
    Help,
    /// A change to be confirmed by typing the sale's name.
    Confirm {
        /// The change.
        change: Change,
        /// What it does, for people.
        what: &'static str,
        /// What was typed so far.
        typed: String,
    },
    /// The answer to a change.
    Answer(Result<String, String>),
}

impl Model {
    /// Before any news.
    pub fn new(options: &Options, now: i64) -> Self {
        Self {
            frame: None,
            received: now,
            now,
            lost: None,
            points: VecDeque::new(),
            notes: VecDeque::new(),
            overlay: Overlay::None,
            interactive: options.interactive,
            colour: options.colour,
            leave_at_end: options.leave_at_end,
        }
    }

    /// How old the news is, ms.
    pub fn age(&self) -> i64 {
        (self.now - self.received).max(0)
    }

    /// Whether the news is too old to prove anything.
    pub fn stale(&self) -> bool {
        self.frame.is_none() || self.lost.is_some() || self.age() > STALE_MS
    }

    /// A metric of the newest frame.
    pub fn metric(&self, name: &str) -> Option<f64> {
        self.frame.as_ref()?.metrics.get(name).copied().filter(|value| value.is_finite())
    }

    /// Takes news in.
    pub fn take(&mut self, frame: Frame) {
        self.notes.extend(frame.notes.iter().cloned());
        while self.notes.len() > NOTES {
            self.notes.pop_front();
        }
        self.received = self.now;
        self.lost = None;
        let metric = |name: &str| frame.metrics.get(name).copied().unwrap_or_default();
        let items = &frame.status.items;
        self.points.push_back(Point {
            at: frame.status.now,
            sold: items.iter().map(|item| f64::from(item.sold)).sum(),
            held: items.iter().map(|item| f64::from(item.held)).sum(),
            reads: metric(name::READ_RATE),
            writes: metric(name::WRITE_RATE),
            p95_writes: metric(name::P95_WRITES),
            queue_age: metric(name::QUEUE_AGE),
        });
        if self.points.len() > POINTS {
            self.thin();
        }
        self.frame = Some(frame);
    }

    /// Every second point of the older half goes: the whole sale stays on the chart.
    fn thin(&mut self) {
        let half = self.points.len() / 2;
        let kept = self.points.iter().enumerate().filter(|(place, _)| *place >= half || place % 2 == 0);
        self.points = kept.map(|(_, point)| *point).collect();
    }
}
