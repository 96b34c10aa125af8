//! `POST /v1/skus/{sku}/reserve`: the request's id first, then the flags, then the log.

use std::rc::Rc;
use std::time::Duration;

use flashsale_core::{Command, HoldNumber, HoldStatus, ItemIndex, Outcome, Refusal, RequestKey};
use hyper::header::HeaderValue;
use hyper::{HeaderMap, StatusCode};
use serde::Deserialize;

use super::availability::unknown;
use super::desk::Desk;
use super::flag::{Known, known};
use super::late::Decision;
use super::problem::{Answer, json, problem, refused};
use crate::publisher::board::HoldCard;
use crate::record::Entry;
use crate::submit::Submitted;
use crate::token::Caller;

/// How long a late decision is still waited for, behind the shopper's back.
const GIVE_UP: Duration = Duration::from_secs(60);

/// The optional body.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    #[serde(default)]
    wait: bool,
}

/// Reserves one unit.
pub async fn reserve(desk: &Rc<Desk>, headers: &HeaderMap, sku: &str, body: &[u8]) -> Answer {
    if desk.shared.gate.is_shut() {
        if let Some(item) = desk.shared.board.item(sku) {
            desk.tally.count(item, Refusal::Halted);
        }
        return refused(Refusal::Halted, Some(1));
    }
    let caller = match desk.caller(headers) {
        Ok(caller) => caller,
        Err(answer) => return answer,
    };
    let Some(item) = desk.shared.board.item(sku) else { return unknown(sku) };
    let wait = match body {
        [] => false,
        bytes => match serde_json::from_slice::<Body>(bytes) {
            Ok(body) => body.wait,
            Err(error) => return problem("bad_request", &format!("the body takes {{\"wait\": true}}: {error}"), None),
        },
    };
    let (request, chosen) = match desk.request(headers, &caller, "reserve") {
        Ok(request) => request,
        Err(answer) => return answer,
    };
    match known(&desk.shared.board, chosen.then_some(request), item, wait) {
        Some(Known::Granted(hold)) => replayed(desk, request, hold, item),
        Some(Known::Refused(refusal)) => {
            desk.tally.count(item, refusal);
            refused(refusal, retry_after(desk, item, refusal, request))
        }
        None => decide(desk, caller, request, item, wait).await,
    }
}

async fn decide(desk: &Rc<Desk>, caller: Caller, request: RequestKey, item: ItemIndex, wait: bool) -> Answer {
    let subject = caller.subject;
    let entry = Entry { command: Command::Reserve { request, subject, item, wait }, words: caller.name };
    let mut answered = match desk.batcher.hand_over(entry) {
        Ok(answered) => answered,
        Err(reason) => return problem("overloaded", reason, Some(1)),
    };
    match tokio::time::timeout(desk.shared.facts.reply_within, &mut answered).await {
        Ok(Ok(Submitted::Decided { outcome, .. })) => outcome_answer(desk, request, item, outcome),
        Ok(Ok(Submitted::Overloaded(reason))) => problem("overloaded", reason, Some(1)),
        Ok(Ok(Submitted::Pending) | Err(_)) => {
            desk.shared.late.set(request, subject, Decision::Lost);
            pending(request)
        }
        Err(_) => {
            desk.shared.late.set(request, subject, Decision::Pending);
            let desk = Rc::clone(desk);
            tokio::task::spawn_local(async move {
                let decided = tokio::time::timeout(GIVE_UP, answered).await;
                let decision = match decided {
                    Ok(Ok(Submitted::Decided { outcome: Outcome::Refused(refusal), .. })) => Decision::Refused(refusal),
                    // A grant is on the board already.
                    _ => Decision::Lost,
                };
                desk.shared.late.set(request, subject, decision);
            });
            pending(request)
        }
    }
}

fn outcome_answer(desk: &Desk, request: RequestKey, item: ItemIndex, outcome: Outcome) -> Answer {
    match outcome {
        Outcome::Granted { hold, expires_at, replayed } => mark(granted(desk, request, hold, expires_at), replayed),
        Outcome::Waiting { hold, replayed } => mark(waiting(desk, request, hold), replayed),
        Outcome::Refused(refusal) => refused(refusal, retry_after(desk, item, refusal, request)),
        _ => problem("internal", "a reserve came to something else", None),
    }
}

/// The first answer again, for a request that was granted.
fn replayed(desk: &Desk, request: RequestKey, hold: HoldNumber, item: ItemIndex) -> Answer {
    match desk.shared.board.hold(hold) {
        Some(card) if card.item != item => refused(Refusal::IdempotencyMismatch, None),
        Some(card) => mark(again(desk, request, hold, card), true),
        None => pending(request),
    }
}

/// What a granted request is answered with.
pub fn again(desk: &Desk, request: RequestKey, hold: HoldNumber, card: HoldCard) -> Answer {
    match card.status {
        HoldStatus::Waiting | HoldStatus::Offered => waiting(desk, request, hold),
        _ => granted(desk, request, hold, card.expires_at),
    }
}

fn granted(desk: &Desk, request: RequestKey, hold: HoldNumber, expires_at: i64) -> Answer {
    let expires = jiff::Timestamp::from_millisecond(expires_at).unwrap_or_default();
    let body = format!(
        r#"{{"reservation_id":"{}","request_id":"{}","status":"RESERVED","expires_at":"{expires:.3}","expires_in_seconds":{}}}"#,
        desk.shared.ids.reservation(hold),
        Desk::shown(request),
        desk.shared.facts.hold.as_secs(),
    );
    json(StatusCode::CREATED, body)
}

fn waiting(desk: &Desk, request: RequestKey, hold: HoldNumber) -> Answer {
    let body = format!(
        r#"{{"request_id":"{}","status":"WAITING","reservation_id":"{}"}}"#,
        Desk::shown(request),
        desk.shared.ids.reservation(hold)
    );
    json(StatusCode::ACCEPTED, body)
}

/// 202: ask `/v1/requests/{id}`.
pub fn pending(request: RequestKey) -> Answer {
    json(StatusCode::ACCEPTED, format!(r#"{{"request_id":"{}","status":"PENDING"}}"#, Desk::shown(request)))
}

fn mark(mut answer: Answer, replayed: bool) -> Answer {
    if replayed {
        answer.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
    }
    answer
}

/// When it is worth asking again, seconds: at the earliest deadline; at the opening, spread over five seconds by the
/// request's own bits.
pub fn retry_after(desk: &Desk, item: ItemIndex, refusal: Refusal, request: RequestKey) -> Option<u64> {
    let now = desk.shared.clock.now();
    let until = |at: i64| u64::try_from((at - now).max(0)).unwrap_or(0).div_ceil(1_000).max(1);
    match refusal {
        Refusal::AllHeld => desk.shared.board.page(item)?.item.earliest_deadline.map(until),
        Refusal::NotOpen => desk.shared.board.opens_at().map(|at| until(at) + u64::from(request.0[0] % 5)),
        _ => None,
    }
}
