//! Batches that were folded: a gateway's batch counts once, however often its record comes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::switch::{Safeguard, stands};

/// The most (gateway, boot) pairs remembered; beyond it the one longest silent is forgotten.
const MOST_SENDERS: usize = 4_096;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Batches {
    /// (highest number, when it was last touched) by sender.
    last: BTreeMap<(u32, u64), (u64, u64)>,
    touches: u64,
}

impl Batches {
    pub(crate) fn accept(&mut self, gateway: u32, boot: u64, number: u64) -> bool {
        self.touches += 1;
        let touches = self.touches;
        if let Some((last, touched)) = self.last.get_mut(&(gateway, boot)) {
            let new = number > *last || !stands(Safeguard::BatchNumbers);
            if new {
                *last = number;
                *touched = touches;
            }
            return new;
        }
        if self.last.len() >= MOST_SENDERS {
            let silent = self.last.iter().min_by_key(|(_, (_, touched))| *touched).map(|(sender, _)| *sender);
            silent.map(|sender| self.last.remove(&sender));
        }
        self.last.insert((gateway, boot), (number, touches));
        true
    }
}
