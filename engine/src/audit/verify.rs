//! The proof: the log replayed on its own, compared with everything else that claims to know.

use std::collections::BTreeMap;
use std::time::Duration;

use flashsale_core::{HoldStatus, PaymentKey, PaymentState, RefundState, State};
use serde::Serialize;
use uuid::Uuid;

use super::chain;
use super::gateways::Boot;
use super::pages::Pages;
use super::past::{Past, past, place};
use super::rows::compare_rows;
use crate::allocator::fold::{Fold, Folded};
use crate::allocator::rebuild;
use crate::id::hex;
use crate::ports::{
    Amount, AuditRow, Checkpoint, History, LedgerError, Log, LogError, LogRecord, Payments, ProviderState,
};
use crate::record::{Committed, Decision, decode};

/// Findings listed; beyond it they are only counted.
pub const LISTED: usize = 200;
const READ: Duration = Duration::from_secs(5);

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which invariant, or part of the books.
    pub check: &'static str,
    /// Table and key.
    pub place: String,
    /// What the log says.
    pub expected: String,
    /// What was found.
    pub found: String,
}

/// What an audit came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// The run.
    pub run: Uuid,
    /// The log's generation.
    pub generation: u32,
    /// Records folded.
    pub records: u64,
    /// Records of former generations, whose log was given up: their chain is checked, their decisions stand.
    pub unreplayed: u64,
    /// Audit rows checked.
    pub batches: u64,
    /// Reserves granted.
    pub granted: u64,
    /// Reserves refused by the writer.
    pub refused: u64,
    /// Reserves refused by gateways, as tallied.
    pub tallied: u64,
    /// Every gateway's boots in this generation of the log; one that is not closed may miss refusals of its own.
    pub boots: Vec<Boot>,
    /// It may open when its time comes, or has opened.
    pub armed: bool,
    /// Closed, and nothing is left to end but refunds.
    pub ended: bool,
    /// Units sold and not refunded.
    pub sold: u64,
    /// Money captured and not refunded, smallest unit.
    pub captured_minor: i64,
    /// Payments that are not finished: their money is the known difference.
    pub open_payments: Vec<String>,
    /// Units held or sold beyond the stock, over all items.
    pub oversold: u64,
    /// The digest of the replay, hexadecimal.
    pub digest: String,
    /// The chain's head, hexadecimal.
    pub chain: String,
    /// The first differences.
    pub findings: Vec<Finding>,
    /// How many there are.
    pub differences: u64,
}

impl Audit {
    /// Whether everything agrees.
    #[must_use]
    pub const fn passes(&self) -> bool {
        self.differences == 0
    }

    /// The most refusals of crashed (or running) gateways that no tally counts.
    #[must_use]
    pub fn may_miss(&self) -> u64 {
        self.boots.iter().map(Boot::may_miss).sum()
    }

    pub(super) fn differs(&mut self, check: &'static str, place: String, expected: String, found: String) {
        self.differences += 1;
        if self.findings.len() < LISTED {
            self.findings.push(Finding { check, place, expected, found });
        }
    }
}

/// Why there is no audit.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// Replays the log and compares it with the ledger, the chain, and the provider's records.
///
/// # Errors
/// When a store cannot be read; what differs is no error but a finding.
pub async fn verify(
    run: Uuid,
    prices: &[Amount],
    log: &dyn Log,
    history: &dyn History,
    payments: &dyn Payments,
) -> Result<Audit, AuditError> {
    let mut audit = Audit { run, ..Audit::default() };
    let Some((row, rows)) = history.books().await? else { return Ok(audit) };
    // After a recovery whose log no writer has taken over yet, the next generation is this record and no more.
    let recovered = rebuild::begins_further(log, run, &row).await.is_ok_and(|begins| begins);
    let generation = row.generation + u32::from(recovered);
    audit.generation = generation;
    let mut past = past(&mut audit, history, generation).await?;
    let mut fold = Fold::new(run, generation);
    let chain = if recovered {
        for record in read(log, 0, 1).await? {
            fold_record(&mut audit, &mut fold, &mut past, &record, None);
        }
        past.chain
    } else {
        if log.identity().await? != row.log && row.next_offset > 0 {
            audit.differs("log", "identity".to_owned(), row.log.to_string(), log.identity().await?.to_string());
        }
        replay(&mut audit, &mut fold, &mut past, &row, log, history).await?
    };
    if let Some(state) = fold.state() {
        compare_end(&mut audit, state, &row, chain);
        compare_rows(&mut audit, state, &rows, &past.words);
        compare_money(&mut audit, state, prices, payments).await;
        let (granted, refused) = state.decisions();
        audit.granted = granted;
        audit.refused = refused.iter().sum();
        audit.tallied = state.tallied().iter().sum();
        (audit.armed, audit.ended) = (state.armed(), state.ended());
        audit.sold = state.items().map(|item| u64::from(item.sold)).sum();
        audit.oversold = state.items().map(|item| u64::from((item.held + item.sold).saturating_sub(item.stock))).sum();
    }
    audit.boots = std::mem::take(&mut past.boots).all();
    audit.digest = format!("{:016x}", fold.digest());
    audit.chain = hex(&chain);
    Ok(audit)
}

/// Folds batch by batch as the audit rows say they were committed; answers the chain's head.
async fn replay(
    audit: &mut Audit,
    fold: &mut Fold,
    past: &mut Past,
    row: &Checkpoint,
    log: &dyn Log,
    history: &dyn History,
) -> Result<[u8; 32], AuditError> {
    let (mut chain, mut pages) = (past.chain, Pages::of(history, row.generation, row.generation));
    while fold.next() < row.next_offset {
        let Some(batch) = pages.next().await?.filter(|batch| batch.next_offset <= row.next_offset) else {
            let place = format!("audit after offset {}", fold.next());
            audit.differs("chain", place, format!("rows up to {}", row.next_offset), "none".to_owned());
            break;
        };
        // The first batch of a further generation says where the last one ended.
        let due = if fold.next() == 0 { past.next_offset } else { fold.next() };
        if batch.first_offset != due {
            let found = format!("a batch that begins at {}", batch.first_offset);
            audit.differs("chain", place(&batch), due.to_string(), found);
            break;
        }
        let records = read(log, fold.next(), batch.next_offset).await?;
        if !fold_batch(audit, fold, past, &batch, &records) {
            break;
        }
        check_link(audit, chain, &batch, &records);
        chain = batch.chain;
        audit.batches += 1;
    }
    Ok(chain)
}

async fn read(log: &dyn Log, from: u64, to: u64) -> Result<Vec<LogRecord>, AuditError> {
    let mut records = Vec::new();
    let mut next = from;
    while next < to {
        let limit = usize::try_from(to - next).unwrap_or(usize::MAX);
        let more = log.read(next, limit, READ).await?;
        if more.is_empty() {
            break;
        }
        next += more.len() as u64;
        records.extend(more);
    }
    Ok(records)
}

/// Folds a batch and compares what was published of it; false: the log does not go on.
fn fold_batch(audit: &mut Audit, fold: &mut Fold, past: &mut Past, batch: &AuditRow, records: &[LogRecord]) -> bool {
    let place = place(batch);
    let published = decode::<Committed>(&batch.committed);
    let decisions = published.as_ref().map(|committed| committed.decisions.as_slice()).unwrap_or_default();
    if let Err(error) = &published {
        audit.differs("outbox", place.clone(), "decisions".to_owned(), error.to_string());
    }
    let due = batch.next_offset - fold.next();
    if records.len() as u64 != due {
        audit.differs("log", place, format!("{due} records"), records.len().to_string());
        return false;
    }
    let mut decisions = decisions.iter();
    if !records.iter().all(|record| fold_record(audit, fold, past, record, decisions.next())) {
        return false;
    }
    if fold.digest() != batch.digest {
        audit.differs("I6", place, format!("{:016x}", fold.digest()), format!("{:016x}", batch.digest));
    }
    true
}

/// Folds a record and compares its decision; false: the log does not go on.
fn fold_record(
    audit: &mut Audit,
    fold: &mut Fold,
    past: &mut Past,
    record: &LogRecord,
    decision: Option<&Decision>,
) -> bool {
    let at = |what: &str| format!("{what} {}", record.offset);
    let folded = match fold.record(record, &mut past.words) {
        Ok(folded) => folded,
        Err(error) => {
            audit.differs("log", at("offset"), "a record".to_owned(), error.to_string());
            return false;
        }
    };
    audit.records += 1;
    past.boots.record(record);
    match (folded, decision) {
        (Folded::Applied(_, outcomes), Some(decision)) if outcomes != decision.outcomes => {
            let (expected, found) = (format!("{outcomes:?}"), format!("{:?}", decision.outcomes));
            audit.differs("outbox", at("decision of offset"), expected, found);
        }
        (Folded::Began, _) if past.digest.is_some_and(|digest| digest != fold.digest()) => {
            let expected = format!("{:016x}", past.digest.unwrap_or_default());
            let place = format!("the state that generation {} began with", audit.generation);
            audit.differs("I6", place, expected, format!("{:016x}", fold.digest()));
        }
        _ => {}
    }
    true
}

fn check_link(audit: &mut Audit, previous: [u8; 32], batch: &AuditRow, records: &[LogRecord]) {
    let place = place(batch);
    let hash = chain::records_hash(records);
    if hash != batch.records_hash {
        audit.differs("chain", format!("{place}: records"), hex(&hash), hex(&batch.records_hash));
    }
    let expected = chain::link(previous, batch.epoch, batch.first_offset, batch.next_offset, hash, batch.digest);
    if expected != batch.chain {
        audit.differs("chain", place, hex(&expected), hex(&batch.chain));
    }
}

fn compare_end(audit: &mut Audit, state: &State, row: &Checkpoint, chain: [u8; 32]) {
    if state.digest() != row.digest {
        audit.differs(
            "I6",
            "writer.digest".to_owned(),
            format!("{:016x}", state.digest()),
            format!("{:016x}", row.digest),
        );
    }
    if chain != row.chain {
        audit.differs("chain", "writer.chain".to_owned(), hex(&chain), hex(&row.chain));
    }
    if let Err(what) = state.check_all() {
        audit.differs("I1-I5", "the replayed state".to_owned(), "every invariant holds".to_owned(), what);
    }
}

/// I5: the provider's own records against the orders. What is still open is listed, not counted as a difference.
async fn compare_money(audit: &mut Audit, state: &State, prices: &[Amount], payments: &dyn Payments) {
    let records = match payments.all().await {
        Ok(records) => records,
        Err(error) => {
            audit.differs("I5", "the provider's records".to_owned(), "readable".to_owned(), error.to_string());
            return;
        }
    };
    let mut provider: BTreeMap<PaymentKey, (Amount, ProviderState)> =
        records.into_iter().map(|(key, amount, state)| (key, (amount, state))).collect();
    for paid in state.payments() {
        let known = provider.remove(&paid.key);
        let place = format!("payment {}", hex(&paid.key.0));
        if paid.state.is_open() {
            audit.open_payments.push(hex(&paid.key.0));
            continue;
        }
        let bought = paid.bought.and_then(|hold| state.hold(hold));
        let refunded =
            bought.is_some_and(|hold| hold.refund.is_some_and(|refund| refund.state == RefundState::Confirmed));
        let sold = bought.is_some_and(|hold| hold.status == HoldStatus::Confirmed);
        let found = known.as_ref().map_or("nothing".to_owned(), |(_, state)| format!("{state:?}"));
        let agrees = match (paid.state, known.as_ref().map(|(_, state)| state)) {
            (PaymentState::Captured, Some(ProviderState::Captured)) => sold,
            (PaymentState::Captured, Some(ProviderState::Refunded)) => refunded,
            (PaymentState::Captured, _) => false,
            (_, Some(ProviderState::Captured | ProviderState::Authorized)) => false,
            _ => true,
        };
        if !agrees {
            audit.differs("I5", place.clone(), format!("{:?}", paid.state), found);
        }
        if let (PaymentState::Captured, Some((amount, ProviderState::Captured)), Some(hold)) =
            (paid.state, &known, bought)
        {
            audit.captured_minor += amount.minor;
            let price = prices.get(usize::from(hold.item));
            if price != Some(amount) {
                audit.differs("I5", place, format!("{price:?}"), format!("{amount:?}"));
            }
        }
    }
    for (key, (_, state)) in provider {
        if matches!(state, ProviderState::Captured | ProviderState::Authorized) {
            let place = format!("payment {}", hex(&key.0));
            audit.differs("I5", place, "no such payment".to_owned(), format!("{state:?}"));
        }
    }
}
