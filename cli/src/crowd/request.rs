//! What a request is for, and its bytes.

use std::io::Write as _;
use std::time::Duration;

use super::audience::Audience;

/// What a request is for.
#[derive(Debug, Clone)]
pub(super) struct About {
    pub(super) step: Step,
    /// Since the storm's beginning.
    pub(super) intended: Duration,
    pub(super) who: usize,
    pub(super) key: u64,
    pub(super) tries: u8,
    /// The reservation, or the request that is polled; empty for most.
    pub(super) named: String,
}

/// What somebody does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Look,
    Reserve,
    Poll,
    Pay { method: &'static str },
    Cancel,
}

impl Step {
    /// Every name, in the order of [`Step::place`].
    pub(super) const NAMES: [&'static str; 5] = ["look", "reserve", "poll", "checkout", "cancel"];

    /// Its place among the kinds of request.
    pub(super) const fn place(self) -> usize {
        match self {
            Self::Look => 0,
            Self::Reserve => 1,
            Self::Poll => 2,
            Self::Pay { .. } => 3,
            Self::Cancel => 4,
        }
    }
}

/// Writes a request. Writing to memory cannot fail.
pub(super) fn write(about: &About, skus: &[String], audience: &Audience, out: &mut Vec<u8>) {
    let sku = skus.get(usize::try_from(about.key).unwrap_or(0) % skus.len().max(1)).map_or("", String::as_str);
    let named = &about.named;
    let _ = match about.step {
        Step::Look => {
            out.extend_from_slice(b"GET /v1/skus/");
            out.extend_from_slice(sku.as_bytes());
            out.extend_from_slice(b"/availability HTTP/1.1\r\nhost: shop\r\n\r\n");
            return;
        }
        Step::Reserve => {
            out.extend_from_slice(b"POST /v1/skus/");
            out.extend_from_slice(sku.as_bytes());
            out.extend_from_slice(b"/reserve");
            Ok(())
        }
        Step::Poll => write!(out, "GET /v1/requests/{named}"),
        Step::Pay { .. } => write!(out, "POST /v1/reservations/{named}/checkout"),
        Step::Cancel => write!(out, "DELETE /v1/reservations/{named}"),
    };
    out.extend_from_slice(b" HTTP/1.1\r\nhost: shop\r\nauthorization: Bearer ");
    out.extend_from_slice(audience.all.get(about.who).map_or("", |someone| someone.token.as_str()).as_bytes());
    let _ = match about.step {
        Step::Pay { method } => {
            let body = format!("{{\"payment_method\":\"{method}\"}}");
            write!(out, "\r\nidempotency-key: c{}{method}\r\ncontent-length: {}\r\n\r\n{body}", about.key, body.len())
        }
        _ => write!(out, "\r\nidempotency-key: c{}\r\ncontent-length: 0\r\n\r\n", about.key),
    };
}

#[cfg(test)]
mod tests {
    use flashsale_engine::sale::definition::Crowd;
    use flashsale_engine::token::{LOCAL_KID, Mint, new_secret};

    use super::*;

    #[test]
    fn requests_say_what_is_meant() {
        let crowd: Crowd = serde_json::from_value(serde_json::json!({
            "shoppers": 1, "connections": 1, "seed": 1, "arrivals": [], "bots": [],
            "people": { "hesitate": 1_000, "pay": 1.0, "cancel": 0.0, "declined": 0.0 },
        }))
        .unwrap();
        let mint = Mint::new("drop", LOCAL_KID, &new_secret()).unwrap();
        let audience = Audience::new(&crowd, &mint).unwrap();
        let token = &audience.all[0].token;
        let about = |step, named: &str| About {
            step,
            intended: Duration::ZERO,
            who: 0,
            key: 7,
            tries: 0,
            named: named.to_owned(),
        };
        let auth = format!("HTTP/1.1\r\nhost: shop\r\nauthorization: Bearer {token}\r\nidempotency-key: c7");
        let rows = [
            (Step::Look, "", "GET /v1/skus/S/availability HTTP/1.1\r\nhost: shop\r\n\r\n".to_owned()),
            (Step::Reserve, "", format!("POST /v1/skus/S/reserve {auth}\r\ncontent-length: 0\r\n\r\n")),
            (Step::Poll, "abc", format!("GET /v1/requests/abc {auth}\r\ncontent-length: 0\r\n\r\n")),
            (
                Step::Pay { method: "pm_ok" },
                "res-1",
                format!(
                    "POST /v1/reservations/res-1/checkout {auth}pm_ok\r\ncontent-length: 26\r\n\r\n{{\"payment_method\":\"pm_ok\"}}"
                ),
            ),
            (Step::Cancel, "res-1", format!("DELETE /v1/reservations/res-1 {auth}\r\ncontent-length: 0\r\n\r\n")),
        ];
        for (step, named, expected) in rows {
            let mut out = Vec::new();
            write(&about(step, named), &["S".to_owned()], &audience, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
