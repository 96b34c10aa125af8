//! One item's numbers.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::command::HoldNumber;
use crate::rules::ItemRules;

/// One item. `held + sold <= stock` at every moment; `shortage` is a number of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Item {
    pub(crate) stock: u32,
    pub(crate) shortage: u32,
    pub(crate) held: u32,
    pub(crate) sold: u32,
    /// Places taken in the waitlist.
    pub(crate) waiting: u32,
    pub(crate) per_customer: u16,
    /// The waitlist in order; entries that gave up are skipped.
    pub(crate) waitlist: VecDeque<HoldNumber>,
}

impl Item {
    pub(crate) fn new(rules: &ItemRules) -> Self {
        Self {
            stock: rules.stock,
            shortage: 0,
            held: 0,
            sold: 0,
            waiting: 0,
            per_customer: rules.per_customer,
            waitlist: VecDeque::new(),
        }
    }

    /// Units that are neither held, sold nor missing.
    pub(crate) fn free(&self) -> u32 {
        let taken = u64::from(self.held) + u64::from(self.sold) + u64::from(self.shortage);
        u32::try_from(u64::from(self.stock).saturating_sub(taken)).unwrap_or(0)
    }

    /// Units that a plain reserve can get: none while anyone waits.
    pub(crate) fn available(&self) -> u32 {
        if self.waiting > 0 { 0 } else { self.free() }
    }

    /// Everything is sold: nothing is held that could come back.
    pub(crate) fn gone(&self) -> bool {
        self.held == 0 && self.free() == 0
    }
}
