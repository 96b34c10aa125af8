//! Steps that come later, the earliest first.

use std::cmp::Reverse;
use std::time::Duration;

/// A later step, ordered by its moment.
pub(super) struct Later<T>(pub(super) Reverse<(Duration, u64)>, pub(super) T);

impl<T> PartialEq for Later<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<T> Eq for Later<T> {}
impl<T> PartialOrd for Later<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Later<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}
