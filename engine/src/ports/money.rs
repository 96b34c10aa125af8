//! The payment provider as the engine needs it.

use async_trait::async_trait;
use flashsale_core::PaymentKey;
use serde::{Deserialize, Serialize};

/// An amount in a currency's smallest unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount {
    /// Cents, pence, yen.
    pub minor: i64,
    /// ISO 4217, three letters.
    pub currency: [u8; 3],
}

/// What a provider says of a payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderState {
    /// It has never heard of it.
    Unknown,
    /// The shopper must do something first, at this address.
    RequiresAction(String),
    /// Refused.
    Declined(String),
    /// The money is held.
    Authorized,
    /// The money is the shop's.
    Captured,
    /// Nothing is held.
    Voided,
    /// The money went back.
    Refunded,
}

/// Why the provider gave no state.
#[derive(Debug, thiserror::Error)]
pub enum PaymentError {
    /// It certainly did not do it.
    #[error("the payment provider refused: {0}")]
    Refused(String),
    /// It may have done it: look it up, never retry under a new key.
    #[error("no answer from the payment provider: {0}")]
    Unknown(String),
}

/// The payment provider. Every call is idempotent by the payment's key.
#[async_trait]
pub trait Payments: Send + Sync {
    /// Holds the money. The first answer under a key is the only one, whatever it was.
    async fn authorize(&self, key: PaymentKey, amount: Amount, method: &str) -> Result<ProviderState, PaymentError>;
    /// Takes the held money.
    async fn capture(&self, key: PaymentKey) -> Result<ProviderState, PaymentError>;
    /// Lets the held money go. A payment that it has never heard of is voided too: asked to authorize it later, by a
    /// question that was long on its way, it answers [`ProviderState::Voided`] and holds nothing.
    async fn void(&self, key: PaymentKey) -> Result<ProviderState, PaymentError>;
    /// Gives captured money back; `refund` is the idempotency key.
    async fn refund(&self, key: PaymentKey, refund: &str) -> Result<ProviderState, PaymentError>;
    /// What the provider knows of it.
    async fn look_up(&self, key: PaymentKey) -> Result<ProviderState, PaymentError>;
    /// Every payment the provider knows, with its amount: for the audit.
    async fn all(&self) -> Result<Vec<(PaymentKey, Amount, ProviderState)>, PaymentError>;
}
