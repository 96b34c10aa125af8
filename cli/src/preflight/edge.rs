//! CDN caches warmed with product data.

use super::{Finding, not_applicable};

pub(super) fn check() -> Finding {
    not_applicable("this sale has no edge of its own: a CDN in front of it is filled by the first reader of each page")
}
