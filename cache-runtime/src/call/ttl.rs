//! How long an entry lives.

use std::time::Duration;

use crate::clock::Instant;

/// How long the entry lives.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ttl {
    /// From the fill on.
    Fixed(Duration),
    /// Until then, since it was computed for this call.
    Until(Instant),
}

impl Ttl {
    pub(crate) fn left(self, now: Instant) -> Duration {
        match self {
            Self::Fixed(ttl) => ttl,
            Self::Until(end) => end.saturating_duration_since(now),
        }
    }
}
