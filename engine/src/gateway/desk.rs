//! What a gateway thread works with: shared memory, its batcher, its verifier, its counters.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flashsale_core::{HoldNumber, RequestKey};
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;

use super::batch::Batcher;
use super::connection::Limits;
use super::gate::GateFlag;
use super::gauges::GatewayGauges;
use super::late::Late;
use super::lines::Lines;
use super::problem::{Answer, problem};
use super::refill::Refill;
use super::tally::Tally;
use crate::id::{Ids, hex};
use crate::ports::{Amount, Clock, History, Payments};
use crate::publisher::board::Board;
use crate::token::{Caller, Verifier};

/// The longest `Idempotency-Key`, visible ASCII.
const LONGEST_KEY: usize = 64;

/// Facts of the sale that do not change while it runs.
pub struct Facts {
    /// An item's price, by place.
    pub prices: Vec<Amount>,
    /// Product data by place, JSON; and all of them.
    pub products: Vec<Bytes>,
    /// All product data.
    pub catalogue: Bytes,
    /// The OpenAPI document.
    pub openapi: Bytes,
    /// How long a hold lasts.
    pub hold: Duration,
    /// How long a reserve waits for its decision.
    pub reply_within: Duration,
    /// How long a checkout waits.
    pub pay_within: Duration,
    /// Origins that browsers may call from.
    pub origins: Vec<String>,
    /// What connections get.
    pub limits: Limits,
}

/// What all gateway threads share.
#[derive(Clone)]
pub struct Shared {
    /// What was decided.
    pub board: Arc<Board>,
    /// The gate.
    pub gate: Arc<GateFlag>,
    /// Reserves whose decision came late.
    pub late: Arc<Late>,
    /// The ledger's rows, for what memory does not hold.
    pub history: Arc<dyn History>,
    /// Who takes the money.
    pub payments: Arc<dyn Payments>,
    /// Availability, while the board is not fresh.
    pub refill: Arc<Refill>,
    /// Clock.
    pub clock: Arc<dyn Clock>,
    /// Public ids.
    pub ids: Ids,
    /// The sale.
    pub facts: Arc<Facts>,
}

/// One thread's.
pub struct Desk {
    /// Shared with the other threads.
    pub shared: Shared,
    /// The way into the log.
    pub batcher: Batcher,
    /// Counters.
    pub gauges: Arc<GatewayGauges>,
    /// Refusals given here since the last tally.
    pub tally: Tally,
    /// Open connections.
    pub lines: Lines,
    verifier: RefCell<Verifier>,
    gateway: u32,
    boot: u64,
    minted: Cell<u64>,
}

impl Desk {
    /// A desk for one thread.
    #[must_use]
    pub fn new(
        shared: Shared,
        batcher: Batcher,
        gauges: Arc<GatewayGauges>,
        verifier: Verifier,
        gateway: u32,
        boot: u64,
    ) -> Self {
        let minted = Cell::new(0);
        let (tally, lines) = (Tally::default(), Lines::default());
        Self { shared, batcher, gauges, tally, lines, verifier: verifier.into(), gateway, boot, minted }
    }

    /// Who calls.
    ///
    /// # Errors
    /// The answer to a call without a valid token.
    pub fn caller(&self, headers: &HeaderMap) -> Result<Caller, Answer> {
        let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let scheme = header.and_then(|value| value.split_once(' '));
        let token = scheme.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token);
        let verified = match token {
            None => Err(crate::token::TokenError::Missing),
            Some(token) => self.verifier.borrow_mut().verify(token.trim()),
        };
        verified.map_err(|error| problem("unauthorized", &error.to_string(), None))
    }

    /// The request's key: from its `Idempotency-Key`, else minted. True: the caller chose it.
    ///
    /// # Errors
    /// The answer to a malformed `Idempotency-Key`.
    pub fn request(&self, headers: &HeaderMap, caller: &Caller, route: &str) -> Result<(RequestKey, bool), Answer> {
        let mut values = headers.get_all("idempotency-key").iter();
        let Some(value) = values.next() else {
            let count = self.minted.get() + 1;
            self.minted.set(count);
            return Ok((self.shared.ids.minted(self.gateway, self.boot, count), false));
        };
        let text = if values.next().is_some() { "" } else { value.to_str().unwrap_or_default() };
        if text.is_empty() || text.len() > LONGEST_KEY || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(problem(
                "bad_request",
                "one Idempotency-Key of 1 to 64 visible ASCII characters is taken",
                None,
            ));
        }
        Ok((self.shared.ids.request(&caller.name, route, text), true))
    }

    /// The hold that an id in a path names.
    ///
    /// # Errors
    /// 404.
    pub fn hold(&self, id: &str) -> Result<HoldNumber, Answer> {
        self.shared.ids.hold(id).ok_or_else(|| problem("not_found", "no such reservation", None))
    }

    /// A request id as shown.
    #[must_use]
    pub fn shown(request: RequestKey) -> String {
        hex(&request.0)
    }
}
