//! Refusals as RFC 9457 documents: a code, whether to try again, and when.

use bytes::Bytes;
use flashsale_core::Refusal;
use http_body_util::Full;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Response, StatusCode};

/// An answer.
pub type Answer = Response<Full<Bytes>>;

/// Where a code's page is found, from this repository's top; the `type` of its documents.
const PAGES: &str = "docs/errors";

/// What a code means on the wire.
pub struct Meaning {
    /// The code.
    pub code: &'static str,
    /// Its status.
    pub status: u16,
    /// For people.
    pub title: &'static str,
    /// The same request may get another answer later.
    pub retryable: bool,
}

/// Every code of the shopper API.
pub const CODES: &[Meaning] = &[
    meaning("bad_request", 400, "The request is malformed", false),
    meaning("unauthorized", 401, "A valid token is required", false),
    meaning("payment_declined", 402, "The payment was declined", true),
    meaning("not_found", 404, "There is no such thing, or it is not yours", false),
    meaning("method_not_allowed", 405, "The path does not take this method", false),
    meaning("request_timeout", 408, "The request took too long to arrive", true),
    meaning("sold_out", 409, "Every unit is sold", false),
    meaning("all_held", 409, "Every unit is sold or held; some may come back", true),
    meaning("limit_reached", 409, "You have as many as one customer may have", false),
    meaning("not_open", 409, "The sale has not opened", true),
    meaning("already_paid", 409, "It is paid already", false),
    meaning("closed", 410, "The sale is closed", false),
    meaning("hold_expired", 410, "The reservation's time is over", false),
    meaning("body_too_large", 413, "The body is too large", false),
    meaning("idempotency_mismatch", 422, "The Idempotency-Key was used for something else", false),
    meaning("paced", 429, "Units are released at a pace; try again", true),
    meaning("payment_limit", 429, "Too many payment attempts on one reservation", false),
    meaning("internal", 500, "Something is wrong here", true),
    meaning("halted", 503, "The sale is halted", true),
    meaning("overloaded", 503, "Too much is waiting; try again", true),
];

const fn meaning(code: &'static str, status: u16, title: &'static str, retryable: bool) -> Meaning {
    Meaning { code, status, title, retryable }
}

/// A refusal with an explanation and perhaps the seconds after which to try again.
#[must_use]
pub fn problem(code: &str, detail: &str, retry_after: Option<u64>) -> Answer {
    let unknown = meaning("internal", 500, "Something is wrong here", true);
    let meaning = CODES.iter().find(|known| known.code == code).unwrap_or(&unknown);
    let body = serde_json::json!({
        "type": format!("{PAGES}/{}.md", meaning.code),
        "title": meaning.title,
        "status": meaning.status,
        "code": meaning.code,
        "retryable": meaning.retryable,
        "detail": detail,
    });
    let mut answer = Response::new(Full::new(Bytes::from(body.to_string())));
    *answer.status_mut() = StatusCode::from_u16(meaning.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if meaning.status == 401 {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if let Some(seconds) = retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    answer
}

/// The document of a decided refusal. `retry_after` counts for those that may change.
#[must_use]
pub fn refused(refusal: Refusal, retry_after: Option<u64>) -> Answer {
    let code = match refusal {
        Refusal::Impossible => "bad_request",
        other => other.code(),
    };
    let seconds = match refusal {
        Refusal::AllHeld | Refusal::NotOpen => retry_after,
        Refusal::Paced | Refusal::Halted | Refusal::PaymentLimit => Some(retry_after.unwrap_or(1)),
        _ => None,
    };
    problem(code, "", seconds)
}

/// A JSON answer.
#[must_use]
pub fn json(status: StatusCode, body: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_page() {
        for meaning in CODES {
            let page = format!("{}/../{PAGES}/{}.md", env!("CARGO_MANIFEST_DIR"), meaning.code);
            let text = std::fs::read_to_string(&page).unwrap_or_else(|_| panic!("{page}"));
            assert!(text.contains(&meaning.status.to_string()), "{page} names another status");
        }
    }
}
