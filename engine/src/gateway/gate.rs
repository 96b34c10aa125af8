//! The gate: shut, every reserve of this process is refused at once, without asking the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use arc_swap::ArcSwapOption;

use crate::ports::Gate;

/// The engine-local gate; cheap to look at, shared by all threads.
#[derive(Debug, Default)]
pub struct GateFlag {
    shut: AtomicBool,
    why: ArcSwapOption<Gate>,
}

impl GateFlag {
    /// Shuts (or opens) it.
    pub fn set(&self, gate: Option<Gate>) {
        let shut = gate.is_some();
        self.why.store(gate.map(Arc::new));
        self.shut.store(shut, Relaxed);
    }

    /// Whether it is shut.
    #[must_use]
    pub fn is_shut(&self) -> bool {
        self.shut.load(Relaxed)
    }

    /// Since when, by whom and why it is shut.
    #[must_use]
    pub fn why(&self) -> Option<Gate> {
        self.why.load_full().map(|gate| (*gate).clone())
    }
}
