//! Places where a test kills the process. Without the cargo feature `failpoints` they are nothing.

/// A place on the way of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// The writer is about to append a record of its own.
    BeforeAppend,
    /// Records were read, nothing folded.
    AfterRead,
    /// A batch is sealed, the ledger has not heard of it.
    BeforeCommit,
    /// The ledger has the batch, nobody was told.
    AfterCommit,
    /// Board and waiters were told.
    AfterReply,
    /// Events are about to be published.
    BeforePublish,
    /// Events are published, the ledger does not know.
    AfterPublish,
    /// A snapshot was made and not kept.
    DuringSnapshot,
}

impl Point {
    /// Every place, in the order a record meets them.
    pub const ALL: [Self; 8] = [
        Self::BeforeAppend,
        Self::AfterRead,
        Self::BeforeCommit,
        Self::AfterCommit,
        Self::AfterReply,
        Self::BeforePublish,
        Self::AfterPublish,
        Self::DuringSnapshot,
    ];

    /// Its name in [`VARIABLE`].
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BeforeAppend => "before-append",
            Self::AfterRead => "after-read",
            Self::BeforeCommit => "before-commit",
            Self::AfterCommit => "after-commit",
            Self::AfterReply => "after-reply",
            Self::BeforePublish => "before-publish",
            Self::AfterPublish => "after-publish",
            Self::DuringSnapshot => "during-snapshot",
        }
    }
}

/// The environment variable that arms one place: `after-commit:3` ends the process there the third time.
pub const VARIABLE: &str = "FLASHSALE_FAILPOINT";

/// The process reaches a place.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn reach(_point: Point) {}

/// The process reaches a place; armed, it ends there as by `kill -9`: nothing is flushed, nothing is dropped.
#[cfg(feature = "failpoints")]
pub fn reach(point: Point) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    static ARMED: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static REACHED: AtomicU64 = AtomicU64::new(0);
    let armed = ARMED.get_or_init(|| {
        let value = std::env::var(VARIABLE).ok()?;
        let (name, times) = value.split_once(':').unwrap_or((&value, "1"));
        Some((name.to_owned(), times.parse().ok()?))
    });
    if let Some((name, times)) = armed
        && name == point.name()
        && REACHED.fetch_add(1, Relaxed) + 1 == *times
    {
        std::process::abort();
    }
}
