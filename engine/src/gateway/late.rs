//! Reserves whose decision came later than their shopper could wait: remembered until asked for.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use flashsale_core::{Refusal, RequestKey, SubjectKey};

/// Late requests remembered; beyond it the oldest is forgotten, and asking for it answers `not_found`.
const MOST_LATE: usize = 65_536;

/// What is known of a late request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Nothing yet.
    Pending,
    /// It was refused; grants are on the board.
    Refused(Refusal),
    /// It never got into the log, or its decision was lost: to be asked again under the same key.
    Lost,
}

/// Late requests of all gateway threads. Off the hot path: only those that waited longer than the limit get here.
#[derive(Debug, Default)]
pub struct Late(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    requests: HashMap<RequestKey, (SubjectKey, Decision)>,
    order: VecDeque<RequestKey>,
}

impl Late {
    /// A request is late, or its decision has come.
    pub fn set(&self, request: RequestKey, subject: SubjectKey, decision: Decision) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.requests.insert(request, (subject, decision)).is_none() {
            known.order.push_back(request);
        }
        if known.order.len() > MOST_LATE
            && let Some(oldest) = known.order.pop_front()
        {
            known.requests.remove(&oldest);
        }
    }

    /// What is known of it, and whose it is.
    #[must_use]
    pub fn get(&self, request: RequestKey) -> Option<(SubjectKey, Decision)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).requests.get(&request).copied()
    }
}
