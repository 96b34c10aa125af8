//! The operator API as commands call it.

use std::time::Duration;

use flashsale_engine::operator::wire::{Change, ChangeRequest, Changed, PrewarmRequest, Status, Warmed};

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::place::{self, Target};

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection to a sale's engine.
#[derive(Debug, Clone)]
pub struct Client {
    /// The operator API.
    pub url: String,
    /// Its token.
    pub token: String,
    http: reqwest::Client,
}

impl Client {
    /// To the sale that is meant.
    pub fn to(context: &Context, target: &Target) -> Result<Self, Failure> {
        let url = match target {
            Target::Remote(url) => url.clone(),
            Target::Local(folder) => {
                let addresses = place::addresses(folder).ok_or_else(|| {
                    Failure::new(Exit::Unavailable, "the sale's engine is not running").help("flashsale up")
                })?;
                format!("http://{}", addresses.operator)
            }
        };
        let http = reqwest::Client::builder()
            .timeout(PATIENCE)
            .build()
            .map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
        Ok(Self { url, token: token(context, target)?, http })
    }

    /// `GET /v1/status`
    pub async fn status(&self) -> Result<Status, Failure> {
        let answer = self.http.get(format!("{}/v1/status", self.url)).bearer_auth(&self.token).send().await;
        let answer = answer.map_err(|error| self.away(&error))?;
        if answer.status() == reqwest::StatusCode::UNAUTHORIZED {
            return Err(Failure::new(Exit::Denied, "the operator's token was refused").help("--token-file FILE"));
        }
        answer.json().await.map_err(|error| self.away(&error))
    }

    /// `GET /metrics`
    pub async fn metrics(&self) -> reqwest::Result<String> {
        let answer = self.http.get(format!("{}/metrics", self.url)).bearer_auth(&self.token).send().await;
        answer?.error_for_status()?.text().await
    }

    /// `POST /v1/prewarm`; waits as long as it may take.
    pub async fn prewarm(&self, within: Duration) -> Result<Warmed, Failure> {
        let request = PrewarmRequest { within_ms: u64::try_from(within.as_millis()).unwrap_or(u64::MAX) };
        let call = self.http.post(format!("{}/v1/prewarm", self.url)).bearer_auth(&self.token).json(&request);
        let answer = call.timeout(within + PATIENCE).send().await.map_err(|error| self.away(&error))?;
        let answer = answer.error_for_status().map_err(|error| self.away(&error))?;
        answer.json().await.map_err(|error| self.away(&error))
    }

    /// Asks for a change.
    pub async fn change(&self, change: Change, reason: &str) -> Result<Changed, Failure> {
        let route = flashsale_engine::operator::changes::word(&change);
        let request =
            ChangeRequest { id: uuid::Uuid::now_v7().to_string(), by: operator(), reason: reason.to_owned(), change };
        let call = self.http.post(format!("{}/v1/{route}", self.url)).bearer_auth(&self.token).json(&request);
        let answer = call.send().await.map_err(|error| self.away(&error))?;
        let status = answer.status();
        if status.is_success() {
            return answer.json().await.map_err(|error| self.away(&error));
        }
        let problem: serde_json::Value = answer.json().await.unwrap_or_default();
        let exit = match problem["code"].as_str() {
            Some("audit_failed") => Exit::Violated,
            Some("unauthorized") => Exit::Denied,
            Some("overloaded") => Exit::Unavailable,
            _ => Exit::Failed,
        };
        let detail = problem["detail"].as_str().unwrap_or("no reason given").to_owned();
        Err(Failure::new(exit, format!("{route}: {detail}")))
    }

    fn away(&self, error: &reqwest::Error) -> Failure {
        Failure::new(Exit::Unavailable, format!("{}: {error}", self.url)).help("flashsale logs; flashsale up")
    }
}

/// Who is at the keyboard, for the audit.
pub fn operator() -> String {
    std::env::var("USER").ok().filter(|name| !name.is_empty()).unwrap_or_else(|| "operator".to_owned())
}

fn token(context: &Context, target: &Target) -> Result<String, Failure> {
    let file = match (&context.token_file, std::env::var("FLASHSALE_TOKEN"), target) {
        (Some(file), _, _) => file.clone(),
        (None, Ok(token), _) if !token.is_empty() => return Ok(token),
        (None, _, Target::Local(folder)) => folder.operator_token(),
        (None, _, Target::Remote(_)) => {
            return Err(Failure::new(Exit::Denied, "an operator's token is needed")
                .help("--token-file FILE, or FLASHSALE_TOKEN in the environment"));
        }
    };
    let text = std::fs::read_to_string(&file)
        .map_err(|error| Failure::new(Exit::Denied, format!("{}: {error}", file.display())))?;
    Ok(text.trim().to_owned())
}
