//! Warm at T-30s: the engine warms its stores, and the gateways are read from here.

use std::time::Duration;

use flashsale_engine::operator::wire::Warmed;
use flashsale_engine::sale::{Folder, Frozen};
use serde::Serialize;

use crate::client::Client;
use crate::exit::{Exit, Failure};
use crate::place;

/// How long ticks may go on: a broker that has just started is several times slower in its first seconds of work, a file
/// is not.
const WITHIN: (Duration, Duration) = (Duration::from_secs(10), Duration::from_millis(500));
/// Left free before the opening.
const BEFORE_OPENING: i64 = 1_000;
/// Reads of each item.
const READS: usize = 50;

/// What was warmed.
#[derive(Debug, Serialize)]
pub struct Warm {
    /// By the engine.
    #[serde(flatten)]
    pub engine: Warmed,
    /// Availability and product data read from the gateways.
    pub gateway_reads: usize,
}

/// Warms; a sale that has opened warms by itself.
pub async fn warm(folder: &Folder, frozen: &Frozen, client: &Client) -> Result<Warm, Failure> {
    let status = client.status().await?;
    if status.opened_at.is_some() {
        return Err(Failure::new(Exit::Failed, "the sale has opened: it is warm by itself"));
    }
    let longest = if folder.services().exists() { WITHIN.0 } else { WITHIN.1 };
    let left = status.opens_at.map_or(i64::MAX, |at| at - status.now - BEFORE_OPENING).max(0);
    let within = longest.min(Duration::from_millis(left.unsigned_abs()));
    let engine = client.prewarm(within).await?;
    Ok(Warm { engine, gateway_reads: read(folder, frozen).await? })
}

async fn read(folder: &Folder, frozen: &Frozen) -> Result<usize, Failure> {
    let away = |error: reqwest::Error| Failure::new(Exit::Unavailable, format!("the gateway: {error}"));
    let Some(addresses) = place::addresses(folder) else { return Ok(0) };
    let mut reads = 0;
    let http = reqwest::Client::new();
    for item in &frozen.definition.items {
        let product = format!("http://{}/v1/skus/{}", addresses.listen, item.sku);
        for url in [format!("{product}/availability"), product] {
            for _ in 0..READS {
                let answer = http.get(&url).send().await.map_err(away)?.error_for_status().map_err(away)?;
                answer.bytes().await.map_err(away)?;
                reads += 1;
            }
        }
    }
    Ok(reads)
}

impl Warm {
    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let warmed = &self.engine;
        let ms = |time: Option<f64>| time.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1} ms"));
        format!(
            "{} items in the cache, {} ledger reads, {} ticks through log and ledger (the first took {}, the last {}), {} \
             reads of the gateways, in {:.1} s",
            warmed.products,
            warmed.ledger_reads,
            warmed.ticks,
            ms(warmed.first_ms),
            ms(warmed.last_ms),
            self.gateway_reads,
            warmed.seconds
        )
    }
}
