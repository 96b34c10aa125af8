//! `POST /v1/reservations/{id}/checkout`: makes one payment attempt. What is not certain within the limit is answered
//! 202 and left to the settler; nobody pays for nothing.

use std::rc::Rc;

use flashsale_core::HoldNumber;
use hyper::{HeaderMap, StatusCode};
use serde::Deserialize;

use super::desk::{Desk, Shared};
use super::paying::{Attempt, Paid, Paying};
use super::problem::{Answer, json, problem, refused};
use super::reservations::mine;

/// The longest payment method or address, bytes.
const LONGEST: usize = 1_024;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    payment_method: String,
    #[serde(default)]
    return_url: Option<String>,
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
    let (subject, name, method) = (card.subject, caller.name, wanted.payment_method);
    let attempt = Attempt { hold, subject, name, payment, amount, method };
    let paying = Rc::clone(desk);
    // The attempt goes on when its shopper no longer waits.
    let paying = tokio::task::spawn_local(async move {
        let Shared { payments, facts, .. } = &paying.shared;
        Paying { submit: &paying.batcher, payments: &**payments, within: facts.reply_within }.pay(&attempt).await
    });
    match tokio::time::timeout(desk.shared.facts.pay_within, paying).await {
        Ok(Ok(paid)) => answer(desk, paid),
        Ok(Err(_)) => problem("internal", "the payment was interrupted; the settler goes on with it", Some(1)),
        Err(_) => pending(),
    }
}

fn answer(desk: &Desk, paid: Paid) -> Answer {
    match paid {
        Paid::Confirmed(hold) => confirmed(desk, hold),
        Paid::RequiresAction(url) => {
            let body = serde_json::json!({ "status": "REQUIRES_ACTION", "action_url": url });
            json(StatusCode::ACCEPTED, body.to_string())
        }
        Paid::Declined(why) => problem("payment_declined", &why, None),
        Paid::Refused(refusal) => refused(refusal, None),
        Paid::Unexpected => problem("internal", "the command came to something else", None),
        Paid::Overloaded(reason) => problem("overloaded", reason, Some(1)),
        Paid::Pending => pending(),
    }
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
