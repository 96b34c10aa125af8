//! What every log does: keeps all records in one order, gives them back from any place, and is known by its identity.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use flashsale_engine::ports::{Log, LogError, LogRecord};

/// How long a record that is there may take to be read.
const WITHIN: Duration = Duration::from_secs(30);
/// How long nothing is waited for.
const SHORTLY: Duration = Duration::from_millis(200);

/// One log, and whoever opens it.
#[async_trait]
pub trait LogStack: Send + Sync {
    /// Opens it to append and to read; one process at a time does.
    async fn open(&self) -> Arc<dyn Log>;
    /// Opens it beside, to read only.
    async fn open_reader(&self) -> Arc<dyn Log>;
    /// Deletes it and makes it again, empty. Nobody has it open.
    async fn make_again(&self);
}

fn record(number: usize) -> Bytes {
    Bytes::from(format!("record {number}"))
}

/// All records `from..to`, however many come at once.
async fn read(log: &dyn Log, from: u64, to: u64) -> Vec<LogRecord> {
    let mut records: Vec<LogRecord> = Vec::new();
    while from + (records.len() as u64) < to {
        let next = from + records.len() as u64;
        let more = log.read(next, 100, WITHIN).await.unwrap();
        assert!(!more.is_empty(), "no record at {next} of {to}");
        records.extend(more);
    }
    records
}

pub async fn a_new_log_is_empty(stack: &impl LogStack) {
    let log = stack.open().await;
    assert_eq!(log.end().await.unwrap(), 0);
    assert_eq!(log.read(0, 10, SHORTLY).await.unwrap(), []);
}

pub async fn records_come_back_in_order_from_any_place(stack: &impl LogStack) {
    let log = stack.open().await;
    for number in 0..250 {
        assert_eq!(log.append(record(number)).await.unwrap(), number as u64);
    }
    assert_eq!(log.end().await.unwrap(), 250);
    for from in [0, 249, 100, 1, 250] {
        let records = read(&*log, from, 250).await;
        for (offset, found) in (from..).zip(&records) {
            assert_eq!((found.offset, &found.bytes), (offset, &record(usize::try_from(offset).unwrap())));
        }
        assert!(records.windows(2).all(|pair| pair[0].timestamp <= pair[1].timestamp), "time runs backwards");
    }
    let few = log.read(10, 3, WITHIN).await.unwrap();
    assert!(!few.is_empty() && few.len() <= 3);
}

pub async fn a_reader_waits_for_the_next_record(stack: &impl LogStack) {
    let log = stack.open().await;
    log.append(record(0)).await.unwrap();
    let reading = { (Arc::clone(&log), log.read(0, 1, WITHIN).await.unwrap()) };
    assert_eq!(reading.1.len(), 1);
    let waiting = tokio::spawn(async move { reading.0.read(1, 10, WITHIN).await });
    log.append(record(1)).await.unwrap();
    let found = waiting.await.unwrap().unwrap();
    assert_eq!(found.iter().map(|found| found.offset).collect::<Vec<_>>(), [1]);
}

pub async fn appends_at_once_have_a_place_each(stack: &impl LogStack) {
    let log = stack.open().await;
    let appends = (0..500).map(|number| {
        let log = Arc::clone(&log);
        tokio::spawn(async move { (number, log.append(record(number)).await.unwrap()) })
    });
    let mut placed = Vec::new();
    for append in appends.collect::<Vec<_>>() {
        placed.push(append.await.unwrap());
    }
    let records = read(&*log, 0, 500).await;
    for (number, offset) in &placed {
        assert_eq!(records[usize::try_from(*offset).unwrap()].bytes, record(*number));
    }
    placed.sort_by_key(|(_, offset)| *offset);
    assert!((0..).zip(&placed).all(|(due, (_, offset))| due == *offset), "a place was given twice");
}

pub async fn a_record_may_be_large(stack: &impl LogStack) {
    let log = stack.open().await;
    // A state that a further generation goes on from: incompressible, as states are.
    let mut seed = 1_u64;
    let large: Bytes = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        seed.to_be_bytes()[0]
    })
    .take(12 << 20)
    .collect();
    log.append(record(0)).await.unwrap();
    log.append(large.clone()).await.unwrap();
    log.append(record(2)).await.unwrap();
    let records = read(&*log, 0, 3).await;
    assert!(records[1].bytes == large && records[2].bytes == record(2));
}

pub async fn several_read_at_their_own_places(stack: &impl LogStack) {
    let log = stack.open().await;
    for number in 0..400 {
        log.append(record(number)).await.unwrap();
    }
    let readers = [0_u64, 50, 150, 250, 350, 399].map(|from| {
        let log = Arc::clone(&log);
        tokio::spawn(async move { read(&*log, from, 400).await.first().map(|first| first.offset) == Some(from) })
    });
    for reader in readers {
        assert!(reader.await.unwrap());
    }
}

pub async fn who_reads_beside_sees_it_grow_and_appends_nothing(stack: &impl LogStack) {
    let log = stack.open().await;
    log.append(record(0)).await.unwrap();
    let beside = stack.open_reader().await;
    assert_eq!(beside.end().await.unwrap(), 1);
    log.append(record(1)).await.unwrap();
    assert_eq!((beside.end().await.unwrap(), read(&*beside, 0, 2).await.len()), (2, 2));
    assert_eq!(beside.identity().await.unwrap(), log.identity().await.unwrap());
    assert!(matches!(beside.append(record(2)).await, Err(LogError::Unavailable(_))));
    assert_eq!(log.end().await.unwrap(), 2);
}

pub async fn a_log_made_again_is_another_log(stack: &impl LogStack) {
    let log = stack.open().await;
    for number in 0..3 {
        log.append(record(number)).await.unwrap();
    }
    let (identity, records) = (log.identity().await.unwrap(), read(&*log, 0, 3).await);
    drop(log);
    let again = stack.open().await;
    assert_eq!((again.identity().await.unwrap(), read(&*again, 0, 3).await), (identity, records));
    drop(again);
    stack.make_again().await;
    let other = stack.open().await;
    assert_ne!(other.identity().await.unwrap(), identity, "an empty one");
    for number in 0..4 {
        other.append(record(number)).await.unwrap();
    }
    assert_ne!(other.identity().await.unwrap(), identity, "the same records again");
}
