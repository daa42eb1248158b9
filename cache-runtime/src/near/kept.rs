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
    /// The hash of the notes under which it stands in front, 0 for none.
    notes: AtomicU64,
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
            heard: AtomicU64::new(0),
            value: entry.value,
            common: commons.one(common),
            took: u32::try_from(entry.took.as_micros()).unwrap_or(u32::MAX),
            grains: u32::try_from(entry.bytes.div_ceil(GRAIN)).unwrap_or(u32::MAX),
            stamp,
            few,
            life: u64::try_from(life.as_nanos()).unwrap_or(u64::MAX),
            until: clock::nanos(entry.kept_until),
            notes: AtomicU64::new(0),
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
    #[cfg(feature = "fallback")]
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
    #[cfg(feature = "fallback")]
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

    /// Whether it is to stand under notes of this hash, and no others: from now on it is, if under none yet.
    #[cfg_attr(
        not(feature = "fallback"),
        expect(dead_code, reason = "there is no tier")
    )]
    pub(super) fn claim(&self, hash: u64) -> bool {
        // SeqCst, here and below, with `gone`: whoever takes it away sees under what it was put there, or is seen.
        let order = Ordering::SeqCst;
        let claimed = self.notes.compare_exchange(0, hash, order, order);
        hash != 0 && claimed.map_or_else(|claimed| claimed == hash, |_| true)
    }

    /// The hash of the notes under which it stands, if it does.
    #[cfg_attr(
        not(feature = "fallback"),
        expect(dead_code, reason = "there is no tier")
    )]
    pub(super) fn notes(&self) -> Option<u64> {
        Some(self.notes.load(Ordering::SeqCst)).filter(|notes| *notes != 0)
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
mod tests;
