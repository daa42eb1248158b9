//! What reads found, in the answer that they share.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::key::Key;
use crate::near::coherence::Teller;
use crate::seen::Tokens;

/// What one read found: the entry, its lease, and the generation of each group asked for.
///
/// A place in the answer to a request, in which others may have asked as well: it is handed on from future to future, so it is
/// small, and nothing of it is copied for each. The answer is kept as long as any of them is.
#[derive(Clone)]
pub(crate) struct Read {
    answers: Arc<Answers>,
    at: usize,
}

/// What was found for all that asked in one request.
#[derive(Debug)]
pub(crate) struct Answers {
    /// Where the entries stand.
    bytes: Vec<u8>,
    all: All,
    /// Who tells when any of it changes.
    teller: Option<Arc<Teller>>,
    /// What time it was for the server when the first of them looked; 0 before that.
    looked_at: AtomicU64,
}

#[derive(Debug)]
enum All {
    One(Found, Tokens),
    /// With the generations of groups, for each that has not the same groups as the one before.
    Each(Vec<Found>, Vec<Tokens>),
}

/// What was found for one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub(super) entry: Option<Span>,
    pub(super) lease: Option<u64>,
    /// Which of the generations.
    pub(super) generations: usize,
}

/// Where a text begins and ends. Two of them fit where a range of `usize` does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// `None`: beyond what any answer is long.
    #[cfg_attr(
        not(feature = "redis"),
        expect(dead_code, reason = "only a store that exists reads")
    )]
    pub(super) fn of(range: Range<usize>) -> Option<Self> {
        Some(Self {
            start: u32::try_from(range.start).ok()?,
            end: u32::try_from(range.end).ok()?,
        })
    }

    pub(super) fn of_bytes(self, bytes: &[u8]) -> &[u8] {
        let start = usize::try_from(self.start).unwrap_or(usize::MAX);
        let end = usize::try_from(self.end).unwrap_or(usize::MAX);
        bytes.get(start..end).unwrap_or_default()
    }
}

impl Answers {
    /// To a request in which one asked.
    pub(super) fn of_one(
        bytes: Vec<u8>,
        found: Found,
        generations: Tokens,
        teller: Option<Arc<Teller>>,
    ) -> Read {
        let all = All::One(found, generations);
        let answers = Arc::new(Self::new(bytes, all, teller));
        Read { answers, at: 0 }
    }

    #[cfg_attr(
        not(feature = "redis"),
        expect(dead_code, reason = "only a store that exists reads")
    )]
    pub(super) fn of_each(
        bytes: Vec<u8>,
        found: Vec<Found>,
        generations: Vec<Tokens>,
        teller: Option<Arc<Teller>>,
    ) -> Arc<Self> {
        let all = All::Each(found, generations);
        Arc::new(Self::new(bytes, all, teller))
    }

    fn new(bytes: Vec<u8>, all: All, teller: Option<Arc<Teller>>) -> Self {
        Self {
            bytes,
            all,
            teller,
            looked_at: AtomicU64::new(0),
        }
    }

    /// For each that asked, in their order.
    #[cfg_attr(
        not(feature = "redis"),
        expect(dead_code, reason = "only a store that exists reads")
    )]
    pub(super) fn reads(self: &Arc<Self>) -> impl Iterator<Item = Read> {
        let count = match &self.all {
            All::One(..) => 1,
            All::Each(found, _) => found.len(),
        };
        (0..count).map(|at| Read {
            answers: Arc::clone(self),
            at,
        })
    }
}

impl Read {
    /// What a read finds where there is nothing.
    pub(crate) fn nothing(key: &Key) -> Self {
        let nothing = Found {
            entry: None,
            lease: None,
            generations: 0,
        };
        let missing = key.groups().map(|_| None).collect();
        Answers::of_one(Vec::new(), nothing, missing, None)
    }

    /// What two find who asked together for one entry.
    #[cfg(all(test, feature = "redis", feature = "fallback", feature = "bincode"))]
    pub(crate) fn of_two(entry: Vec<u8>, generations: Tokens) -> Vec<Self> {
        let found = Found {
            entry: Span::of(0..entry.len()),
            lease: None,
            generations: 0,
        };
        let all = All::Each(vec![found; 2], vec![generations]);
        let answers = Arc::new(Answers::new(entry, all, None));
        answers.reads().collect()
    }

    fn found(&self) -> Option<&Found> {
        match &self.answers.all {
            All::One(found, _) => Some(found),
            All::Each(found, _) => found.get(self.at),
        }
    }

    pub(crate) fn entry(&self) -> Option<&[u8]> {
        let entry = self.found()?.entry?;
        Some(entry.of_bytes(&self.answers.bytes))
    }

    pub(crate) fn lease(&self) -> Option<u64> {
        self.found()?.lease
    }

    pub(crate) fn generations(&self) -> &Tokens {
        static NONE: Tokens = Tokens::NONE;
        let generations = match &self.answers.all {
            All::One(_, generations) => Some(generations),
            All::Each(found, each) => {
                let found = found.get(self.at);
                found.and_then(|found| each.get(found.generations))
            }
        };
        generations.unwrap_or(&NONE)
    }

    /// What time it was for the server, in milliseconds since 1970, when the first of those who asked together looked at the
    /// answer: by then it was there, so what stands in it is as valid as it was then. The others need not ask for the time.
    pub(crate) fn looked_at(&self, now_ms: impl FnOnce() -> u64) -> u64 {
        // Relaxed: the number stands for itself, and where two are the first either is right.
        match self.answers.looked_at.load(Ordering::Relaxed) {
            0 => {
                let now = now_ms();
                self.answers.looked_at.store(now, Ordering::Relaxed);
                now
            }
            looked_at => looked_at,
        }
    }

    /// Who tells when any of it changes.
    pub(crate) fn teller(&self) -> Option<&Arc<Teller>> {
        self.answers.teller.as_ref()
    }
}

impl fmt::Debug for Read {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Read")
            .field("entry", &self.entry())
            .field("lease", &self.lease())
            .field("generations", self.generations())
            .finish_non_exhaustive()
    }
}
