//! Bytes that were read, by themselves or among others.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// Bytes that may be a part of more, which are kept as long as any part is.
#[derive(Clone)]
pub(crate) enum Bytes {
    Whole(Vec<u8>),
    #[cfg_attr(
        not(feature = "redis"),
        expect(dead_code, reason = "only a store that exists reads")
    )]
    Part {
        all: Arc<Vec<u8>>,
        start: usize,
        end: usize,
    },
}

impl Bytes {
    #[cfg(feature = "redis")]
    pub(super) fn part(all: &Arc<Vec<u8>>, start: usize, end: usize) -> Self {
        Self::Part {
            all: Arc::clone(all),
            start,
            end,
        }
    }

    /// Of these bytes, those from `start` to `end`.
    #[cfg(feature = "redis")]
    pub(super) fn cut(mut all: Vec<u8>, start: usize, end: usize) -> Self {
        all.truncate(end);
        all.drain(..start.min(all.len()));
        Self::Whole(all)
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Whole(bytes) => bytes,
            Self::Part { all, start, end } => all.get(*start..*end).unwrap_or_default(),
        }
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Whole(bytes)
    }
}

impl PartialEq for Bytes {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(out)
    }
}
