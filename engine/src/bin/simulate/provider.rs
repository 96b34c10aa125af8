//! The payment provider, with records of its own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use flashsale_core::PaymentKey;
use flashsale_engine::ports::{Amount, PaymentError, Payments, ProviderState};

use crate::faults::{Fault, Faults};
use crate::sim::{Sim, lock};
use crate::wire::{Fate, Way, ask};

/// The way to the provider. What is late is later than its sender waits, and sooner than the settler gives up on it.
const WAY: Way = Way { low: 500, high: 60_000, limit: Duration::from_millis(500), late: Duration::from_millis(700) };

/// What the provider knows of a payment.
#[derive(Debug, Clone)]
pub struct Paid {
    pub amount: Amount,
    pub state: ProviderState,
    /// It will not capture this one.
    refuses_capture: bool,
    /// It fails to void this one so many times.
    failing_voids: u32,
}

/// The provider.
pub struct Provider {
    sim: Sim,
    faults: Arc<Faults>,
    pub paid: Mutex<BTreeMap<PaymentKey, Paid>>,
}

/// A process's connection to it.
pub struct Desk(pub Arc<Provider>);

impl Provider {
    /// One that knows nothing.
    pub fn new(sim: &Sim, faults: &Arc<Faults>) -> Arc<Self> {
        Arc::new(Self { sim: sim.clone(), faults: Arc::clone(faults), paid: Mutex::default() })
    }

    /// What it says of a payment.
    pub fn state(&self, key: PaymentKey) -> ProviderState {
        lock(&self.paid).get(&key).map_or(ProviderState::Unknown, |paid| paid.state.clone())
    }

    fn authorize(&self, key: PaymentKey, amount: Amount) -> ProviderState {
        let state = if self.faults.strikes(Fault::Declined) {
            ProviderState::Declined("no money".into())
        } else {
            ProviderState::Authorized
        };
        let refuses_capture = self.faults.strikes(Fault::CaptureRefused);
        let failing_voids = if self.faults.strikes(Fault::VoidRefused) {
            self.sim.chance(|chance| u32::try_from(chance.between(1, 12)).unwrap_or(1))
        } else {
            0
        };
        let fresh = Paid { amount, state, refuses_capture, failing_voids };
        // The first attempt under a key is the only one.
        lock(&self.paid).entry(key).or_insert(fresh).state.clone()
    }

    fn capture(&self, key: PaymentKey) -> Result<ProviderState, PaymentError> {
        let refused = |why: &str| Err(PaymentError::Refused(why.to_owned()));
        match lock(&self.paid).get_mut(&key) {
            None => refused("never heard of it"),
            Some(paid) => match paid.state {
                ProviderState::Captured => Ok(ProviderState::Captured),
                ProviderState::Authorized if paid.refuses_capture => refused("the issuer refused to capture"),
                ProviderState::Authorized => {
                    paid.state = ProviderState::Captured;
                    Ok(ProviderState::Captured)
                }
                _ => refused("nothing to capture"),
            },
        }
    }

    fn void(&self, key: PaymentKey) -> Result<ProviderState, PaymentError> {
        let never = Amount { minor: 0, currency: *b"XXX" };
        let voided = Paid { amount: never, state: ProviderState::Voided, refuses_capture: false, failing_voids: 0 };
        let mut known = lock(&self.paid);
        let paid = known.entry(key).or_insert(voided);
        match paid.state {
            ProviderState::Captured => Err(PaymentError::Refused("captured money is refunded".into())),
            ProviderState::Authorized if paid.failing_voids > 0 => {
                paid.failing_voids -= 1;
                Err(PaymentError::Refused("not now".into()))
            }
            ProviderState::Authorized => {
                paid.state = ProviderState::Voided;
                Ok(ProviderState::Voided)
            }
            _ => Ok(paid.state.clone()),
        }
    }

    fn refund(&self, key: PaymentKey) -> Result<ProviderState, PaymentError> {
        match lock(&self.paid).get_mut(&key) {
            Some(paid) if matches!(paid.state, ProviderState::Captured | ProviderState::Refunded) => {
                paid.state = ProviderState::Refunded;
                Ok(ProviderState::Refunded)
            }
            _ => Err(PaymentError::Refused("nothing to refund".into())),
        }
    }

    async fn asked<T: Send + 'static>(
        self: &Arc<Self>,
        act: impl FnOnce(&Self) -> Result<T, PaymentError> + Send + 'static,
    ) -> Result<T, PaymentError> {
        let faults = &self.faults;
        let fate = if faults.strikes(Fault::PaymentLost) {
            Fate::Lost
        } else if faults.strikes(Fault::PaymentUnheard) {
            Fate::Unheard
        } else if faults.strikes(Fault::PaymentLate) {
            Fate::Late
        } else {
            Fate::Sound
        };
        let provider = Arc::clone(self);
        let answer = ask(&self.sim, WAY, fate, move || act(&provider)).await;
        answer.unwrap_or_else(|| Err(PaymentError::Unknown("no answer within the limit".into())))
    }
}

#[async_trait]
impl Payments for Desk {
    async fn authorize(&self, key: PaymentKey, amount: Amount, _method: &str) -> Result<ProviderState, PaymentError> {
        self.0.asked(move |provider| Ok(provider.authorize(key, amount))).await
    }
    async fn capture(&self, key: PaymentKey) -> Result<ProviderState, PaymentError> {
        self.0.asked(move |provider| provider.capture(key)).await
    }
    async fn void(&self, key: PaymentKey) -> Result<ProviderState, PaymentError> {
        self.0.asked(move |provider| provider.void(key)).await
    }
    async fn refund(&self, key: PaymentKey, _refund: &str) -> Result<ProviderState, PaymentError> {
        self.0.asked(move |provider| provider.refund(key)).await
    }
    async fn look_up(&self, key: PaymentKey) -> Result<ProviderState, PaymentError> {
        self.0.asked(move |provider| Ok(provider.state(key))).await
    }
    async fn all(&self) -> Result<Vec<(PaymentKey, Amount, ProviderState)>, PaymentError> {
        let paid = lock(&self.0.paid);
        Ok(paid.iter().map(|(key, paid)| (*key, paid.amount, paid.state.clone())).collect())
    }
}
