//! What a caller saw before it decided to load: the fill is bound to it, and only loads begun under the same view may be shared.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use crate::near::View;
use crate::near::coherence::Teller;

/// The state of the world at a look-up that found nothing usable.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// What this process has invalidated, and was told of, so far.
    pub(crate) near: View,
    /// What Redis said; `None` where Redis was not asked or did not answer.
    pub(crate) remote: Option<SeenRemote>,
    /// Whether Redis was asked and failed: nothing is known, which is an error and no miss.
    pub(crate) failed: bool,
}

/// What Redis said at a look-up.
#[derive(Debug, Clone)]
pub(crate) struct SeenRemote {
    /// The lease that stood, as a number that tells leases apart.
    pub(crate) lease: Option<u64>,
    /// One per group of the key: the levels, the root first, and then the tags. `None`: missing, so that every entry in it is dead.
    pub(crate) generations: Tokens,
    /// Bytes 8 to 15 of the entry that stood, empty when there was none.
    pub(crate) stamp: Vec<u8>,
    /// The connection that tells of changes to all of this; `None` where there is no single one.
    pub(crate) teller: Option<Arc<Teller>>,
}

/// The generations of a key's groups as they were found, in place for as many as nearly every key has.
#[derive(Clone)]
pub(crate) enum Tokens {
    Inline {
        tokens: [Option<u64>; 4],
        length: usize,
    },
    Spilled(Vec<Option<u64>>),
}

impl SeenRemote {
    /// The lease of a load that can store nothing any more, so that nobody need wait for it. Whoever loads has created the
    /// generations before it asked for its lease: one that is missing now was ended since.
    pub(crate) fn overtaken(&self) -> Option<u64> {
        let ended = self.generations.iter().any(Option::is_none);
        self.lease.filter(|_| ended)
    }
}

impl Seen {
    /// The view of a load that runs under this lease: its own, or that of the process which holds it.
    pub(crate) fn under(mut self, lease: u64) -> Self {
        if let Some(remote) = &mut self.remote {
            remote.lease = Some(lease);
        }
        self
    }

    /// Whether a call that saw `later` may adopt a load that was begun under this view.
    ///
    /// Through Redis only while the lease of that load stands: invalidating one entry changes no generation, it deletes the lease.
    /// And only if no generation was missing: invalidating a prefix whose generation is missing leaves it missing.
    pub(crate) fn covers(&self, later: &Self) -> bool {
        if !self.near.epoch.is_same_here(later.near.epoch) {
            return false;
        }
        match (&self.remote, &later.remote) {
            (Some(mine), Some(theirs)) => {
                mine.lease.is_some()
                    && mine.lease == theirs.lease
                    && mine.generations == theirs.generations
                    && mine.generations.iter().all(Option::is_some)
            }
            (_, None) => true,
            (None, Some(_)) => false,
        }
    }
}

impl Tokens {
    pub(crate) const NONE: Self = Self::Inline {
        tokens: [None; 4],
        length: 0,
    };
}

impl Default for Tokens {
    fn default() -> Self {
        Self::NONE
    }
}

impl Deref for Tokens {
    type Target = [Option<u64>];

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Inline { tokens, length } => tokens.get(..*length).unwrap_or_default(),
            Self::Spilled(tokens) => tokens,
        }
    }
}

impl DerefMut for Tokens {
    fn deref_mut(&mut self) -> &mut Self::Target {
        match self {
            Self::Inline { tokens, length } => tokens.get_mut(..*length).unwrap_or_default(),
            Self::Spilled(tokens) => tokens,
        }
    }
}

impl FromIterator<Option<u64>> for Tokens {
    fn from_iter<I: IntoIterator<Item = Option<u64>>>(found: I) -> Self {
        let mut collected = Self::default();
        for token in found {
            collected.push(token);
        }
        collected
    }
}

impl Tokens {
    fn push(&mut self, token: Option<u64>) {
        match self {
            Self::Inline { tokens, length } => match tokens.get_mut(*length) {
                Some(free) => {
                    *free = token;
                    *length += 1;
                }
                None => {
                    let mut spilled = tokens.to_vec();
                    spilled.push(token);
                    *self = Self::Spilled(spilled);
                }
            },
            Self::Spilled(spilled) => spilled.push(token),
        }
    }
}

impl PartialEq for Tokens {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Tokens {}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
