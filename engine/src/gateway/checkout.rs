//! `POST /v1/reservations/{id}/checkout`: append the attempt, authorize, sell, capture. What is not certain within the
//! limit is answered 202 and left to the settler; nobody pays for nothing.

use std::rc::Rc;

use flashsale_core::{Command, HoldNumber, Outcome, PaymentKey, Refusal, SubjectKey};
use hyper::{HeaderMap, StatusCode};
use serde::Deserialize;

use super::desk::Desk;
use super::problem::{Answer, json, problem, refused};
use super::reservations::{mine, submit, unexpected};
use crate::ports::{Amount, PaymentError, ProviderState};
use crate::token::Caller;

/// The longest payment method or address, bytes.
const LONGEST: usize = 1_024;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    payment_method: String,
    #[serde(default)]
    return_url: Option<String>,
}

/// One attempt.
struct Attempt {
    caller: Caller,
    hold: HoldNumber,
    subject: SubjectKey,
    payment: PaymentKey,
    amount: Amount,
    method: String,
}

/// Pays for a reservation.
pub async fn checkout(desk: &Rc<Desk>, headers: &HeaderMap, id: &str, body: &[u8]) -> Answer {
    let (caller, hold, card) = match mine(desk, headers, id).await {
        Ok(mine) => mine,
        Err(answer) => return answer,
    };
    let wanted: Body = match serde_json::from_slice(body) {
        Ok(wanted) => wanted,
        Err(error) => {
            return problem("bad_request", &format!("the body takes {{\"payment_method\": \"...\"}}: {error}"), None);
        }
    };
    let too_long = wanted.return_url.as_ref().is_some_and(|url| url.len() > LONGEST);
    if wanted.payment_method.is_empty() || wanted.payment_method.len() > LONGEST || too_long {
        return problem("bad_request", "payment_method and return_url take 1 to 1024 bytes", None);
    }
    let (request, _) = match desk.request(headers, &caller, "checkout") {
        Ok(request) => request,
        Err(answer) => return answer,
    };
    let Some(amount) = desk.shared.facts.prices.get(usize::from(card.item)).copied() else {
        return problem("internal", "the item has no price", None);
    };
    let payment = desk.shared.ids.payment(hold, request);
    let attempt = Attempt { caller, hold, subject: card.subject, payment, amount, method: wanted.payment_method };
    let within = desk.shared.facts.pay_within;
    // The attempt goes on when its shopper no longer waits.
    let desk = Rc::clone(desk);
    let paying = tokio::task::spawn_local(async move { pay(&desk, &attempt).await });
    match tokio::time::timeout(within, paying).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => problem("internal", "the payment was interrupted; the settler goes on with it", Some(1)),
        Err(_) => pending(),
    }
}

async fn pay(desk: &Rc<Desk>, attempt: &Attempt) -> Answer {
    let Attempt { hold, subject, payment, .. } = *attempt;
    match submit(desk, Command::PayStart { hold, subject, payment }, &attempt.caller).await {
        Ok(Outcome::PaymentStarted { .. }) => {}
        // The shopper may have paid by this very attempt, before an answer was lost.
        Ok(Outcome::Refused(Refusal::AlreadyPaid)) => return refused(Refusal::AlreadyPaid, None),
        Ok(outcome) => return unexpected(outcome),
        Err(answer) => return answer,
    }
    match desk.shared.payments.authorize(payment, attempt.amount, &attempt.method).await {
        Ok(ProviderState::Authorized | ProviderState::Captured) => sell(desk, attempt).await,
        Ok(ProviderState::RequiresAction(url)) => {
            let body = serde_json::json!({ "status": "REQUIRES_ACTION", "action_url": url });
            json(StatusCode::ACCEPTED, body.to_string())
        }
        Ok(ProviderState::Declined(why)) => declined(desk, attempt, &why).await,
        Err(PaymentError::Refused(why)) => declined(desk, attempt, &why).await,
        Ok(ProviderState::Voided | ProviderState::Refunded) => declined(desk, attempt, "this attempt is over").await,
        Ok(ProviderState::Unknown) | Err(PaymentError::Unknown(_)) => pending(),
    }
}

async fn sell(desk: &Rc<Desk>, attempt: &Attempt) -> Answer {
    let Attempt { hold, subject, payment, .. } = *attempt;
    match submit(desk, Command::Confirm { hold, subject, payment }, &attempt.caller).await {
        Ok(Outcome::Confirmed { hold, .. }) => capture(desk, attempt, hold).await,
        Ok(Outcome::VoidPayment { refusal }) => {
            // The settler voids it again if this fails.
            if let Ok(ProviderState::Voided) = desk.shared.payments.void(payment).await {
                let _ = submit(desk, Command::Voided { payment }, &attempt.caller).await;
            }
            refused(refusal, None)
        }
        Ok(outcome) => unexpected(outcome),
        Err(_) => pending(),
    }
}

async fn capture(desk: &Rc<Desk>, attempt: &Attempt, hold: HoldNumber) -> Answer {
    let payment = attempt.payment;
    match desk.shared.payments.capture(payment).await {
        Ok(ProviderState::Captured) => match submit(desk, Command::Captured { payment }, &attempt.caller).await {
            Ok(Outcome::Done | Outcome::Unchanged) => confirmed(desk, hold),
            _ => pending(),
        },
        Err(PaymentError::Refused(why)) | Ok(ProviderState::Declined(why)) => {
            let _ = submit(desk, Command::CaptureFailed { payment }, &attempt.caller).await;
            problem("payment_declined", &why, None)
        }
        _ => pending(),
    }
}

async fn declined(desk: &Rc<Desk>, attempt: &Attempt, why: &str) -> Answer {
    let _ = submit(desk, Command::Voided { payment: attempt.payment }, &attempt.caller).await;
    problem("payment_declined", why, None)
}

fn confirmed(desk: &Desk, hold: HoldNumber) -> Answer {
    let ids = &desk.shared.ids;
    let body = serde_json::json!({
        "order_id": ids.order(hold),
        "reservation_id": ids.reservation(hold),
        "status": "CONFIRMED",
    });
    json(StatusCode::OK, body.to_string())
}

fn pending() -> Answer {
    json(StatusCode::ACCEPTED, r#"{"status":"PENDING"}"#.to_owned())
}
