//! Operators' changes that were made: a repeated id changes nothing.

use std::collections::{HashSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::key::{ChangeId, RawKeys};

/// The most changes remembered; beyond it the oldest is forgotten.
const MOST_CHANGES: usize = 65_536;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Changes {
    made: HashSet<ChangeId, RawKeys>,
    order: VecDeque<ChangeId>,
}

impl Changes {
    pub(crate) fn made(&self, change: ChangeId) -> bool {
        self.made.contains(&change)
    }

    pub(crate) fn remember(&mut self, change: ChangeId) {
        if self.order.len() >= MOST_CHANGES
            && let Some(oldest) = self.order.pop_front()
        {
            self.made.remove(&oldest);
        }
        if self.made.insert(change) {
            self.order.push_back(change);
        }
    }
}
