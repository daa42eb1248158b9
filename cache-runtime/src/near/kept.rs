//! An entry as it is kept. There are many, so it is small: what many of them have in common is kept once.

use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::mem::discriminant;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::coherence::Teller;
use super::epoch::{Epoch, Few, Places};
use super::{Asker, Entry, Source, same_origin};
use crate::clock;
use crate::value::{Identity, Shared};

/// Bytes are counted by so many: an allocation is rounded up to that in any case.
const GRAIN: usize = 16;

/// What is noted of an entry that moka has let go of, instead of when it last heard of it.
const GONE: u64 = u64::MAX;

/// How many are known by what they have in common.
const MOST_COMMONS: usize = 1_024;

/// One value where it is kept. In this order, so that what a hit looks at lies together.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Kept {
    /// When it expires, as [`clock::nanos`] counts.
    pub(super) deadline: u64,
    /// [`Epochs::moves`](super::Epochs::moves) when its epoch was last found to be the current one.
    pub(super) checked: AtomicU64,
    /// The weight that was inserted when moka last heard that it is asked for, or [`GONE`].
    heard: AtomicU64,
    value: Shared,
    common: Arc<Common>,
    /// How long its load took, in microseconds: 71 minutes, if it was more.
    took: u32,
    grains: u32,
    /// See [`Source::stamp`].
    stamp: u64,
    few: Few,
    /// From when the value was stored until it expires, in nanoseconds.
    life: u64,
    /// As long as it is of any use, as [`clock::nanos`] counts.
    pub(super) until: u64,
}

/// What the entries of one function have in common, if they were read over one connection.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Common {
    identity: Identity,
    origin: u64,
    tagging: u64,
    source: Source,
    /// The places that [`Few`] has no room for. Hardly any entry has so many groups.
    more: Box<[u16]>,
}

/// What entries have in common, known so that it is kept once.
#[derive(Debug, Default)]
pub(super) struct Commons(RwLock<HashSet<Arc<Common>>>);

impl Commons {
    fn one(&self, common: Common) -> Arc<Common> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(&common) {
            return Arc::clone(known);
        }
        drop(known);
        let common = Arc::new(common);
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_COMMONS {
            known.retain(|common| Arc::strong_count(common) > 1);
        }
        // Then there are so many that each is had by few: who has one keeps it.
        if known.len() >= MOST_COMMONS {
            known.clear();
        }
        known.insert(Arc::clone(&common));
        common
    }
}

impl Kept {
    /// `None` where the epoch is of other groups than the places: then nothing would say when it ends.
    #[cfg_attr(
        not(feature = "fallback"),
        expect(dead_code, reason = "there is no tier")
    )]
    pub(super) fn new(entry: Entry, commons: &Commons) -> Option<Arc<Self>> {
        if entry.epoch.groups != entry.places.count() {
            return None;
        }
        let stamp = entry.source.stamp(entry.epoch);
        let Places { few, more } = entry.places;
        let common = Common {
            identity: entry.identity,
            origin: entry.origin,
            tagging: entry.tagging,
            source: entry.source,
            more,
        };
        let life = entry.expires.saturating_duration_since(entry.filled);
        Some(Arc::new(Self {
            deadline: clock::nanos(entry.expires),
            checked: AtomicU64::new(u64::MAX),
            heard: AtomicU64::new(0),
            value: entry.value,
            common: commons.one(common),
            took: u32::try_from(entry.took.as_micros()).unwrap_or(u32::MAX),
            grains: u32::try_from(entry.bytes.div_ceil(GRAIN)).unwrap_or(u32::MAX),
            stamp,
            few,
            life: u64::try_from(life.as_nanos()).unwrap_or(u64::MAX),
            until: clock::nanos(entry.kept_until),
        }))
    }

    pub(crate) fn value(&self) -> &Shared {
        &self.value
    }

    pub(crate) fn identity(&self) -> Identity {
        self.common.identity
    }

    pub(super) fn source(&self) -> &Source {
        &self.common.source
    }

    /// How long its load took.
    pub(super) fn took(&self) -> Duration {
        Duration::from_micros(self.took.into())
    }

    /// How long ago the value was stored.
    pub(crate) fn age(&self) -> Duration {
        let now = clock::nanos(clock::now());
        Duration::from_nanos(now.saturating_add(self.life).saturating_sub(self.deadline))
    }

    /// How long it still lives; zero once it has expired.
    pub(crate) fn left(&self) -> Duration {
        let now = clock::nanos(clock::now());
        Duration::from_nanos(self.deadline.saturating_sub(now))
    }

    /// Estimated bytes of the value.
    fn bytes(&self) -> usize {
        usize::try_from(self.grains)
            .unwrap_or(usize::MAX)
            .saturating_mul(GRAIN)
    }

    /// Estimated bytes of the value, and of what it hardly ever has in common with others.
    #[cfg_attr(
        not(feature = "fallback"),
        expect(dead_code, reason = "there is no tier")
    )]
    pub(super) fn weight(&self) -> usize {
        let places = self.common.more.len();
        let own = size_of::<Common>() + places * size_of::<u16>();
        self.bytes()
            .saturating_add(if places == 0 { 0 } else { own })
    }

    /// Where the counters of its groups are.
    pub(super) fn places(&self) -> impl Iterator<Item = u16> {
        self.few.slots().chain(self.common.more.iter().copied())
    }

    pub(super) fn is_for(&self, asker: Asker) -> bool {
        let common = &*self.common;
        // Without the tags of the asker, whoever invalidates by one of them would not reach it.
        let reached = asker.tagging == 0 || asker.tagging == common.tagging;
        let apart = matches!(common.source, Source::Plain) && !asker.plain;
        reached && !apart && same_origin(common.origin, asker.origin)
    }

    /// The weight that was inserted when moka last heard of it.
    pub(super) fn heard(&self) -> u64 {
        // Relaxed: it orders nothing.
        self.heard.load(Ordering::Relaxed)
    }

    /// moka has heard of it when so much was inserted.
    pub(super) fn hear(&self, inserted: u64) {
        // The greater of both: what is gone stays so. Relaxed: it orders nothing.
        self.heard.fetch_max(inserted, Ordering::Relaxed);
    }

    /// moka has let go of it.
    #[cfg_attr(
        not(feature = "fallback"),
        expect(dead_code, reason = "there is no tier")
    )]
    pub(super) fn go(&self) {
        // SeqCst, with what is done in front: whoever puts it there after it was looked for there sees this.
        self.heard.store(GONE, Ordering::SeqCst);
    }

    #[cfg_attr(
        not(feature = "fallback"),
        expect(dead_code, reason = "there is no tier")
    )]
    pub(super) fn is_gone(&self) -> bool {
        self.heard.load(Ordering::SeqCst) == GONE
    }

    #[cfg(all(test, feature = "fallback"))]
    pub(super) fn come_back(&self) {
        self.heard.store(0, Ordering::SeqCst);
    }

    /// The same as it was before it was kept, if its epoch is still this one.
    pub(super) fn entry(&self, epoch: Epoch) -> Option<Entry> {
        let common = &*self.common;
        let expires = clock::moment(self.deadline);
        let entry = || Entry {
            value: Arc::clone(&self.value),
            identity: common.identity,
            origin: common.origin,
            tagging: common.tagging,
            source: common.source.clone(),
            took: self.took(),
            epoch,
            places: Places {
                few: self.few,
                more: common.more.clone(),
            },
            expires,
            filled: clock::before(expires, Duration::from_nanos(self.life)),
            kept_until: clock::moment(self.until),
            bytes: self.bytes(),
        };
        self.is_of(epoch).then(entry)
    }

    /// Whether the epoch of its groups is still the one from before its load.
    pub(super) fn is_of(&self, epoch: Epoch) -> bool {
        self.stamp == self.common.source.stamp(epoch)
    }
}

impl Source {
    /// What is compared of an epoch. Both of its counts only grow, so their sum moves when one of them does.
    fn stamp(&self, epoch: Epoch) -> u64 {
        match self {
            Self::Process => epoch.here,
            Self::Told(_) | Self::Untold | Self::Plain => epoch.here.wrapping_add(epoch.told),
        }
    }
}

impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Told(one), Self::Told(other)) => Arc::ptr_eq(one, other),
            _ => discriminant(self) == discriminant(other),
        }
    }
}

impl Eq for Source {}

impl Hash for Source {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        discriminant(self).hash(hasher);
        if let Self::Told(teller) = self {
            std::ptr::from_ref::<Teller>(teller).hash(hasher);
        }
    }
}

#[cfg(all(test, feature = "fallback"))]
mod tests {
    use std::mem::offset_of;

    use super::super::Epochs;
    use super::*;
    use crate::value::Kind;

    const GROUPS: [&str; 7] = ["", "video", "video:meta", "a", "b", "c", "d"];

    fn entry(epochs: &Epochs, origin: u64, source: Source) -> Entry {
        let now = clock::now();
        Entry {
            value: Arc::new(7_u64),
            identity: Kind::of::<u64>().in_version(3).identity(),
            origin,
            tagging: 5,
            source,
            took: Duration::from_micros(1_500),
            epoch: epochs.now(GROUPS.into_iter()),
            places: Epochs::places(GROUPS.into_iter()),
            expires: clock::after(now, Duration::from_secs(60)),
            // Longer ago than the clock's numbers go back.
            filled: clock::before(now, Duration::from_secs(30 * 86_400)),
            kept_until: clock::after(now, Duration::from_secs(90)),
            bytes: 17,
        }
    }

    #[test]
    fn what_a_hit_looks_at_lies_together_and_the_whole_is_small() {
        // In the first 64 bytes, behind the counts of the `Arc`.
        assert!(offset_of!(Kept, took) <= 64 - 2 * size_of::<usize>());
        assert!(size_of::<Kept>() <= 88, "{}", size_of::<Kept>());
    }

    #[test]
    fn an_entry_is_what_it_was_before_it_was_kept() {
        let (epochs, commons) = (Epochs::new(), Commons::default());
        let teller = Arc::new(Teller::new());
        for source in [
            Source::Process,
            Source::Told(teller),
            Source::Untold,
            Source::Plain,
        ] {
            let before = entry(&epochs, 1, source);
            let kept = Kept::new(before.clone(), &commons).unwrap();
            assert_eq!(kept.age().as_secs(), 30 * 86_400);
            let now = epochs.at(kept.places());
            let after = kept.entry(now).unwrap();

            assert_eq!(after.value.downcast_ref(), Some(&7_u64));
            assert_eq!(after.identity, before.identity);
            assert_eq!((after.origin, after.tagging), (1, 5));
            assert_eq!(after.source, before.source);
            assert_eq!((after.took, after.epoch), (before.took, before.epoch));
            assert_eq!(epochs.at(after.places.slots()), before.epoch);
            assert_eq!(after.expires, before.expires);
            assert_eq!(after.filled, before.filled);
            assert_eq!(after.kept_until, before.kept_until);
            assert_eq!(after.bytes, 32);
        }
    }

    #[test]
    fn an_entry_does_not_come_back_once_a_group_of_it_has_ended() {
        let commons = Commons::default();
        for group in GROUPS {
            let epochs = Epochs::new();
            let kept = Kept::new(entry(&epochs, 1, Source::Untold), &commons).unwrap();
            let here = Kept::new(entry(&epochs, 1, Source::Process), &commons).unwrap();
            let back = |kept: &Kept| kept.entry(epochs.at(kept.places())).is_some();
            assert!(back(&kept) && back(&here));

            epochs.end_told(group);
            assert!(!back(&kept), "{group}");
            assert!(back(&here), "what Redis tells does not concern it");
            epochs.end(group);
            assert!(!back(&here), "{group}");
        }
    }

    #[test]
    fn an_entry_whose_epoch_is_of_other_groups_is_not_kept() {
        let (epochs, commons) = (Epochs::new(), Commons::default());
        let entry = Entry {
            epoch: epochs.now(["", "video"].into_iter()),
            ..entry(&epochs, 1, Source::Process)
        };
        assert!(Kept::new(entry, &commons).is_none());
    }

    #[test]
    fn what_moka_has_let_go_of_stays_so_though_it_is_asked_for() {
        let (epochs, commons) = (Epochs::new(), Commons::default());
        let kept = Kept::new(entry(&epochs, 1, Source::Process), &commons).unwrap();
        kept.hear(7);
        assert_eq!(kept.heard(), 7);
        kept.go();
        kept.hear(8);
        assert!(kept.is_gone());
    }

    #[test]
    fn what_entries_have_in_common_is_kept_once() {
        let (epochs, commons) = (Epochs::new(), Commons::default());
        let teller = Arc::new(Teller::new());
        let keep = |origin, source| Kept::new(entry(&epochs, origin, source), &commons).unwrap();
        let first = keep(1, Source::Told(Arc::clone(&teller)));
        let same = |other: &Kept| Arc::ptr_eq(&first.common, &other.common);

        assert!(same(&keep(1, Source::Told(teller))));
        assert!(!same(&keep(2, first.source().clone())));
        assert!(!same(&keep(1, Source::Told(Arc::new(Teller::new())))));
        assert!(!same(&keep(1, Source::Process)));
    }

    #[test]
    fn what_entries_have_in_common_is_forgotten_with_them() {
        let (epochs, commons) = (Epochs::new(), Commons::default());
        let known = || commons.0.read().unwrap().len();
        let keep = |origin| Kept::new(entry(&epochs, origin, Source::Process), &commons).unwrap();
        let kept = keep(0);
        for origin in 1..10 * MOST_COMMONS as u64 {
            keep(origin);
            assert!(known() <= MOST_COMMONS);
        }
        assert!(Arc::ptr_eq(&kept.common, &keep(0).common), "it is in use");

        let all: Vec<_> = (0..10 * MOST_COMMONS as u64).map(keep).collect();
        assert!(known() <= MOST_COMMONS, "though all of them are in use");
        drop(all);
    }
}
