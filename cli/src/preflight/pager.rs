//! On-call pager tested.

use super::{Finding, not_applicable};

pub(super) fn check() -> Finding {
    not_applicable(
        "this sale's file names no pager: pages are lines of the war room's timeline and of the engine's log",
    )
}
