//! What shoppers were told, and what gateways said without asking the log: all of it must stay true.

use std::collections::BTreeMap;
use std::sync::Mutex;

use flashsale_core::{HoldNumber, PaymentKey, Refusal, RequestKey, SubjectKey};

use crate::sim::{Sim, lock};

/// A reservation that somebody was told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    pub hold: HoldNumber,
    pub subject: SubjectKey,
    pub item: u16,
    /// The record that decided it, when the answer came from its decision.
    pub offset: Option<u64>,
}

/// Everything that was said.
pub struct Told {
    sim: Sim,
    said: Mutex<Said>,
}

#[derive(Default)]
struct Said {
    grants: BTreeMap<RequestKey, Grant>,
    /// Requests that were sent, and whose.
    asked: BTreeMap<RequestKey, (SubjectKey, u16)>,
    /// Orders told as confirmed and captured.
    confirmed: BTreeMap<HoldNumber, PaymentKey>,
    refused_by_flag: u64,
}

impl Told {
    /// Nothing yet.
    pub fn new(sim: &Sim) -> Self {
        Self { sim: sim.clone(), said: Mutex::default() }
    }

    /// A request is about to be sent.
    pub fn asks(&self, request: RequestKey, subject: SubjectKey, item: u16) {
        lock(&self.said).asked.entry(request).or_insert((subject, item));
    }

    /// A shopper is told of a reservation (or a place in line).
    pub fn grant(&self, request: RequestKey, grant: Grant) {
        let mut said = lock(&self.said);
        self.sim.mark(u64::from(grant.hold));
        match said.grants.get(&request) {
            Some(before) if before.hold != grant.hold => {
                let (first, second) = (before.hold, grant.hold);
                drop(said);
                self.sim.fail(|| format!("I3: request {request:?} was told of hold {first} and of hold {second}"));
            }
            Some(_) => {}
            None => _ = said.grants.insert(request, grant),
        }
    }

    /// A shopper is told "no". Whoever was told of a reservation under this request must never hear it.
    pub fn refuse(&self, request: RequestKey, granted_before: Option<Grant>, refusal: Refusal) {
        let halts = matches!(refusal, Refusal::IdempotencyMismatch);
        if let Some(grant) = granted_before.filter(|_| !halts) {
            self.sim.fail(|| format!("I2: request {request:?} was told of {grant:?}, and then {}", refusal.code()));
        }
    }

    /// A gateway refuses by itself.
    pub fn flag(&self) {
        lock(&self.said).refused_by_flag += 1;
    }

    /// A shopper is told that an order is confirmed.
    pub fn confirm(&self, hold: HoldNumber, payment: PaymentKey) {
        lock(&self.said).confirmed.insert(hold, payment);
    }

    /// What a request was told.
    pub fn granted(&self, request: RequestKey) -> Option<Grant> {
        lock(&self.said).grants.get(&request).copied()
    }

    /// Every told reservation.
    pub fn grants(&self) -> Vec<(RequestKey, Grant)> {
        lock(&self.said).grants.iter().map(|(request, grant)| (*request, *grant)).collect()
    }

    /// Every request that was sent.
    pub fn asked(&self) -> Vec<(RequestKey, SubjectKey, u16)> {
        lock(&self.said).asked.iter().map(|(request, (subject, item))| (*request, *subject, *item)).collect()
    }

    /// Every order told as confirmed.
    pub fn confirmed(&self) -> Vec<(HoldNumber, PaymentKey)> {
        lock(&self.said).confirmed.iter().map(|(hold, payment)| (*hold, *payment)).collect()
    }

    /// Refusals that gateways gave by themselves.
    pub fn refused_by_flag(&self) -> u64 {
        lock(&self.said).refused_by_flag
    }
}
