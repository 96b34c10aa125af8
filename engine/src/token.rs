//! Shoppers' tokens: JWTs signed by the shop, verified here, minted here only for tests and rehearsals.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use compact_str::CompactString;
use flashsale_core::SubjectKey;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::id;
use crate::sale::definition::{Secret, TokenAlgorithm, TokenKey};

/// Keys in use at once: for rotation.
pub const MOST_KEYS: usize = 4;
/// The longest token, bytes.
pub const LONGEST: usize = 1_024;
/// The longest `sub`, bytes.
pub const LONGEST_SUBJECT: usize = 64;
/// The longest life of a token, seconds.
pub const LONGEST_LIFE: u64 = 24 * 3_600;
/// How far clocks may differ, seconds.
const LEEWAY: u64 = 30;
/// Verified tokens remembered by one verifier; when they are this many, all are forgotten.
const REMEMBERED: usize = 65_536;
/// The tier of the shop's own server, which may read every reservation.
pub const SERVER_TIER: &str = "server";
/// The key id of the key that `up` makes when the file names none.
pub const LOCAL_KID: &str = "local";

/// The claims of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The shopper.
    pub sub: String,
    /// `suspect`, `new`, `verified`, `premium`, or `server` for the shop itself.
    #[serde(default)]
    pub tier: Option<String>,
    /// The sale's name.
    pub aud: String,
    /// When it ends, Unix seconds.
    pub exp: u64,
    /// When the shopper's session began, Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_started: Option<u64>,
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The token's `sub`.
    pub name: CompactString,
    /// Its key.
    pub subject: SubjectKey,
    /// The shop's own server.
    pub server: bool,
}

/// Why a token is refused; the text is safe to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// There is none.
    #[error("a bearer token is required")]
    Missing,
    /// It is longer than [`LONGEST`].
    #[error("the token is longer than 1024 bytes")]
    TooLong,
    /// It is not a JWT of a known key and its algorithm.
    #[error("the token's key is unknown or its algorithm is not that key's")]
    UnknownKey,
    /// Its signature, audience or expiry is wrong.
    #[error("the token is not valid for this sale now")]
    Invalid,
    /// It lives longer than [`LONGEST_LIFE`], or its subject is empty or too long.
    #[error("the token's claims are out of bounds (sub of 1 to 64 bytes, exp within 24 h)")]
    OutOfBounds,
}

/// A key could not be read.
#[derive(Debug, thiserror::Error)]
#[error("token key {kid}: {what}")]
pub struct KeyError {
    kid: String,
    what: String,
}

/// The keys of a sale, shared by all verifiers.
#[derive(Clone)]
pub struct Keys {
    keys: Vec<(String, Algorithm, DecodingKey)>,
    audience: String,
}

impl Keys {
    /// Reads the defined keys; `local` (base64) is the key made by `up`, used when none is defined.
    ///
    /// # Errors
    /// When a key cannot be read.
    pub fn new(audience: &str, defined: &[TokenKey], local: Option<&str>) -> Result<Self, KeyError> {
        let mut keys = Vec::new();
        for key in defined.iter().take(MOST_KEYS) {
            let wrong = |what: String| KeyError { kid: key.kid.clone(), what };
            let text = read_secret(&key.key).map_err(wrong)?;
            let (algorithm, decoding) = match key.algorithm {
                TokenAlgorithm::Hs256 => (Algorithm::HS256, DecodingKey::from_base64_secret(text.trim())),
                TokenAlgorithm::EdDsa => (Algorithm::EdDSA, DecodingKey::from_ed_pem(text.as_bytes())),
            };
            keys.push((key.kid.clone(), algorithm, decoding.map_err(|error| wrong(error.to_string()))?));
        }
        if let Some(local) = local.filter(|_| keys.is_empty()) {
            let decoding = DecodingKey::from_base64_secret(local.trim())
                .map_err(|error| KeyError { kid: LOCAL_KID.to_owned(), what: error.to_string() })?;
            keys.push((LOCAL_KID.to_owned(), Algorithm::HS256, decoding));
        }
        Ok(Self { keys, audience: audience.to_owned() })
    }

    /// Verifies a token from nothing.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn verify(&self, token: &str, now: u64) -> Result<(Caller, u64), TokenError> {
        if token.len() > LONGEST {
            return Err(TokenError::TooLong);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::UnknownKey)?;
        let kid = header.kid.as_deref().ok_or(TokenError::UnknownKey)?;
        let known = self.keys.iter().find(|(known, algorithm, _)| known == kid && *algorithm == header.alg);
        let (_, algorithm, key) = known.ok_or(TokenError::UnknownKey)?;
        let mut validation = Validation::new(*algorithm);
        validation.leeway = LEEWAY;
        validation.set_audience(&[&self.audience]);
        validation.set_required_spec_claims(&["exp", "aud", "sub"]);
        let claims = jsonwebtoken::decode::<Claims>(token, key, &validation).map_err(|_| TokenError::Invalid)?.claims;
        let fits = (1..=LONGEST_SUBJECT).contains(&claims.sub.len()) && claims.exp <= now + LONGEST_LIFE + LEEWAY;
        if !fits {
            return Err(TokenError::OutOfBounds);
        }
        let caller = Caller {
            subject: id::subject(&claims.sub),
            name: claims.sub.into(),
            server: claims.tier.as_deref() == Some(SERVER_TIER),
        };
        Ok((caller, claims.exp))
    }
}

/// Verifies tokens and remembers those that were good, until they end. One a thread.
pub struct Verifier {
    keys: Keys,
    good: HashMap<[u8; 32], (Caller, u64)>,
}

impl Verifier {
    /// A verifier that remembers nothing yet.
    #[must_use]
    pub fn new(keys: Keys) -> Self {
        Self { keys, good: HashMap::new() }
    }

    /// Who the token's bearer is.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn verify(&mut self, token: &str) -> Result<Caller, TokenError> {
        if token.len() > LONGEST {
            return Err(TokenError::TooLong);
        }
        let now = unix_seconds();
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        match self.good.get(&hash) {
            Some((caller, end)) if *end + LEEWAY > now => return Ok(caller.clone()),
            _ => {}
        }
        let (caller, end) = self.keys.verify(token, now)?;
        if self.good.len() >= REMEMBERED {
            self.good.clear();
        }
        self.good.insert(hash, (caller.clone(), end));
        Ok(caller)
    }
}

/// Mints HS256 tokens, for tests, rehearsals and the crowd.
#[derive(Clone)]
pub struct Mint {
    key: EncodingKey,
    header: Header,
    audience: String,
}

impl Mint {
    /// With the base64 secret of a key.
    ///
    /// # Errors
    /// When it is not base64.
    pub fn new(audience: &str, kid: &str, secret: &str) -> Result<Self, KeyError> {
        let key = EncodingKey::from_base64_secret(secret.trim())
            .map_err(|error| KeyError { kid: kid.to_owned(), what: error.to_string() })?;
        let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::HS256) };
        Ok(Self { key, header, audience: audience.to_owned() })
    }

    /// A token for a shopper, good for `life` seconds.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn token(&self, subject: &str, tier: &str, life: u64) -> Result<String, KeyError> {
        let claims = Claims {
            sub: subject.to_owned(),
            tier: Some(tier.to_owned()),
            aud: self.audience.clone(),
            exp: unix_seconds() + life.min(LONGEST_LIFE),
            session_started: None,
        };
        jsonwebtoken::encode(&self.header, &claims, &self.key)
            .map_err(|error| KeyError { kid: self.header.kid.clone().unwrap_or_default(), what: error.to_string() })
    }
}

/// A new random HS256 secret, base64.
#[must_use]
pub fn new_secret() -> String {
    base64::engine::general_purpose::STANDARD.encode(rand::random::<[u8; 32]>())
}

/// Reads a secret from where the definition says it is.
///
/// # Errors
/// The text names the variable or file, never its content.
pub fn read_secret(secret: &Secret) -> Result<String, String> {
    match secret {
        Secret::Env(name) => std::env::var(name).map_err(|error| format!("environment variable {name}: {error}")),
        Secret::File(path) => std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display())),
    }
}

fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(secret: &str) -> Keys {
        Keys::new("drop", &[], Some(secret)).unwrap()
    }

    #[test]
    fn a_minted_token_says_who_calls_and_is_remembered() {
        let secret = new_secret();
        let token = Mint::new("drop", LOCAL_KID, &secret).unwrap().token("alice", "new", 60).unwrap();
        let mut verifier = Verifier::new(keys(&secret));
        let caller = verifier.verify(&token).unwrap();
        assert_eq!((caller.name.as_str(), caller.server), ("alice", false));
        assert_eq!(verifier.verify(&token).unwrap(), caller);
        assert_eq!(verifier.good.len(), 1);
    }

    #[test]
    fn what_is_not_a_token_of_this_sale_is_refused() {
        let secret = new_secret();
        let mint = |audience: &str, kid: &str, secret: &str| Mint::new(audience, kid, secret).unwrap();
        let good = mint("drop", LOCAL_KID, &secret);
        let long = "x".repeat(LONGEST_SUBJECT + 1);
        let none = "eyJhbGciOiJub25lIiwia2lkIjoibG9jYWwifQ.eyJzdWIiOiJhIn0.";
        let rows = [
            (mint("other", LOCAL_KID, &secret).token("a", "new", 60).unwrap(), TokenError::Invalid),
            (mint("drop", "stranger", &secret).token("a", "new", 60).unwrap(), TokenError::UnknownKey),
            (mint("drop", LOCAL_KID, &new_secret()).token("a", "new", 60).unwrap(), TokenError::Invalid),
            (good.token("", "new", 60).unwrap(), TokenError::OutOfBounds),
            (good.token(&long, "new", 60).unwrap(), TokenError::OutOfBounds),
            (none.to_owned(), TokenError::UnknownKey),
            ("not.a.token".to_owned(), TokenError::UnknownKey),
            ("x".repeat(LONGEST + 1), TokenError::TooLong),
        ];
        for (token, expected) in rows {
            assert_eq!(Verifier::new(keys(&secret)).verify(&token), Err(expected), "{token}");
        }
    }
}
