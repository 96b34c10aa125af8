//! The story of a reservation: what became of it, what was asked for it, its money, and what operators did meanwhile.

use std::collections::BTreeSet;
use std::sync::Arc;

use flashsale_core::{Command, HoldNumber, Outcome, PaymentKey};
use serde::Serialize;

use super::commands::Commands;
use super::pages::Pages;
use super::verify::AuditError;
use crate::id::{Ids, hex};
use crate::ports::{History, Log};
use crate::record::{Committed, Decision, Entry, HoldNotice, decode};

/// One step of a reservation's story.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The log's time, Unix ms.
    pub at: i64,
    /// The log's generation.
    pub generation: u32,
    /// The record, and the command in it.
    pub offset: u64,
    /// See `offset`.
    pub index: u32,
    /// The reservation; none for what was done to the sale as a whole.
    pub reservation: Option<String>,
    /// What happened.
    pub what: String,
    /// The payment, when it is about one.
    pub payment: Option<String>,
    /// The subject, when the reservation began; of an operator's change who made it and why.
    pub by: Option<String>,
    /// The request, when it began by one.
    pub request: Option<String>,
    /// Its deadline, Unix ms, when it has one.
    pub expires_at: Option<i64>,
}

/// Whose story is told.
struct Story<'a> {
    ids: &'a Ids,
    wanted: BTreeSet<HoldNumber>,
    payments: BTreeSet<PaymentKey>,
    steps: Vec<Step>,
    /// Changes of the sale since the first step; those after the last one are no part of the story.
    meanwhile: Vec<Step>,
}

/// Every step of the wanted holds (and of the ones that replaced them), in order: from the audit rows, and for what the
/// rows do not say from `logs`, as far as these can still be read.
///
/// # Errors
/// When the ledger cannot be read.
pub async fn why(
    ids: &Ids,
    logs: &[(u32, Arc<dyn Log>)],
    history: &dyn History,
    wanted: &[HoldNumber],
) -> Result<Vec<Step>, AuditError> {
    let wanted = wanted.iter().copied().collect();
    let mut story = Story { ids, wanted, payments: BTreeSet::new(), steps: Vec::new(), meanwhile: Vec::new() };
    let (mut pages, mut commands) = (Pages::all(history).await?, Commands::of(logs));
    while let Some(row) = pages.next().await? {
        let Ok(committed) = decode::<Committed>(&row.committed) else { continue };
        for decision in &committed.decisions {
            let entries = commands.behind(decision).await.unwrap_or_default();
            story.decided(decision, &entries);
        }
    }
    Ok(story.steps)
}

impl Story<'_> {
    fn decided(&mut self, decision: &Decision, entries: &[Entry]) {
        let step = |index: u32| Step {
            at: decision.timestamp,
            generation: decision.generation,
            offset: decision.offset,
            index,
            ..Step::default()
        };
        for notice in &decision.holds {
            if notice.parent.is_some_and(|parent| self.wanted.contains(&parent)) {
                self.wanted.insert(notice.hold);
            }
        }
        let mut told: Vec<Step> = Vec::new();
        for notice in decision.holds.iter().filter(|notice| self.wanted.contains(&notice.hold)) {
            told.push(self.moved(step(notice.index), notice));
        }
        for ((index, entry), outcome) in (0..).zip(entries).zip(&decision.outcomes) {
            if let Some(asked) = self.asked(step(index), &entry.command, *outcome) {
                told.push(asked);
            } else if let (Some(what), Outcome::Done) = (change(&entry.command), outcome)
                && !self.steps.is_empty()
            {
                let by = (!entry.words.is_empty()).then(|| entry.words.to_string());
                self.meanwhile.push(Step { what, by, ..step(index) });
            }
        }
        if told.is_empty() {
            return;
        }
        told.sort_by_key(|step| step.index);
        self.steps.append(&mut self.meanwhile);
        self.steps.append(&mut told);
    }

    fn moved(&self, step: Step, notice: &HoldNotice) -> Step {
        Step {
            reservation: Some(self.ids.reservation(notice.hold)),
            what: format!("{:?}", notice.change).to_lowercase(),
            by: notice.name.as_ref().map(ToString::to_string),
            request: notice.request.map(|request| hex(&request.0)),
            expires_at: Some(notice.expires_at),
            ..step
        }
    }

    /// What was asked about a wanted hold or its money, and what came of it, unless the hold's own step says it.
    fn asked(&mut self, step: Step, command: &Command, outcome: Outcome) -> Option<Step> {
        let (hold, payment, what) = match *command {
            Command::Claim { hold, .. } => (Some(hold), None, "claim"),
            Command::Cancel { hold, .. } => (Some(hold), None, "cancel"),
            Command::PayStart { hold, payment, .. } => (Some(hold), Some(payment), "payment begun"),
            Command::Confirm { hold, payment, .. } => (Some(hold), Some(payment), "confirm"),
            Command::Captured { payment } => (None, Some(payment), "captured"),
            Command::CaptureFailed { payment } => (None, Some(payment), "capture refused"),
            Command::Voided { payment } => (None, Some(payment), "voided"),
            Command::RefundPlan { hold, .. } => (Some(hold), None, "refund planned"),
            Command::RefundSent { hold } => (Some(hold), None, "refund sent"),
            Command::RefundConfirmed { hold } => (Some(hold), None, "refunded"),
            _ => return None,
        };
        let about = hold.is_some_and(|hold| self.wanted.contains(&hold))
            || payment.is_some_and(|payment| self.payments.contains(&payment));
        if !about {
            return None;
        }
        self.payments.extend(payment);
        let outcome = match outcome {
            Outcome::Refused(refusal) => format!("{what}: refused ({})", refusal.code()),
            Outcome::VoidPayment { refusal } => {
                format!("{what}: refused ({}), the payment is to be voided", refusal.code())
            }
            Outcome::Unchanged | Outcome::Confirmed { replayed: true, .. } => format!("{what}: once more"),
            // The hold's own step says that it was confirmed.
            Outcome::Confirmed { replayed: false, .. } => return None,
            _ if payment.is_some() => what.to_owned(),
            _ => return None,
        };
        let reservation = hold.map(|hold| self.ids.reservation(hold));
        Some(Step { what: outcome, payment: payment.map(|key| hex(&key.0)), reservation, ..step })
    }
}

/// What was done to the sale as a whole.
fn change(command: &Command) -> Option<String> {
    Some(match command {
        Command::Arm { .. } => "the sale is armed".to_owned(),
        Command::Open => "the sale opens".to_owned(),
        Command::Close { .. } => "the sale closes".to_owned(),
        Command::Halt { scope, .. } => format!("the sale is halted ({scope:?})").to_lowercase(),
        Command::Resume { .. } => "the sale is resumed".to_owned(),
        Command::Pace { units_per_second: Some(pace), .. } => format!("pace {pace}/s"),
        Command::Pace { .. } => "no pace".to_owned(),
        Command::Adjust { item, by, .. } => format!("stock of item {item} changed by {by}"),
        Command::Shortage { item, units, .. } => format!("{units} units of item {item} are missing"),
        Command::Reschedule { .. } => "the opening is rescheduled".to_owned(),
        Command::Extend { .. } => "the closing is moved".to_owned(),
        Command::Takeover { epoch } => format!("the writer of epoch {epoch} takes over"),
        _ => return None,
    })
}
