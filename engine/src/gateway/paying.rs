//! One payment attempt, from its beginning to where its gateway leaves it: append, authorize, sell, capture. Whatever
//! is not certain is left to the settler. Needs no clock; every wait is its port's.

use std::time::Duration;

use compact_str::CompactString;
use flashsale_core::{Command, HoldNumber, Outcome, PaymentKey, Refusal, SubjectKey};

use crate::ports::{Amount, PaymentError, Payments, ProviderState};
use crate::record::Entry;
use crate::submit::{Submit, Submitted};

/// One attempt.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The reservation.
    pub hold: HoldNumber,
    /// Whose it is.
    pub subject: SubjectKey,
    /// The caller's name, for the log.
    pub name: CompactString,
    /// The provider's idempotency key.
    pub payment: PaymentKey,
    /// What it costs.
    pub amount: Amount,
    /// What it is paid with.
    pub method: String,
}

/// Where an attempt was left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Paid {
    /// Sold, captured and recorded. The hold is another than asked for when a late payment got a fresh unit.
    Confirmed(HoldNumber),
    /// The shopper must do something first, at this address.
    RequiresAction(String),
    /// The provider refused, and nothing is held.
    Declined(String),
    /// The sale refused.
    Refused(Refusal),
    /// The command came to something that it never comes to.
    Unexpected,
    /// Its first command was not appended, for this reason: nothing began.
    Overloaded(&'static str),
    /// Not known yet: the settler goes on with it.
    Pending,
}

/// The ports of an attempt, and how long it waits for each decision.
pub struct Paying<'a> {
    /// The way into the log.
    pub submit: &'a dyn Submit,
    /// The provider.
    pub payments: &'a dyn Payments,
    /// How long a decision is waited for.
    pub within: Duration,
}

impl Paying<'_> {
    /// Makes the attempt. Repeated with the same payment, it goes on where it was left.
    pub async fn pay(&self, attempt: &Attempt) -> Paid {
        let Attempt { hold, subject, payment, .. } = *attempt;
        match self.submit(Command::PayStart { hold, subject, payment }, attempt).await {
            Submitted::Decided { outcome: Outcome::PaymentStarted { .. }, .. } => {}
            Submitted::Decided { outcome, .. } => return refused(outcome),
            Submitted::Overloaded(reason) => return Paid::Overloaded(reason),
            Submitted::Pending => return Paid::Pending,
        }
        match self.payments.authorize(payment, attempt.amount, &attempt.method).await {
            Ok(ProviderState::Authorized | ProviderState::Captured) => self.sell(attempt).await,
            Ok(ProviderState::RequiresAction(url)) => Paid::RequiresAction(url),
            Ok(ProviderState::Declined(why)) | Err(PaymentError::Refused(why)) => self.declined(attempt, why).await,
            Ok(ProviderState::Voided | ProviderState::Refunded) => {
                self.declined(attempt, "this attempt is over".to_owned()).await
            }
            Ok(ProviderState::Unknown) | Err(PaymentError::Unknown(_)) => Paid::Pending,
        }
    }

    async fn sell(&self, attempt: &Attempt) -> Paid {
        let Attempt { hold, subject, payment, .. } = *attempt;
        match self.submit(Command::Confirm { hold, subject, payment }, attempt).await {
            Submitted::Decided { outcome: Outcome::Confirmed { hold, .. }, .. } => self.capture(attempt, hold).await,
            Submitted::Decided { outcome: Outcome::VoidPayment { refusal }, .. } => {
                // The settler voids it again if this fails.
                if let Ok(ProviderState::Voided) = self.payments.void(payment).await {
                    self.submit(Command::Voided { payment }, attempt).await;
                }
                Paid::Refused(refusal)
            }
            Submitted::Decided { outcome, .. } => refused(outcome),
            Submitted::Overloaded(_) | Submitted::Pending => Paid::Pending,
        }
    }

    async fn capture(&self, attempt: &Attempt, hold: HoldNumber) -> Paid {
        let payment = attempt.payment;
        match self.payments.capture(payment).await {
            Ok(ProviderState::Captured) => match self.submit(Command::Captured { payment }, attempt).await {
                Submitted::Decided { outcome: Outcome::Done | Outcome::Unchanged, .. } => Paid::Confirmed(hold),
                _ => Paid::Pending,
            },
            Err(PaymentError::Refused(why)) | Ok(ProviderState::Declined(why)) => {
                self.submit(Command::CaptureFailed { payment }, attempt).await;
                Paid::Declined(why)
            }
            _ => Paid::Pending,
        }
    }

    async fn declined(&self, attempt: &Attempt, why: String) -> Paid {
        self.submit(Command::Voided { payment: attempt.payment }, attempt).await;
        Paid::Declined(why)
    }

    async fn submit(&self, command: Command, attempt: &Attempt) -> Submitted {
        self.submit.submit(Entry { command, words: attempt.name.clone() }, self.within).await
    }
}

fn refused(outcome: Outcome) -> Paid {
    match outcome {
        Outcome::Refused(refusal) | Outcome::VoidPayment { refusal } => Paid::Refused(refusal),
        _ => Paid::Unexpected,
    }
}
