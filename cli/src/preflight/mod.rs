//! Whether a sale may open: the customer's checklist of the last hour, line by line in its words, each with its evidence.
//! A check a file; a line is never left out, and one that does not apply says why.

mod alerts;
mod channel;
mod dashboard;
mod edge;
mod engine;
mod gateways;
mod inventory;
mod kafka;
mod limits;
mod pager;
mod postgres;
mod products;
mod redis;
mod reservations;
mod scale;
mod tiers;

use std::path::PathBuf;
use std::time::Duration;

use flashsale_engine::compose::Stores;
use flashsale_engine::operator::wire::Status;
use flashsale_engine::ports::LedgerRows;
use flashsale_engine::sale::definition::Definition;
use flashsale_engine::sale::{Addresses, Folder, Frozen, Names, Services};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::client::Client;
use crate::exit::{Exit, Failure};
use crate::place;

/// A result older than this says nothing any more.
const STALE: Duration = Duration::from_secs(600);
/// How long a server may take to answer one check.
const ASK: Duration = Duration::from_secs(10);

/// What a line came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It is as it must be.
    Pass,
    /// It is not: no-go.
    Fail,
    /// This sale has no such thing.
    NotApplicable,
}

/// A line's answer and what it rests on.
struct Finding(Answer, String);

fn judged(good: bool, evidence: impl Into<String>) -> Finding {
    Finding(if good { Answer::Pass } else { Answer::Fail }, evidence.into())
}

fn not_applicable(reason: impl Into<String>) -> Finding {
    Finding(Answer::NotApplicable, reason.into())
}

/// A line of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Its part of the list.
    pub part: String,
    /// In the customer's words.
    pub line: String,
    /// What it came to.
    pub answer: Answer,
    /// What was measured or found, or why it does not apply.
    pub evidence: String,
}

/// The list, answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// The run.
    pub run: Uuid,
    /// When.
    pub at: Timestamp,
    /// From then on it says nothing any more: a sale is armed by a look of its own.
    pub stale_at: Timestamp,
    /// No line failed.
    pub go: bool,
    /// Every line.
    pub lines: Vec<Line>,
}

/// What the checks look at.
struct Scene<'a> {
    frozen: &'a Frozen,
    client: &'a Client,
    addresses: Addresses,
    status: Status,
    /// How far its clock is from this one's, ms.
    apart: i64,
    /// None on the embedded stack.
    services: Option<Services>,
    names: Names,
    rows: LedgerRows,
}

impl Scene<'_> {
    fn definition(&self) -> &Definition {
        &self.frozen.definition
    }
}

/// Why a line about a server does not apply on the embedded stack.
const EMBEDDED: &str = "the embedded stack has no such server: ";

/// Looks at everything, and keeps the result in the run's folder.
pub async fn check(folder: &Folder, frozen: &Frozen, client: &Client) -> Result<Checked, Failure> {
    let scene = scene(folder, frozen, client).await?;
    let with = |numbers: &str| format!("Inventory record exists: sku_id, total_stock={numbers}, reserved=0, sold=0");
    let stocks: Vec<String> = scene.definition().items.iter().map(|item| item.stock.to_string()).collect();
    let (place, inventory_line) = ("Infrastructure Readiness", with(&stocks.join("/")));
    let mut lines = Vec::new();
    let mut answer = |part: &str, line: &str, finding: Finding| {
        let Finding(answer, evidence) = finding;
        lines.push(Line { part: part.to_owned(), line: line.to_owned(), answer, evidence });
    };
    answer(place, "Kubernetes cluster scaled to 50% capacity", scale::check(&scene));
    answer(place, "Redis cluster healthy (3 masters + 3 slaves)", redis::check(&scene).await);
    answer(place, "PostgreSQL primary + replicas synchronized (lag <50ms)", postgres::check(&scene).await);
    answer(place, "Kafka brokers online, topic created with correct partitions", kafka::check(&scene).await);
    answer(place, "CDN caches warmed with product data", edge::check());
    answer(place, "API Gateway instances ready (no cold starts)", gateways::check(&scene).await);
    let place = "Data Preparation";
    answer(place, &inventory_line, inventory::check(&scene));
    answer(place, "Product metadata loaded in Redis", products::check(&scene).await);
    answer(place, "No existing reservations for SKU", reservations::check(&scene));
    answer(place, "User tiers pre-computed", tiers::check(&scene));
    answer(place, "Rate limit state cleared (fresh start)", limits::check());
    let place = "Monitoring Setup";
    answer(place, "Dashboard visible with key metrics", dashboard::check(&scene).await);
    answer(place, "Alerting rules validated", alerts::check());
    answer(place, "On-call pager tested", pager::check());
    answer(place, "War room channel opened", channel::check());
    answer("Engine", "The writer is at the log's end, the gate open, the clocks together", engine::check(&scene));
    let go = lines.iter().all(|line| line.answer != Answer::Fail);
    let at = Timestamp::now();
    let stale_at = at.checked_add(STALE).unwrap_or(at);
    let checked = Checked { run: frozen.run, at, stale_at, go, lines };
    let bytes = serde_json::to_vec_pretty(&checked).map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
    std::fs::write(kept(folder, frozen), bytes)?;
    Ok(checked)
}

async fn scene<'a>(folder: &Folder, frozen: &'a Frozen, client: &'a Client) -> Result<Scene<'a>, Failure> {
    let away = |error: &dyn std::fmt::Display| Failure::new(Exit::Unavailable, error.to_string());
    let asked = Timestamp::now().as_millisecond();
    let status = client.status().await?;
    // What the question took is nobody's clock.
    let apart = (status.now - asked).abs().min((status.now - Timestamp::now().as_millisecond()).abs());
    let addresses = place::addresses(folder).ok_or_else(|| away(&"the sale's engine is not running"))?;
    let services = match folder.services().exists() {
        true => Some(Services::read(&folder.services())?),
        false => None,
    };
    let stores = Stores::open_reader(folder, frozen).await.map_err(|error| away(&error))?;
    let rows = stores.history.rows().await.map_err(|error| away(&error))?;
    Ok(Scene { frozen, client, addresses, status, apart, services, names: Names::of(frozen), rows })
}

fn kept(folder: &Folder, frozen: &Frozen) -> PathBuf {
    folder.run(frozen.run).join("preflight.json")
}

impl Checked {
    /// The lines that failed, by their words.
    #[must_use]
    pub fn failed(&self) -> Vec<&str> {
        let failed = self.lines.iter().filter(|line| line.answer == Answer::Fail);
        failed.map(|line| line.line.as_str()).collect()
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut part = "";
        for line in &self.lines {
            if line.part != part {
                part = &line.part;
                text.push_str(&format!("{part}\n"));
            }
            let word = match line.answer {
                Answer::Pass => "ok  ",
                Answer::Fail => "FAIL",
                Answer::NotApplicable => "n/a ",
            };
            text.push_str(&format!("  {word} {}\n         {}\n", line.line, line.evidence));
        }
        text.push_str(if self.go { "go" } else { "no-go" });
        text.push_str(&format!(" at {:.0}, stale at {:.0}", self.at, self.stale_at));
        text
    }
}

/// One server's answer, in time.
async fn within<T, E: std::fmt::Display>(work: impl Future<Output = Result<T, E>>) -> Result<T, String> {
    match tokio::time::timeout(ASK, work).await {
        Ok(answered) => answered.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {} s", ASK.as_secs())),
    }
}
