//! Counters that make a local invalidation of a prefix cost one increment, whatever lies under it.
//!
//! An entry and a running load remember the sum of the counters of their levels; when one of them has moved, the sum has too,
//! because counters only grow. Sums over different levels say nothing about each other, so how many levels there were is kept beside. The table is of fixed size: two levels that share a slot invalidate each other, which costs a load
//! and never a stale value.

use std::sync::atomic::{AtomicU64, Ordering};

use xxhash_rust::xxh3::xxh3_64;

const SLOTS: usize = 4_096;

/// What the counters of some levels were at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Epoch {
    sum: u64,
    levels: usize,
}

#[derive(Debug)]
pub(crate) struct Epochs {
    slots: Box<[AtomicU64]>,
    /// Moved when everything in process is to be forgotten.
    all: AtomicU64,
}

impl Epochs {
    pub(crate) fn new() -> Self {
        Self {
            slots: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
            all: AtomicU64::new(0),
        }
    }

    /// The epoch of a key with these levels. To be read before the load whose value will carry it.
    pub(crate) fn now<'a>(&self, levels: impl Iterator<Item = &'a str>) -> Epoch {
        // Acquire, with the Release of `end`: who sees the new count sees whatever was removed before it.
        let all = self.all.load(Ordering::Acquire);
        let none = Epoch {
            sum: all,
            levels: 0,
        };
        levels.fold(none, |epoch, level| Epoch {
            sum: epoch
                .sum
                .wrapping_add(self.slot(level).load(Ordering::Acquire)),
            levels: epoch.levels + 1,
        })
    }

    /// Ends the epoch of a level: everything under it is dead, and so is every load that began before.
    pub(crate) fn end(&self, level: &str) {
        self.slot(level).fetch_add(1, Ordering::Release);
    }

    /// Ends all epochs.
    pub(crate) fn end_all(&self) {
        self.all.fetch_add(1, Ordering::Release);
    }

    fn slot(&self, level: &str) -> &AtomicU64 {
        let hash = usize::try_from(xxh3_64(level.as_bytes()) % SLOTS as u64).unwrap_or_default();
        // The table has SLOTS slots, so `all` never stands in for one of them; and if it did, more would die, not less.
        self.slots.get(hash).unwrap_or(&self.all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ending_a_level_moves_the_epoch_of_every_key_under_it_and_of_no_other() {
        let epochs = Epochs::new();
        let under = || epochs.now(["", "video", "video:meta"].into_iter());
        let beside = || epochs.now(["", "user"].into_iter());
        let (before_under, before_beside) = (under(), beside());

        epochs.end("video");

        assert_ne!(under(), before_under);
        assert_eq!(beside(), before_beside);
        epochs.end_all();
        assert_ne!(beside(), before_beside);
    }
}
