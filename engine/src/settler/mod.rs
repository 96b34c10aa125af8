//! Money that hangs: drives every unfinished payment to captured or voided by asking the provider what it knows. An
//! answer that was lost is looked up, never asked for again under a new key.

mod decide;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use flashsale_core::{Command, HoldStatus, HoldView, PaymentKey, PaymentView};
use tokio_util::sync::CancellationToken;

use crate::ports::{Clock, History, HoldRow, Notifier, PaymentError, Payments, ProviderState, Severity};
use crate::record::Entry;
use crate::submit::{Submit, Submitted};

pub use decide::{Action, decide};

/// Between two sweeps: half of what the protocol allows.
pub const SWEEP: Duration = Duration::from_secs(5);
/// A checkout that is younger than this is still its gateway's.
pub const YOUNG: Duration = Duration::from_secs(8);
/// Voids that may fail before someone is paged.
const VOIDS: u32 = 10;
/// How long a command's decision is waited for.
const WITHIN: Duration = Duration::from_secs(2);

/// The settler and what it remembers between sweeps.
pub struct Settler {
    /// Open payments and their holds.
    pub history: Arc<dyn History>,
    /// The provider.
    pub payments: Arc<dyn Payments>,
    /// The way into the log.
    pub submit: Arc<dyn Submit>,
    /// Who is paged.
    pub notifier: Arc<dyn Notifier>,
    /// Ages.
    pub clock: Arc<dyn Clock>,
    seen: HashMap<PaymentKey, Seen>,
}

#[derive(Clone, Copy)]
struct Seen {
    since: Duration,
    failed_voids: u32,
}

impl Settler {
    /// A settler that has seen nothing.
    #[must_use]
    pub fn new(
        history: Arc<dyn History>,
        payments: Arc<dyn Payments>,
        submit: Arc<dyn Submit>,
        notifier: Arc<dyn Notifier>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { history, payments, submit, notifier, clock, seen: HashMap::new() }
    }

    /// Sweeps until stopped; the first sweep treats every payment as old: its gateway is gone.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut first = true;
        loop {
            self.sweep(if first { Duration::ZERO } else { YOUNG }).await;
            first = false;
            tokio::select! {
                () = tokio::time::sleep(SWEEP) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Drives every open payment that has been open for `young`. Never sleeps.
    pub async fn sweep(&mut self, young: Duration) {
        let open = match self.history.open_payments().await {
            Ok(open) => open,
            Err(error) => return tracing::warn!(%error, "the open payments are not known"),
        };
        self.seen.retain(|key, _| open.iter().any(|paid| paid.key == *key));
        let now = self.clock.monotonic();
        for paid in open {
            let seen = *self.seen.entry(paid.key).or_insert(Seen { since: now, failed_voids: 0 });
            if now.saturating_sub(seen.since) >= young {
                self.drive(&paid).await;
            }
        }
    }

    async fn drive(&mut self, paid: &PaymentView) {
        let (known, hold) = match (self.payments.look_up(paid.key).await, self.history.hold(paid.hold).await) {
            (Ok(known), Ok(Some(hold))) => (known, hold),
            (Err(error), _) => return tracing::warn!(%error, payment = paid.payment, "looked up in vain"),
            (_, found) => return tracing::warn!(?found, payment = paid.payment, "its hold is not known"),
        };
        let action = decide(paid.state, &known, live(&hold.view));
        let payment = paid.key;
        match action {
            Action::Wait => {}
            Action::Confirm => self.confirm(paid, &hold).await,
            Action::Captured => self.append(Command::Captured { payment }, &hold).await,
            Action::CaptureFailed => self.append(Command::CaptureFailed { payment }, &hold).await,
            Action::Voided => self.append(Command::Voided { payment }, &hold).await,
            Action::Capture => match self.payments.capture(payment).await {
                Ok(ProviderState::Captured) => self.append(Command::Captured { payment }, &hold).await,
                Err(PaymentError::Refused(_)) => self.append(Command::CaptureFailed { payment }, &hold).await,
                other => tracing::warn!(?other, payment = paid.payment, "not captured yet"),
            },
            Action::Void => match self.payments.void(payment).await {
                Ok(ProviderState::Voided) => self.append(Command::Voided { payment }, &hold).await,
                other => self.void_failed(paid, &format!("{other:?}")),
            },
            Action::GiveBack => {
                match self.payments.refund(payment, &format!("void-{}", crate::id::hex(&payment.0))).await {
                    Ok(ProviderState::Refunded) => self.append(Command::Voided { payment }, &hold).await,
                    other => self.void_failed(paid, &format!("{other:?}")),
                }
            }
        }
    }

    async fn confirm(&self, paid: &PaymentView, hold: &HoldRow) {
        let command = Command::Confirm { hold: paid.hold, subject: hold.view.subject, payment: paid.key };
        self.append(command, hold).await;
    }

    async fn append(&self, command: Command, hold: &HoldRow) {
        let entry = Entry { command, words: hold.name.clone().unwrap_or_default() };
        if let Submitted::Overloaded(reason) = self.submit.submit(entry, WITHIN).await {
            tracing::warn!(reason, "the settler could not append; the next sweep tries again");
        }
    }

    fn void_failed(&mut self, paid: &PaymentView, why: &str) {
        let Some(seen) = self.seen.get_mut(&paid.key) else { return };
        seen.failed_voids += 1;
        tracing::warn!(payment = paid.payment, failed = seen.failed_voids, why, "not voided yet");
        if seen.failed_voids == VOIDS {
            let text = format!("payment {} could not be voided {VOIDS} times: {why}", crate::id::hex(&paid.key.0));
            self.notifier.notify(Severity::Page, &format!("void-{}", paid.payment), &text);
        }
    }
}

fn live(hold: &HoldView) -> bool {
    matches!(hold.status, HoldStatus::Held | HoldStatus::Offered)
}
