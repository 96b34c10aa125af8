//! A process that is killed at each place on a record's way, over the real files: nothing that was told is lost, and
//! the ledger is what an undisturbed fold of the log comes to.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod memory;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use flashsale_core::Outcome;
use flashsale_engine::adapters::sqlite::{SqliteLedger, SqliteLog};
use flashsale_engine::allocator::failpoint::{Point, VARIABLE};
use flashsale_engine::allocator::fold::Fold;
use flashsale_engine::allocator::gauges::Gauges;
use flashsale_engine::allocator::rebuild::replay;
use flashsale_engine::allocator::service::{Options, Ports, Service};
use flashsale_engine::audit::chain;
use flashsale_engine::ports::{Clock, Events, EventsError, History, Log};
use flashsale_engine::publisher::answers::Answers;
use flashsale_engine::publisher::events::Encoder;
use flashsale_engine::publisher::service::{Parts, Publisher};
use flashsale_engine::record::{BatchId, Committed};
use memory::sale::*;
use memory::{MemoryCache, MemoryNotifier};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const FOLDER: &str = "FLASHSALE_CRASH_FOLDER";
const BOOT: &str = "FLASHSALE_CRASH_BOOT";
/// Requests in all, and in one record.
const REQUESTS: u64 = 120;
const TOGETHER: u64 = 4;

struct SystemClock(Instant);

impl Clock for SystemClock {
    fn now(&self) -> i64 {
        i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
    }
    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

/// A line an event, safe from a killed process once written.
struct EventFile(Mutex<std::fs::File>);

#[async_trait]
impl Events for EventFile {
    async fn publish(&self, events: &[Bytes]) -> Result<(), EventsError> {
        let mut file = self.0.lock().unwrap();
        for event in events {
            file.write_all(&[event, b"\n".as_slice()].concat()).unwrap();
        }
        Ok(())
    }
}

fn append_to(path: &Path) -> std::fs::File {
    std::fs::File::options().create(true).append(true).open(path).unwrap()
}

/// What shoppers were told: request number and hold, a line each.
fn told(folder: &Path) -> Vec<(u64, u32)> {
    let text = std::fs::read_to_string(folder.join("told")).unwrap_or_default();
    let line = |line: &str| {
        let (request, hold) = line.split_once(' ')?;
        Some((request.parse().ok()?, hold.parse().ok()?))
    };
    text.lines().map(|text| line(text).expect("a whole line")).collect()
}

/// The process that is killed: a writer, a publisher, and a gateway that asks for what has not been told yet.
/// Without a folder it is nobody's process.
#[test]
fn child() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(serve(PathBuf::from(folder)));
}

async fn serve(folder: PathBuf) {
    let log = Arc::new(SqliteLog::open(&folder.join("log.db")).await.unwrap());
    let ledger = Arc::new(SqliteLedger::open(&folder.join("ledger.db")).await.unwrap());
    let boot: u64 = std::env::var(BOOT).unwrap().parse().unwrap();
    let clock = Arc::new(SystemClock(Instant::now()));
    let (gauges, tasks, publisher_stop) = (Arc::new(Gauges::default()), TaskTracker::new(), CancellationToken::new());
    let parts = Parts {
        answers: Arc::new(Answers::new(Arc::new(()), Arc::clone(&gauges))),
        decisions: None,
        gauges: Arc::clone(&gauges),
        cache: Arc::new(MemoryCache::default()),
        events: Arc::new(EventFile(Mutex::new(append_to(&folder.join("events"))))),
        history: ledger.clone(),
        ledger: ledger.clone(),
        clock: clock.clone(),
        encoder: Encoder::new(&frozen()),
    };
    let publisher = Publisher::start(parts, &tasks, &publisher_stop);
    let decisions = publisher.subscribe();
    let stop = CancellationToken::new();
    let options = Options { alone: true, snapshot_every: Duration::from_millis(20), ..Options::default() };
    let ports = Ports {
        log: log.clone(),
        decisions: None,
        ledger: ledger.clone(),
        history: ledger,
        notifier: Arc::new(MemoryNotifier::default()),
        clock,
    };
    let (claim, nudge) = (claim(u128::from(boot) + 1_000), Arc::new(Notify::new()));
    let service = Service { ports, claim, options, gauges, publisher, nudge, stop: stop.clone() };
    let writer = tokio::spawn(service.run());
    ask(&folder, &*log, decisions, boot).await;
    // Long enough for idle ticks, and for the last events.
    tokio::time::sleep(Duration::from_millis(600)).await;
    stop.cancel();
    writer.await.unwrap().unwrap();
    publisher_stop.cancel();
    tasks.close();
    tasks.wait().await;
}

/// A gateway of its own boot: one record at a time, answers written down as soon as they are there.
async fn ask(folder: &Path, log: &dyn Log, mut decisions: mpsc::Receiver<Arc<Committed>>, boot: u64) {
    let mut answers = append_to(&folder.join("told"));
    decisions.recv().await.expect("the writer's first decision: the sale is defined");
    log.append(opening().into()).await.unwrap();
    let known: BTreeSet<u64> = told(folder).into_iter().map(|(request, _)| request).collect();
    let open: Vec<u64> = (1..=REQUESTS).filter(|request| !known.contains(request)).collect();
    for (number, asked) in (1..).zip(open.chunks(usize::try_from(TOGETHER).unwrap())) {
        let entries = asked.iter().map(|request| reserve_of(1, *request)).collect();
        log.append(batch(0, boot, number, entries).into()).await.unwrap();
        let id = BatchId { gateway: 0, boot, number };
        let outcomes = loop {
            let committed = decisions.recv().await.unwrap();
            if let Some(decision) = committed.decisions.iter().find(|decision| decision.batch == Some(id)) {
                break decision.outcomes.clone();
            }
        };
        for (request, outcome) in asked.iter().zip(outcomes) {
            let Outcome::Granted { hold, .. } = outcome else { panic!("{outcome:?}") };
            answers.write_all(format!("{request} {hold}\n").as_bytes()).unwrap();
        }
    }
}

/// Runs the child once; whether it was killed where it was told to be.
fn run(folder: &Path, boot: u64, failpoint: Option<(Point, u64)>) -> bool {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child", "--nocapture"]);
    command.env(FOLDER, folder).env(BOOT, boot.to_string()).env_remove(VARIABLE);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    if let Some((point, times)) = failpoint {
        command.env(VARIABLE, format!("{}:{times}", point.name()));
    }
    let output = command.output().unwrap();
    let killed = std::os::unix::process::ExitStatusExt::signal(&output.status).is_some();
    assert!(killed || output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    killed
}

#[test]
fn killed_at_each_place_nothing_told_is_lost_and_the_digest_is_the_logs() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for point in Point::ALL {
        let folder = tempfile::tempdir().unwrap();
        let again = match point {
            Point::AfterRead | Point::BeforeCommit | Point::AfterCommit | Point::AfterReply => 5,
            Point::BeforeAppend | Point::BeforePublish | Point::AfterPublish | Point::DuringSnapshot => 2,
        };
        assert!(run(folder.path(), 1, Some((point, 1))), "{point:?} was not reached");
        assert!(run(folder.path(), 2, Some((point, again))), "{point:?} was not reached {again} times");
        assert!(!run(folder.path(), 3, None));
        runtime.block_on(prove(folder.path(), point));
    }
}

async fn prove(folder: &Path, point: Point) {
    let log = SqliteLog::open_reader(&folder.join("log.db")).await.unwrap();
    let ledger = SqliteLedger::open(&folder.join("ledger.db")).await.unwrap();
    let row = ledger.writer().await.unwrap().unwrap();
    assert_eq!(row.next_offset, log.end().await.unwrap(), "{point:?}: everything appended is decided");
    let mut undisturbed = Fold::new(RUN, 0);
    replay(&log, &mut undisturbed, row.next_offset).await.unwrap();
    assert_eq!(undisturbed.digest(), row.digest, "{point:?}");
    undisturbed.state().unwrap().check_all().unwrap();

    let answers = told(folder);
    let holds: BTreeMap<u64, BTreeSet<u32>> = answers.iter().fold(BTreeMap::new(), |mut holds, (request, hold)| {
        holds.entry(*request).or_default().insert(*hold);
        holds
    });
    assert_eq!(holds.len() as u64, REQUESTS, "{point:?}: everyone was answered");
    assert!(holds.values().all(|holds| holds.len() == 1), "{point:?}: and never differently");
    for (asked, hold) in answers {
        let found = ledger.request(request(asked)).await.unwrap().expect("in the ledger");
        assert_eq!(found.view.hold, hold, "{point:?}");
        assert_eq!(found.name.as_deref(), Some(format!("shopper-{asked}").as_str()));
    }

    let (mut previous, mut from) = ([0; 32], 0);
    for audit in ledger.audit(0, 0, u32::MAX).await.unwrap() {
        assert_eq!(audit.first_offset, from, "{point:?}: no gap in the audit");
        let link =
            chain::link(previous, audit.epoch, audit.first_offset, audit.next_offset, audit.records_hash, audit.digest);
        assert_eq!(audit.chain, link, "{point:?}");
        (previous, from) = (audit.chain, audit.next_offset);
    }
    assert_eq!((previous, from), (row.chain, row.next_offset), "{point:?}");

    assert_eq!(row.published_through, row.next_offset, "{point:?}: every event is out");
    let events = std::fs::read_to_string(folder.join("events")).unwrap();
    let created = events.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("a whole event"));
    let created = created.filter(|event| event["type"] == "reservation.created");
    let ids: BTreeSet<String> = created.map(|event| event["id"].to_string()).collect();
    let granted = undisturbed.state().unwrap().holds().count();
    assert_eq!(ids.len(), granted, "{point:?}: one id a grant, however often it was sent");
}
