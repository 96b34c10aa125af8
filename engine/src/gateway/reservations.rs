//! Reservations and requests that exist: read, give back, claim.

use std::rc::Rc;

use flashsale_core::{Command, HoldNumber, HoldStatus, Outcome, RequestKey};
use hyper::{HeaderMap, StatusCode};

use super::desk::{Desk, Shared};
use super::late::Decision;
use super::lookup::{Found, find};
use super::problem::{Answer, json, problem, refused};
use super::reserve::{again, pending, retry_after};
use super::shedding::STARTING;
use crate::id::unhex16;
use crate::publisher::board::HoldCard;
use crate::record::Entry;
use crate::submit::{Submit, Submitted};
use crate::token::Caller;

/// `GET /v1/requests/{request_id}`
pub async fn request(desk: &Rc<Desk>, headers: &HeaderMap, id: &str) -> Answer {
    let caller = match desk.caller(headers) {
        Ok(caller) => caller,
        Err(answer) => return answer,
    };
    let Some(request) = unhex16(id).map(RequestKey) else { return no_request() };
    let Shared { board, late, history, .. } = &desk.shared;
    let found = find(board, late, &**history, request).await;
    if matches!(found, Ok(Found::Row(_) | Found::NoRow) | Err(_)) {
        count_ledger_read(desk);
    }
    match found {
        Ok(Found::Granted(hold)) => match card(desk, hold).await {
            Some(card) if may_read(&caller, card) => again(desk, request, hold, card),
            _ => no_request(),
        },
        Ok(Found::Row(row)) if may_read(&caller, of_row(&row.view)) => {
            again(desk, request, row.view.hold, of_row(&row.view))
        }
        Ok(Found::Late(subject, _)) if !caller.server && subject != caller.subject => no_request(),
        Ok(Found::Late(_, Decision::Pending)) => pending(request),
        Ok(Found::Late(_, Decision::Refused(refusal))) => refused(refusal, retry_after(desk, 0, refusal, request)),
        Ok(Found::Late(_, Decision::Lost) | Found::Row(_) | Found::Nothing | Found::NoRow) => no_request(),
        Ok(Found::Starting) => problem("overloaded", STARTING, Some(1)),
        Err(error) => problem("overloaded", &error.to_string(), Some(1)),
    }
}

/// `GET /v1/reservations/{id}`
pub async fn reservation(desk: &Rc<Desk>, headers: &HeaderMap, id: &str) -> Answer {
    match mine(desk, headers, id).await {
        Err(answer) => answer,
        Ok((_, hold, card)) => show(desk, hold, card),
    }
}

/// `DELETE /v1/reservations/{id}`
pub async fn cancel(desk: &Rc<Desk>, headers: &HeaderMap, id: &str) -> Answer {
    let (caller, hold, card) = match mine(desk, headers, id).await {
        Ok(mine) => mine,
        Err(answer) => return answer,
    };
    let command = Command::Cancel { hold, subject: card.subject };
    match submit(desk, command, &caller).await {
        Ok(Outcome::Done | Outcome::Unchanged) => show(desk, hold, HoldCard { status: HoldStatus::Cancelled, ..card }),
        Ok(outcome) => unexpected(outcome),
        Err(answer) => answer,
    }
}

/// `POST /v1/reservations/{id}/claim`
pub async fn claim(desk: &Rc<Desk>, headers: &HeaderMap, id: &str) -> Answer {
    let (caller, hold, card) = match mine(desk, headers, id).await {
        Ok(mine) => mine,
        Err(answer) => return answer,
    };
    match submit(desk, Command::Claim { hold, subject: card.subject }, &caller).await {
        Ok(Outcome::Granted { hold, expires_at, .. }) => {
            show(desk, hold, HoldCard { status: HoldStatus::Held, expires_at, ..card })
        }
        Ok(outcome) => unexpected(outcome),
        Err(answer) => answer,
    }
}

/// The caller's own reservation (any, for the shop's server); a stranger's is not found.
pub async fn mine(desk: &Rc<Desk>, headers: &HeaderMap, id: &str) -> Result<(Caller, HoldNumber, HoldCard), Answer> {
    let caller = desk.caller(headers)?;
    let hold = desk.hold(id)?;
    match card(desk, hold).await.filter(|card| may_read(&caller, *card)) {
        Some(card) => Ok((caller, hold, card)),
        None if !desk.shared.board.leads() => Err(problem("overloaded", STARTING, Some(1))),
        None => Err(problem("not_found", "no such reservation", None)),
    }
}

/// Submits a command of the caller's; 202 when its decision is late.
pub async fn submit(desk: &Rc<Desk>, command: Command, caller: &Caller) -> Result<Outcome, Answer> {
    let entry = Entry { command, words: caller.name.clone() };
    match desk.batcher.submit(entry, desk.shared.facts.reply_within).await {
        Submitted::Decided { outcome, .. } => Ok(outcome),
        Submitted::Overloaded(reason) => Err(problem("overloaded", reason, Some(1))),
        Submitted::Pending => Err(json(StatusCode::ACCEPTED, r#"{"status":"PENDING"}"#.to_owned())),
    }
}

/// The answer to an outcome that is a refusal.
pub fn unexpected(outcome: Outcome) -> Answer {
    match outcome {
        Outcome::Refused(refusal) | Outcome::VoidPayment { refusal } => refused(refusal, None),
        _ => problem("internal", "the command came to something else", None),
    }
}

async fn card(desk: &Desk, hold: HoldNumber) -> Option<HoldCard> {
    if let Some(card) = desk.shared.board.hold(hold) {
        return Some(card);
    }
    count_ledger_read(desk);
    desk.shared.history.hold(hold).await.ok().flatten().map(|row| of_row(&row.view))
}

fn count_ledger_read(desk: &Desk) {
    desk.gauges.ledger_reads.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
}

fn of_row(view: &flashsale_core::HoldView) -> HoldCard {
    HoldCard { subject: view.subject, item: view.item, status: view.status, expires_at: view.expires_at }
}

fn may_read(caller: &Caller, card: HoldCard) -> bool {
    caller.server || caller.subject == card.subject
}

fn show(desk: &Desk, hold: HoldNumber, card: HoldCard) -> Answer {
    let expires = jiff::Timestamp::from_millisecond(card.expires_at).unwrap_or_default();
    let live = matches!(card.status, HoldStatus::Held | HoldStatus::Offered);
    let left = if live { (card.expires_at - desk.shared.clock.now()).max(0) / 1_000 } else { 0 };
    let mut body = serde_json::json!({
        "reservation_id": desk.shared.ids.reservation(hold),
        "sku": desk.shared.board.sku(card.item),
        "status": status(card.status),
        "expires_at": format!("{expires:.3}"),
        "expires_in_seconds": left,
    });
    if matches!(card.status, HoldStatus::Confirmed | HoldStatus::Refunded) {
        body["order_id"] = desk.shared.ids.order(hold).into();
    }
    json(StatusCode::OK, body.to_string())
}

/// A status as shoppers see it; an order taken back because its capture failed is cancelled to them.
#[must_use]
pub const fn status(status: HoldStatus) -> &'static str {
    match status {
        HoldStatus::Waiting => "WAITING",
        HoldStatus::Offered => "OFFERED",
        HoldStatus::Held => "RESERVED",
        HoldStatus::Confirmed => "CONFIRMED",
        HoldStatus::Cancelled | HoldStatus::Failed => "CANCELLED",
        HoldStatus::Expired => "EXPIRED",
        HoldStatus::Refunded => "REFUNDED",
    }
}

fn no_request() -> Answer {
    problem("not_found", "no such request; if it was yours, send it again with the same Idempotency-Key", Some(1))
}
