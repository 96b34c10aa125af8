//! Rate limit state cleared (fresh start).

use super::{Finding, not_applicable};

pub(super) fn check() -> Finding {
    not_applicable("this sale's file defines no rate limits, so the engine keeps no such state")
}
