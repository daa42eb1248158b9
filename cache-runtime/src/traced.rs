//! Where the value of a call came from, as plain data.

use std::time::Duration;

use serde::Serialize;

/// What a call returned, and where that came from.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Traced<T> {
    /// What the call returned.
    pub value: T,
    /// Where that came from.
    pub source: Source,
    /// How long ago it was stored: in Redis by the server's clock, in the process by its own; zero where it was loaded now.
    ///
    /// A value that was read from Redis, and kept in the process, is as old as it was in Redis.
    pub age: Duration,
    /// Whether it is of a load that somebody else was running, in this process, or with `coalesce = "fleet"` in another one,
    /// and that this call waited for.
    pub coalesced: bool,
}

/// Where a value came from, the nearest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The process had it.
    Near,
    /// Redis had it.
    Redis,
    /// A body was run, that of this call or of one that it waited for.
    Load,
    /// It has expired: `stale_while_revalidate` or `stale_if_error` allow it, and the process or Redis had it.
    Stale,
}

/// What is known of that while the call goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trace {
    pub(crate) source: Source,
    pub(crate) age: Duration,
    pub(crate) coalesced: bool,
    /// Whether a body was run and returned an error.
    pub(crate) failed: bool,
}

impl Trace {
    /// A value of that age.
    pub(crate) fn found(source: Source, age: Duration) -> Self {
        Self {
            source,
            age,
            coalesced: false,
            failed: false,
        }
    }

    /// What a body returned a moment ago.
    pub(crate) fn loaded() -> Self {
        Self::found(Source::Load, Duration::ZERO)
    }

    /// An error that a body returned.
    pub(crate) fn failed() -> Self {
        Self {
            failed: true,
            ..Self::loaded()
        }
    }

    /// Both parts of one value: it comes from where the farther one comes from, and is as old as the older one.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            source: self.source.max(other.source),
            age: self.age.max(other.age),
            coalesced: self.coalesced || other.coalesced,
            failed: self.failed || other.failed,
        }
    }

    /// The same as somebody else's load.
    pub(crate) fn of_another_call(self) -> Self {
        Self {
            coalesced: true,
            ..self
        }
    }
}
