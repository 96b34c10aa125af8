//! War room channel opened.

use super::{Finding, not_applicable};

pub(super) fn check() -> Finding {
    not_applicable("this sale's file names no channel; the war room is `flashsale watch`")
}
