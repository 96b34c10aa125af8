//! Changes that operators ask for: through the log, and for a halt through the gate first.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use flashsale_core::{ChangeId, Command, HaltCause, HaltScope, ItemIndex, Outcome};

use super::wire::{Change, ChangeRequest, Changed};
use crate::gateway::gate::GateFlag;
use crate::id::Ids;
use crate::ports::{Clock, Gate, History, Notifier, Severity};
use crate::publisher::board::Board;
use crate::record::Entry;
use crate::submit::{Submit, Submitted};

/// How long a change's decision is waited for.
const WITHIN: Duration = Duration::from_secs(5);

/// Whether the books are right: asked before a sale that stopped for an invariant goes on.
#[async_trait]
pub trait Audit: Send + Sync {
    /// Nothing, or what differs.
    async fn passes(&self) -> Result<(), String>;
}

/// The gateways that are processes of their own.
#[async_trait]
pub trait Gateways: Send + Sync {
    /// Shuts or opens their gates now, without waiting for the ledger's row: how many heard of it, of how many.
    async fn set_gate(&self, gate: Option<&Gate>) -> (usize, usize);
}

/// Why a change did not happen.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    /// The request is malformed.
    BadRequest(String),
    /// The sale's state does not allow it.
    Conflict(&'static str, String),
    /// It may or may not happen: the id makes a retry safe.
    Pending(String),
}

/// Makes changes.
pub struct Changes {
    /// The way into the log.
    pub submit: Arc<dyn Submit>,
    /// The gate of this process.
    pub gate: Arc<GateFlag>,
    /// The other gates.
    pub gateways: Arc<dyn Gateways>,
    /// The gate's row.
    pub history: Arc<dyn History>,
    /// Items by SKU.
    pub board: Arc<Board>,
    /// Change ids.
    pub ids: Ids,
    /// Clock.
    pub clock: Arc<dyn Clock>,
    /// The timeline.
    pub notifier: Arc<dyn Notifier>,
    /// The books.
    pub audit: Arc<dyn Audit>,
}

impl Changes {
    /// Makes one change, once: a repeated id changes nothing.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn make(&self, request: &ChangeRequest) -> Result<Changed, Refused> {
        if request.id.is_empty() || request.id.len() > 128 || request.by.len() > 64 || request.reason.len() > 512 {
            return Err(Refused::BadRequest("id takes 1 to 128 bytes, by 64, reason 512".to_owned()));
        }
        let mut steps = Vec::new();
        match request.change {
            Change::Halt { .. } => self.shut(request, &mut steps).await,
            Change::Resume => self.may_resume().await?,
            _ => {}
        }
        let command = self.command(&request.change, self.ids.change(&request.id))?;
        let entry = Entry { command, words: format!("{}: {}", request.by, request.reason).into() };
        let (changed, offset) = match self.submit.submit(entry, WITHIN).await {
            Submitted::Decided { outcome: Outcome::Done, position, .. } => (true, position.offset),
            Submitted::Decided { outcome: Outcome::Unchanged, position, .. } => (false, position.offset),
            Submitted::Decided { outcome: Outcome::Refused(refusal), .. } => {
                let text = format!("the sale refuses this now: {}", refusal.code());
                return Err(Refused::Conflict(refusal.code(), text));
            }
            Submitted::Decided { .. } => return Err(Refused::Conflict("internal", "an unexpected outcome".to_owned())),
            Submitted::Pending => return self.pending(steps, "not decided within 5 s"),
            Submitted::Overloaded(reason) => return self.pending(steps, reason),
        };
        steps.push(format!("{} at offset {offset}", if changed { "logged" } else { "already so" }));
        if request.change == Change::Resume {
            self.open(&mut steps).await;
        }
        if changed {
            let text = format!("{} by {}: {}", word(&request.change), request.by, request.reason);
            self.notifier.notify(Severity::Notice, &request.id, &text);
        }
        Ok(Changed { changed, steps, offset: Some(offset) })
    }

    /// A halt whose gate is shut has done its work, even when the log is away.
    fn pending(&self, steps: Vec<String>, reason: &str) -> Result<Changed, Refused> {
        if steps.is_empty() {
            return Err(Refused::Pending(format!("{reason}; send it again with the same id")));
        }
        let mut steps = steps;
        steps.push(format!("not logged yet: {reason}; send it again with the same id"));
        Ok(Changed { changed: true, steps, offset: None })
    }

    async fn shut(&self, request: &ChangeRequest, steps: &mut Vec<String>) {
        let invariant = self.gate.why().is_some_and(|gate| gate.invariant);
        let gate = Gate { since: self.clock.now(), by: request.by.clone(), reason: request.reason.clone(), invariant };
        self.gate.set(Some(gate.clone()));
        steps.push("gate shut in this engine".to_owned());
        self.tell_gateways(Some(&gate), steps).await;
        match self.history.set_gate(Some(&gate)).await {
            Ok(()) => steps.push("gate shut in the ledger".to_owned()),
            Err(error) => steps.push(format!("gate not shut in the ledger: {error}")),
        }
    }

    async fn open(&self, steps: &mut Vec<String>) {
        match self.history.set_gate(None).await {
            Ok(()) => {
                self.gate.set(None);
                steps.push("gate open".to_owned());
                self.tell_gateways(None, steps).await;
            }
            Err(error) => steps.push(format!("gate still shut: {error}")),
        }
    }

    /// A gateway that did not hear of it sees the ledger's row within half a second.
    async fn tell_gateways(&self, gate: Option<&Gate>, steps: &mut Vec<String>) {
        let (heard, all) = self.gateways.set_gate(gate).await;
        if all > 0 {
            let what = if gate.is_some() { "shut" } else { "open" };
            steps.push(format!("gate {what} in {heard} of {all} gateways"));
        }
    }

    async fn may_resume(&self) -> Result<(), Refused> {
        if !self.gate.why().is_some_and(|gate| gate.invariant) {
            return Ok(());
        }
        self.audit.passes().await.map_err(|what| Refused::Conflict("audit_failed", what))
    }

    fn command(&self, change: &Change, id: ChangeId) -> Result<Command, Refused> {
        Ok(match change {
            Change::Arm => Command::Arm { change: id },
            Change::Halt { all } => Command::Halt {
                change: id,
                scope: if *all { HaltScope::All } else { HaltScope::Reserve },
                cause: HaltCause::Operator,
            },
            Change::Resume => Command::Resume { change: id },
            Change::Close => Command::Close { change: id },
            Change::Pace { units_per_second } => Command::Pace { change: id, units_per_second: *units_per_second },
            Change::Reschedule { opens_at } => Command::Reschedule { change: id, opens_at: *opens_at },
            Change::Extend { closes_at } => Command::Extend { change: id, closes_at: *closes_at },
            Change::Adjust { sku, units: Some(by), shortage: None } => {
                Command::Adjust { change: id, item: self.item(sku)?, by: *by }
            }
            Change::Adjust { sku, units: None, shortage: Some(units) } => {
                Command::Shortage { change: id, item: self.item(sku)?, units: *units }
            }
            Change::Adjust { .. } => {
                return Err(Refused::BadRequest("adjust takes one of `units` and `shortage`".to_owned()));
            }
        })
    }

    fn item(&self, sku: &str) -> Result<ItemIndex, Refused> {
        self.board.item(sku).ok_or_else(|| Refused::BadRequest(format!("no item {sku} in this sale")))
    }
}

/// A change in a word, as its route has it.
#[must_use]
pub const fn word(change: &Change) -> &'static str {
    match change {
        Change::Arm => "arm",
        Change::Halt { .. } => "halt",
        Change::Resume => "resume",
        Change::Close => "close",
        Change::Pace { .. } => "pace",
        Change::Adjust { .. } => "adjust",
        Change::Reschedule { .. } => "reschedule",
        Change::Extend { .. } => "extend",
    }
}
