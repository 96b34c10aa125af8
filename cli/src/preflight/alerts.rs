//! Alerting rules validated.

use super::{Finding, not_applicable};

pub(super) fn check() -> Finding {
    not_applicable(
        "this sale's file defines no alert rules; a violated invariant, a stopped writer and a missed opening page by \
         themselves",
    )
}
