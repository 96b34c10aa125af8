//! Warm before the doors open: product data and stock in the cache, connections and prepared statements of the ledger,
//! producers and consumers, and a broker that has been asked often enough to be fast. Nothing of it changes the sale.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use flashsale_core::{Command, RequestKey};
use futures_util::future::join_all;

use super::wire::Warmed;
use crate::ports::{History, LedgerError};
use crate::publisher::service::Publisher;
use crate::record::Entry;
use crate::submit::{Submit, Submitted};

/// Ticks at most: a cold broker's compiler has seen enough after some thousands of records.
const TICKS: usize = 4_000;
/// Ticks on their way at once.
const TOGETHER: usize = 16;
/// How long one tick's decision is waited for.
const WITHIN: Duration = Duration::from_secs(2);
/// Reads of the ledger at once, so that its pool opens all of its connections.
const READERS: usize = 16;
/// Ticks that are compared: the first so many with the last so many.
const COMPARED: usize = 200;

/// Warms one engine.
pub struct Prewarm {
    /// The cache's writer.
    pub publisher: Arc<Publisher>,
    /// The ledger.
    pub history: Arc<dyn History>,
    /// The way into the log.
    pub submit: Arc<dyn Submit>,
    /// Product data by item, JSON.
    pub products: Vec<Bytes>,
}

impl Prewarm {
    /// Warms, for `within` at most.
    ///
    /// # Errors
    /// When the ledger does not answer.
    pub async fn warm(&self, within: Duration) -> Result<Warmed, LedgerError> {
        let begun = Instant::now();
        self.publisher.offer_products(&self.products);
        for read in join_all((0..READERS).map(|_| self.read())).await {
            read?;
        }
        let mut times = Vec::with_capacity(TICKS);
        let mut undecided = 0;
        while times.len() + undecided < TICKS && begun.elapsed() < within {
            for time in join_all((0..TOGETHER).map(|_| self.tick())).await {
                match time {
                    Some(time) => times.push(time),
                    None => undecided += 1,
                }
            }
        }
        let median = |times: &[Duration]| {
            let mut times = times.to_vec();
            times.sort_unstable();
            times.get(times.len() / 2).map(|time| time.as_secs_f64() * 1_000.0)
        };
        let compared = times.len().min(COMPARED);
        Ok(Warmed {
            products: self.products.len(),
            ledger_reads: READERS * READS,
            ticks: times.len(),
            undecided,
            first_ms: median(&times[..compared]),
            last_ms: median(&times[times.len() - compared..]),
            seconds: begun.elapsed().as_secs_f64(),
        })
    }

    /// The statements that shoppers' reads come to, once each.
    async fn read(&self) -> Result<(), LedgerError> {
        self.history.writer().await?;
        self.history.hold(0).await?;
        self.history.request(RequestKey([0; 16])).await?;
        self.history.payments(0).await?;
        Ok(())
    }

    /// One tick through the log and the ledger; its decision shows every item, which the cache then holds.
    async fn tick(&self) -> Option<Duration> {
        let begun = Instant::now();
        let entry = Entry { command: Command::Tick, words: "prewarm".into() };
        match self.submit.submit(entry, WITHIN).await {
            Submitted::Decided { .. } => Some(begun.elapsed()),
            Submitted::Pending => None,
            Submitted::Overloaded(_) => {
                // The writer is not there yet, or behind: asking faster does not help.
                tokio::time::sleep(WITHIN / 20).await;
                None
            }
        }
    }
}

/// Statements of [`Prewarm::read`].
const READS: usize = 4;
