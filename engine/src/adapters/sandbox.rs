//! The built-in payment provider, for trying and for rehearsals: durable records of its own, and a payment method for
//! everything that goes wrong with money.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use flashsale_core::PaymentKey;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{Connection, Row, SqliteConnection};
use tokio::sync::Mutex;

use crate::ports::{Amount, PaymentError, Payments, ProviderState};

/// What `pm_slow_5s` takes.
const SLOW: Duration = Duration::from_secs(5);

/// The amount of a payment that was voided before it was authorized.
const NOTHING: Amount = Amount { minor: 0, currency: *b"XXX" };

/// The methods it knows: [`authorize`](Payments::authorize) refuses others.
pub const METHODS: [&str; 8] = [
    "pm_ok",
    "pm_declined",
    "pm_slow_5s",
    "pm_timeout_captured",
    "pm_timeout_not_captured",
    "pm_duplicate",
    "pm_requires_action",
    "pm_capture_fails",
];

/// The sandbox. Its records survive a killed process (not a power cut: no real money is in them).
pub struct Sandbox(Mutex<SqliteConnection>);

impl Sandbox {
    /// Opens (or makes) its records.
    ///
    /// # Errors
    /// When the file is not the sandbox's.
    pub async fn open(path: &Path) -> Result<Self, sqlx::Error> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal);
        let mut connection = SqliteConnection::connect_with(&options).await?;
        sqlx::migrate!("../migrations/sqlite/sandbox").run(&mut connection).await?;
        Ok(Self(Mutex::new(connection)))
    }

    async fn state(&self, key: PaymentKey) -> Result<(ProviderState, String), PaymentError> {
        let row = sqlx::query("select state, method from payments where key = ?")
            .bind(key.0.as_slice())
            .fetch_optional(&mut *self.0.lock().await)
            .await
            .map_err(unknown)?;
        let Some(row) = row else { return Ok((ProviderState::Unknown, String::new())) };
        let state: String = row.try_get(0).map_err(unknown)?;
        Ok((serde_json::from_str(&state).map_err(unknown)?, row.try_get(1).map_err(unknown)?))
    }

    async fn record(
        &self,
        key: PaymentKey,
        amount: Amount,
        method: &str,
        state: &ProviderState,
    ) -> Result<(), PaymentError> {
        // The first attempt under a key is the only one: a repeat changes nothing.
        sqlx::query(
            "insert into payments (key, minor, currency, method, state) values (?, ?, ?, ?, ?) on conflict do nothing",
        )
        .bind(key.0.as_slice())
        .bind(amount.minor)
        .bind(String::from_utf8_lossy(&amount.currency).into_owned())
        .bind(method)
        .bind(serde_json::to_string(state).map_err(unknown)?)
        .execute(&mut *self.0.lock().await)
        .await
        .map_err(unknown)
        .map(|_| ())
    }

    async fn go_to(&self, key: PaymentKey, state: ProviderState) -> Result<ProviderState, PaymentError> {
        sqlx::query("update payments set state = ? where key = ?")
            .bind(serde_json::to_string(&state).map_err(unknown)?)
            .bind(key.0.as_slice())
            .execute(&mut *self.0.lock().await)
            .await
            .map_err(unknown)?;
        Ok(state)
    }
}

fn unknown(error: impl std::fmt::Display) -> PaymentError {
    PaymentError::Unknown(error.to_string())
}

#[async_trait]
impl Payments for Sandbox {
    async fn authorize(&self, key: PaymentKey, amount: Amount, method: &str) -> Result<ProviderState, PaymentError> {
        let (known, _) = self.state(key).await?;
        if known != ProviderState::Unknown {
            return Ok(known);
        }
        let lost = || Err(PaymentError::Unknown("the answer was lost".to_owned()));
        match method {
            "pm_ok" | "pm_capture_fails" => self.record(key, amount, method, &ProviderState::Authorized).await?,
            "pm_slow_5s" => {
                tokio::time::sleep(SLOW).await;
                self.record(key, amount, method, &ProviderState::Authorized).await?;
            }
            "pm_timeout_captured" => {
                self.record(key, amount, method, &ProviderState::Captured).await?;
                return lost();
            }
            "pm_timeout_not_captured" => return lost(),
            "pm_duplicate" => {
                self.record(key, amount, method, &ProviderState::Authorized).await?;
                self.record(key, amount, method, &ProviderState::Authorized).await?;
            }
            "pm_requires_action" => {
                let url = format!("https://sandbox.invalid/authenticate/{}", crate::id::hex(&key.0));
                self.record(key, amount, method, &ProviderState::RequiresAction(url)).await?;
            }
            "pm_declined" => {
                self.record(key, amount, method, &ProviderState::Declined("the card was declined".to_owned())).await?;
            }
            other => {
                let why = format!("the sandbox has no method {other}; it has {}", METHODS.join(", "));
                self.record(key, amount, method, &ProviderState::Declined(why)).await?;
            }
        }
        self.state(key).await.map(|(state, _)| state)
    }

    async fn capture(&self, key: PaymentKey) -> Result<ProviderState, PaymentError> {
        match self.state(key).await? {
            (ProviderState::Captured, _) => Ok(ProviderState::Captured),
            (ProviderState::Authorized, method) if method == "pm_capture_fails" => {
                Err(PaymentError::Refused("the issuer refused to capture".to_owned()))
            }
            (ProviderState::Authorized, _) => self.go_to(key, ProviderState::Captured).await,
            (state, _) => Err(PaymentError::Refused(format!("nothing to capture: {state:?}"))),
        }
    }

    async fn void(&self, key: PaymentKey) -> Result<ProviderState, PaymentError> {
        match self.state(key).await? {
            (ProviderState::Authorized | ProviderState::RequiresAction(_), _) => {
                self.go_to(key, ProviderState::Voided).await
            }
            (ProviderState::Captured, _) => Err(PaymentError::Refused("captured money is refunded".to_owned())),
            (ProviderState::Unknown, _) => {
                self.record(key, NOTHING, "", &ProviderState::Voided).await?;
                self.state(key).await.map(|(state, _)| state)
            }
            (state, _) => Ok(state),
        }
    }

    async fn refund(&self, key: PaymentKey, _refund: &str) -> Result<ProviderState, PaymentError> {
        match self.state(key).await? {
            (ProviderState::Captured, _) => self.go_to(key, ProviderState::Refunded).await,
            (ProviderState::Refunded, _) => Ok(ProviderState::Refunded),
            (state, _) => Err(PaymentError::Refused(format!("nothing to refund: {state:?}"))),
        }
    }

    async fn look_up(&self, key: PaymentKey) -> Result<ProviderState, PaymentError> {
        self.state(key).await.map(|(state, _)| state)
    }

    async fn all(&self) -> Result<Vec<(PaymentKey, Amount, ProviderState)>, PaymentError> {
        let rows = sqlx::query("select key, minor, currency, state from payments order by key")
            .fetch_all(&mut *self.0.lock().await)
            .await
            .map_err(unknown)?;
        let mut all = Vec::with_capacity(rows.len());
        for row in rows {
            let key: Vec<u8> = row.try_get(0).map_err(unknown)?;
            let currency: String = row.try_get(2).map_err(unknown)?;
            let state: String = row.try_get(3).map_err(unknown)?;
            let wrong = || PaymentError::Unknown("a record is malformed".to_owned());
            let amount = Amount {
                minor: row.try_get(1).map_err(unknown)?,
                currency: currency.into_bytes().try_into().map_err(|_| wrong())?,
            };
            let key = PaymentKey(key.try_into().map_err(|_| wrong())?);
            all.push((key, amount, serde_json::from_str(&state).map_err(unknown)?));
        }
        Ok(all)
    }
}
