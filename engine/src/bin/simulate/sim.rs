//! Time, chance and tasks of one seed. Everything that happens is a step of one task or an act of the world at a moment;
//! which of several comes first is chance's choice. No thread, no real clock, no sleep.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_util::future::{Either, select};

use crate::chance::{Chance, mix};

/// Who a task belongs to: killed and stopped together.
pub type Process = u32;
/// What no crash takes with it: shoppers, operators, whatever disturbs.
pub const WORLD: Process = 0;

/// More steps than any seed needs: beyond it something turns in circles.
const MOST_STEPS: u64 = 3_000_000;

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A handle; clones share the seed's one world.
#[derive(Clone)]
pub struct Sim(Arc<Shared>);

struct Shared {
    inner: Mutex<Inner>,
    ready: Mutex<Vec<u64>>,
}

struct Inner {
    now: u64,
    chance: Chance,
    serial: u64,
    due: BTreeMap<(u64, u64), Event>,
    born: Vec<(Process, Job)>,
    killed: Vec<Process>,
    failure: Option<String>,
    hash: u64,
    steps: u64,
    story: Option<Vec<String>>,
    stopped: BTreeSet<Process>,
    finished: bool,
}

enum Event {
    Wake(Waker),
    Act(Box<dyn FnOnce() + Send>),
}

/// Locks; a lock that a panicking thread held is as good as any here: its seed is lost anyway.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sim {
    /// A world in which nothing has happened. `story`: keep what happens, in words.
    pub fn new(seed: u64, story: bool) -> Self {
        let inner = Inner {
            now: 0,
            chance: Chance::new(mix(seed ^ 0xf1a5_45a1_e000_0000)),
            serial: 0,
            due: BTreeMap::new(),
            born: Vec::new(),
            killed: Vec::new(),
            failure: None,
            hash: seed,
            steps: 0,
            story: story.then(Vec::new),
            stopped: BTreeSet::new(),
            finished: false,
        };
        Self(Arc::new(Shared { inner: Mutex::new(inner), ready: Mutex::default() }))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        lock(&self.0.inner)
    }

    /// Since the beginning.
    pub fn now(&self) -> Duration {
        Duration::from_micros(self.inner().now)
    }

    /// Since the beginning, ms.
    pub fn now_ms(&self) -> i64 {
        i64::try_from(self.inner().now / 1_000).unwrap_or(i64::MAX)
    }

    /// A choice.
    pub fn chance<T>(&self, choose: impl FnOnce(&mut Chance) -> T) -> T {
        choose(&mut self.inner().chance)
    }

    /// A duration from `low` to `high`, microseconds.
    pub fn micros(&self, low: u64, high: u64) -> Duration {
        Duration::from_micros(self.chance(|chance| chance.between(low, high)))
    }

    /// A duration from `low` to `high`, ms, to the microsecond.
    pub fn millis(&self, low: u64, high: u64) -> Duration {
        self.micros(low * 1_000, high * 1_000)
    }

    /// What went wrong; only the first counts.
    pub fn fail(&self, what: impl FnOnce() -> String) {
        let mut inner = self.inner();
        if inner.failure.is_none() {
            let text = what();
            let at = inner.now;
            if let Some(story) = &mut inner.story {
                story.push(format!("{} VIOLATED {text}", moment(at)));
            }
            inner.failure = Some(text);
        }
    }

    /// The seed ends here, in good order.
    pub fn finish(&self) {
        self.inner().finished = true;
    }

    /// Something that two runs of a seed must share.
    pub fn mark(&self, word: u64) {
        let mut inner = self.inner();
        inner.hash = mix(inner.hash ^ word);
    }

    /// A line of the story, if it is told.
    pub fn note(&self, line: impl FnOnce() -> String) {
        let mut inner = self.inner();
        let at = inner.now;
        if let Some(story) = &mut inner.story {
            story.push(format!("{} {}", moment(at), line()));
        }
    }

    /// Waits.
    pub fn sleep(&self, time: Duration) -> Sleep {
        let until = self.inner().now.saturating_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
        Sleep { sim: self.clone(), until, waits: false }
    }

    /// Waits for `future`, so long at most.
    pub async fn within<T>(&self, time: Duration, future: impl Future<Output = T>) -> Option<T> {
        match select(pin!(future), self.sleep(time)).await {
            Either::Left((value, _)) => Some(value),
            Either::Right(_) => None,
        }
    }

    /// Something that happens then, whoever lives.
    pub fn after(&self, time: Duration, act: impl FnOnce() + Send + 'static) {
        self.inner().schedule(time, Event::Act(Box::new(act)));
    }

    /// Starts a task of a process.
    pub fn spawn(&self, process: Process, job: impl Future<Output = ()> + Send + 'static) {
        self.inner().born.push((process, Box::pin(job)));
    }

    /// `kill -9`: none of its tasks does another step. What it sent is on its way.
    pub fn kill(&self, process: Process) {
        self.inner().killed.push(process);
    }

    /// `kill -STOP`, and `-CONT` later: its tasks stand still; what it sent is on its way.
    pub fn stop(&self, process: Process, time: Duration) {
        self.inner().stopped.insert(process);
        let sim = self.clone();
        self.after(time, move || {
            sim.inner().stopped.remove(&process);
        });
    }

    /// Runs until the seed is finished, something is violated, or nothing can happen any more.
    pub fn run(&self) -> Ending {
        let mut tasks = Tasks { sim: self.clone(), tasks: BTreeMap::new(), stalled: Vec::new(), next: 0 };
        loop {
            tasks.take_births_and_deaths();
            let mut inner = self.inner();
            inner.steps += 1;
            if inner.steps > MOST_STEPS && inner.failure.is_none() {
                inner.failure = Some("it turns in circles: too many steps".to_owned());
            }
            if inner.failure.is_some() || inner.finished {
                break;
            }
            let mut ready = lock(&self.0.ready);
            if ready.is_empty() {
                drop(ready);
                let Some(((at, _), event)) = inner.due.pop_first() else {
                    inner.failure = Some("everybody waits for ever".to_owned());
                    break;
                };
                inner.now = inner.now.max(at);
                inner.hash = mix(inner.hash ^ at);
                drop(inner);
                match event {
                    Event::Wake(waker) => waker.wake(),
                    Event::Act(act) => act(),
                }
            } else {
                let place = usize::try_from(inner.chance.below(ready.len() as u64)).unwrap_or(0);
                let task = ready.swap_remove(place);
                inner.hash = mix(inner.hash ^ task);
                drop(ready);
                drop(inner);
                tasks.step(task);
            }
        }
        drop(tasks);
        let mut inner = self.inner();
        let ending = Ending {
            failure: inner.failure.take(),
            hash: inner.hash,
            steps: inner.steps,
            story: inner.story.take().unwrap_or_default(),
            lasted: Duration::from_micros(inner.now),
        };
        // Handles in what waits would keep this world alive for ever.
        let (due, born) = (std::mem::take(&mut inner.due), std::mem::take(&mut inner.born));
        drop(inner);
        drop((due, born));
        ending
    }
}

/// How a seed ended.
#[derive(Debug)]
pub struct Ending {
    /// What was violated.
    pub failure: Option<String>,
    /// The same for every run of the seed.
    pub hash: u64,
    /// Steps and acts.
    pub steps: u64,
    /// What happened, in words, when asked for.
    pub story: Vec<String>,
    /// The world's time.
    pub lasted: Duration,
}

impl Inner {
    fn schedule(&mut self, time: Duration, event: Event) {
        self.serial += 1;
        let at = self.now.saturating_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
        let order = (self.chance.bits() & 0xffff_ffff) << 32 | (self.serial & 0xffff_ffff);
        self.due.insert((at, order), event);
    }
}

fn moment(micros: u64) -> String {
    format!("{:>10.3} ms", micros as f64 / 1_000.0)
}

/// Waits until a moment.
pub struct Sleep {
    sim: Sim,
    until: u64,
    waits: bool,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let sim = self.sim.clone();
        let mut inner = sim.inner();
        if inner.now >= self.until {
            return Poll::Ready(());
        }
        if !self.waits {
            self.waits = true;
            let time = Duration::from_micros(self.until - inner.now);
            inner.schedule(time, Event::Wake(context.waker().clone()));
        }
        Poll::Pending
    }
}

struct Tasks {
    sim: Sim,
    tasks: BTreeMap<u64, Task>,
    /// Ready tasks of stopped processes.
    stalled: Vec<u64>,
    next: u64,
}

struct Task {
    process: Process,
    job: Job,
    woken: Arc<Woken>,
}

struct Woken {
    task: u64,
    is_ready: AtomicBool,
    shared: Arc<Shared>,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_ready.swap(true, Relaxed) {
            lock(&self.shared.ready).push(self.task);
        }
    }
}

impl Tasks {
    fn take_births_and_deaths(&mut self) {
        let (born, killed) = {
            let mut inner = self.sim.inner();
            (std::mem::take(&mut inner.born), std::mem::take(&mut inner.killed))
        };
        for (process, job) in born.into_iter().filter(|(process, _)| !killed.contains(process)) {
            self.next += 1;
            let woken = Woken { task: self.next, is_ready: AtomicBool::new(false), shared: Arc::clone(&self.sim.0) };
            let woken = Arc::new(woken);
            self.tasks.insert(self.next, Task { process, job, woken: Arc::clone(&woken) });
            woken.wake();
        }
        if !killed.is_empty() {
            let (dead, alive) =
                std::mem::take(&mut self.tasks).into_iter().partition(|(_, task)| killed.contains(&task.process));
            self.tasks = alive;
            let dead: BTreeMap<u64, Task> = dead;
            drop(dead);
        }
        if !self.stalled.is_empty() {
            let inner = self.sim.inner();
            let stopped = |task: &u64| self.tasks.get(task).is_some_and(|task| inner.stopped.contains(&task.process));
            let (still, going) = std::mem::take(&mut self.stalled).into_iter().partition(stopped);
            let mut going: Vec<u64> = going;
            lock(&self.sim.0.ready).append(&mut going);
            drop(inner);
            self.stalled = still;
        }
    }

    fn step(&mut self, number: u64) {
        let Some(task) = self.tasks.get_mut(&number) else { return };
        if self.sim.inner().stopped.contains(&task.process) {
            self.stalled.push(number);
            return;
        }
        task.woken.is_ready.store(false, Relaxed);
        let waker = Waker::from(Arc::clone(&task.woken));
        if task.job.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            self.tasks.remove(&number);
        }
    }
}
