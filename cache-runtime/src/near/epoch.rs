//! Counters that make the invalidation of a group (a prefix level or a tag) cost one increment, whatever belongs to it.
//!
//! An entry and a running load remember the sums of the counters of their groups; when one of them has moved, the sum has too,
//! because counters only grow. Sums over different groups say nothing about each other, so how many groups there were is kept
//! beside. The table is of fixed size: two groups that share a slot invalidate each other, which costs a load and never a
//! stale value.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use xxhash_rust::xxh3::xxh3_64;

/// A slot is a number of so many bits.
const BITS: usize = 12;
const SLOTS: usize = 1 << BITS;

/// How many slots there are in [`Few`]: those of nearly every entry.
const FEW: usize = 5;

/// What the counters of some groups were at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Epoch {
    /// Moved by what this process invalidates.
    pub(super) here: u64,
    /// Moved by what the server tells of.
    pub(super) told: u64,
    pub(super) groups: usize,
}

impl Epoch {
    /// Whether this process has invalidated nothing in between.
    pub(crate) fn is_same_here(self, other: Self) -> bool {
        self.here == other.here && self.groups == other.groups
    }
}

/// The slots of the groups of one entry, so that a hit hashes no names.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    pub(super) few: Few,
    /// Those for which there is no room.
    pub(super) more: Box<[u16]>,
}

impl Places {
    pub(super) fn count(&self) -> usize {
        self.few.count() + self.more.len()
    }

    #[cfg(any(test, benching))]
    pub(crate) fn slots(&self) -> impl Iterator<Item = u16> {
        self.few.slots().chain(self.more.iter().copied())
    }
}

/// Up to [`FEW`] slots in one number, one above the other, and above them how many there are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Few(u64);

impl Few {
    const NONE: Self = Self(0);

    fn count(self) -> usize {
        usize::try_from(self.0 >> (FEW * BITS)).unwrap_or_default()
    }

    /// With one slot more; `None` where there is no room.
    fn and(self, slot: u16) -> Option<Self> {
        let count = self.count();
        let one_more = 1 << (FEW * BITS);
        (count < FEW).then(|| Self((self.0 | u64::from(slot) << (count * BITS)) + one_more))
    }

    pub(super) fn slots(self) -> impl Iterator<Item = u16> {
        (0..self.count()).map(move |at| {
            let slot = self.0 >> (at * BITS) & (SLOTS as u64 - 1);
            u16::try_from(slot).unwrap_or_default()
        })
    }
}

#[derive(Debug, Default)]
struct Slot {
    here: AtomicU64,
    told: AtomicU64,
}

pub(crate) struct Epochs {
    slots: Box<[Slot]>,
    /// Part of every sum.
    all: Slot,
    /// Moved after any of them, so that whoever has compared a sum need not do so again until something has ended.
    moves: AtomicU64,
}

impl Epochs {
    pub(crate) fn new() -> Self {
        Self {
            slots: (0..SLOTS).map(|_| Slot::default()).collect(),
            all: Slot::default(),
            moves: AtomicU64::new(0),
        }
    }

    /// How often anything ended. To be read before the sums that are to be compared.
    #[cfg(feature = "fallback")]
    #[inline]
    pub(crate) fn moves(&self) -> u64 {
        // Acquire, with the Release of `moved`: who sees the new number sees the counter that was moved before it.
        self.moves.load(Ordering::Acquire)
    }

    /// Whoever has compared a sum does so again.
    pub(crate) fn recheck(&self) {
        self.moved();
    }

    fn moved(&self) {
        self.moves.fetch_add(1, Ordering::Release);
    }

    /// The epoch of a key with these groups. To be read before the load whose value will carry it.
    pub(crate) fn now<'a>(&self, groups: impl Iterator<Item = &'a str>) -> Epoch {
        self.at(groups.map(place))
    }

    /// Where the counters of these groups are.
    pub(crate) fn places<'a>(groups: impl Iterator<Item = &'a str>) -> Places {
        let (mut few, mut more) = (Few::NONE, Vec::new());
        for group in groups {
            let slot = place(group);
            match few.and(slot) {
                Some(with) => few = with,
                None => more.push(slot),
            }
        }
        Places {
            few,
            more: more.into(),
        }
    }

    /// The epoch at these places.
    pub(crate) fn at(&self, places: impl Iterator<Item = u16>) -> Epoch {
        // Acquire, with the Release of `end` and `end_told`: who sees the new count sees whatever was removed before it.
        let none = Epoch {
            here: self.all.here.load(Ordering::Acquire),
            told: self.all.told.load(Ordering::Acquire),
            groups: 0,
        };
        places.fold(none, |epoch, place| {
            let slot = self.slot(place);
            Epoch {
                here: epoch.here.wrapping_add(slot.here.load(Ordering::Acquire)),
                told: epoch.told.wrapping_add(slot.told.load(Ordering::Acquire)),
                groups: epoch.groups + 1,
            }
        })
    }

    /// This process ends the epoch of a group: everything in it is dead, and so is every load that began before.
    pub(crate) fn end(&self, group: &str) {
        self.slot(place(group)).here.fetch_add(1, Ordering::Release);
        self.moved();
    }

    /// The server has told that the generation of a group changed: whatever was read under it is dead.
    /// Loads in flight are not: what they saw of Redis is compared with what others see of it.
    pub(crate) fn end_told(&self, group: &str) {
        self.slot(place(group)).told.fetch_add(1, Ordering::Release);
        self.moved();
    }

    /// Ends all epochs.
    pub(crate) fn end_all(&self) {
        self.all.here.fetch_add(1, Ordering::Release);
        self.moved();
    }

    /// The server has told that everything changed.
    #[cfg(any(test, feature = "redis"))]
    pub(crate) fn end_all_told(&self) {
        self.all.told.fetch_add(1, Ordering::Release);
        self.moved();
    }

    fn slot(&self, place: u16) -> &Slot {
        // Every place is below SLOTS, so `all` never stands in for one; and if it did, more would die, not less.
        self.slots.get(usize::from(place)).unwrap_or(&self.all)
    }
}

impl fmt::Debug for Epochs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Epochs").finish_non_exhaustive()
    }
}

fn place(group: &str) -> u16 {
    u16::try_from(xxh3_64(group.as_bytes()) % SLOTS as u64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ending_a_group_moves_the_epoch_of_every_key_in_it_and_of_no_other() {
        let epochs = Epochs::new();
        let under = || epochs.now(["", "video", "video:meta"].into_iter());
        let beside = || epochs.now(["", "user"].into_iter());
        let (before_under, before_beside) = (under(), beside());

        epochs.end("video");

        assert_ne!(under(), before_under);
        assert!(!under().is_same_here(before_under));
        assert_eq!(beside(), before_beside);
        epochs.end_all();
        assert_ne!(beside(), before_beside);
    }

    #[test]
    fn what_the_server_tells_moves_another_count_than_what_happens_here() {
        let epochs = Epochs::new();
        let now = || epochs.now(["", "video"].into_iter());
        let before = now();

        epochs.end_told("video");
        assert_ne!(now(), before);
        assert!(now().is_same_here(before));

        let between = now();
        epochs.end_all_told();
        assert_ne!(now(), between);
        assert!(now().is_same_here(before));
    }

    #[test]
    fn the_places_of_a_key_say_what_its_names_say() {
        let epochs = Epochs::new();
        for count in [0, 1, FEW - 1, FEW, FEW + 1, 40] {
            let names: Vec<String> = (0..count).map(|number| format!("level{number}")).collect();
            let names = || names.iter().map(String::as_str);
            let places = Epochs::places(names());
            let at = || epochs.at(places.slots());
            assert_eq!(places.count(), count);
            assert_eq!(places.more.len(), count.saturating_sub(FEW));

            assert_eq!(at(), epochs.now(names()), "{count}");
            for name in names() {
                let before = at();
                epochs.end(name);
                assert_ne!(at(), before, "{name} of {count}");
            }
            assert_eq!(at(), epochs.now(names()), "{count}");
        }
    }
}
