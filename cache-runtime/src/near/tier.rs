//! The tier in moka, which owns capacity, eviction and the removal of what has expired.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant as MokaInstant};

use moka::Expiry;
use moka::sync::Cache as Moka;

use super::coherence::Stripe;
use super::hot::{Asked, Front, Hot};
use super::kept::Commons;
use super::{Entry, Kept};
use crate::clock;
use crate::key::pattern::Pattern;
use crate::key::raw::Raw;
use crate::value::Shared;

/// What an entry costs beside its key and its value, in front of moka and in it: their nodes, the entry itself, allocations.
const OVERHEAD: usize = 640;

/// moka evicts now and then, by its own count of writes, however large they are. It is told to once this part of the limit was inserted.
const SETTLED_PARTS: u64 = 16;

/// What is inserted evicts what nobody asks for, so moka has to hear of an entry that is hit once this part of the limit was
/// inserted since it last did, or at most twice as much; where nothing is inserted it need not.
const HEARD_PARTS: u64 = 32;

pub(crate) struct Tier {
    entries: Moka<Box<str>, Arc<Kept>>,
    hot: Arc<Hot>,
    commons: Commons,
    weigher: Weigher,
    /// The weight inserted so far, when moka was last told to evict, and what it holds.
    inserted: AtomicU64,
    settled: AtomicU64,
    capacity: u64,
}

/// What entries weigh for moka, which counts in 32 bits: beyond 4 GiB the unit is more than a byte.
#[derive(Clone, Copy)]
struct Weigher {
    unit: u64,
    share: u64,
}

impl Weigher {
    fn weigh(self, key: &str, kept: &Kept) -> u32 {
        let weight = weight(key, kept).div_ceil(self.unit).max(self.share);
        u32::try_from(weight).unwrap_or(u32::MAX)
    }
}

/// Estimated bytes of an entry under this key, all included.
pub(super) fn weight(key: &str, kept: &Kept) -> u64 {
    let bytes = kept.weight().saturating_add(key.len());
    u64::try_from(bytes.saturating_add(OVERHEAD)).unwrap_or(u64::MAX)
}

impl Tier {
    /// Whether there is a tier at all.
    pub(crate) const EXISTS: bool = true;

    /// A tier of at most so many bytes and so many entries.
    ///
    /// moka keeps one bound. An entry therefore weighs its bytes, and never less than its share of the limit among `max_entries`:
    /// then the sum of the weights bounds both.
    pub(crate) fn new(memory_limit: u64, max_entries: u64) -> Self {
        let unit = memory_limit.div_ceil(u64::from(u32::MAX)).max(1);
        let capacity = memory_limit / unit;
        let share = capacity.div_ceil(max_entries.max(1));
        let weigher = Weigher { unit, share };
        let hot = Arc::new(Hot::new(memory_limit));
        let cooled = Arc::clone(&hot);
        let entries = Moka::<Box<str>, Arc<Kept>>::builder()
            .max_capacity(capacity)
            .weigher(move |key, kept| weigher.weigh(key, kept))
            .expire_after(UntilDeadline)
            .eviction_listener(move |key, kept, _| cooled.gone(&key, &kept))
            .build();
        Self {
            entries,
            hot,
            commons: Commons::default(),
            weigher,
            inserted: AtomicU64::new(0),
            settled: AtomicU64::new(0),
            capacity,
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<Arc<Kept>> {
        self.entries.get(key)
    }

    /// What stands in front.
    #[inline(always)]
    pub(super) fn front(&self) -> &Hot {
        &self.hot
    }

    /// Shows an entry that stands in front; answers what `take` does.
    pub(crate) fn hot(
        &self,
        asked: Asked<'_>,
        take: impl FnOnce(&Front, &Arc<Kept>, Stripe) -> bool,
    ) -> bool {
        self.hot.show(asked, take)
    }

    /// Under what an entry is to stand in front, unless it does since its key was changed so often, or is not to.
    pub(crate) fn place<'a>(
        &self,
        (key, notes): (&'a str, Option<&'a Raw>),
        kept: &Arc<Kept>,
        changes: u64,
    ) -> Option<Asked<'a>> {
        if self.hot.is_too_large(key, kept) {
            return None;
        }
        let asked = self.hot.name(kept, key, notes);
        (!self.hot.has(asked, kept, changes)).then_some(asked)
    }

    /// Puts an entry in front, if it is still there. Under the lock of its key, which was changed so often.
    pub(crate) fn heat(
        &self,
        (asked, key): (Asked<'_>, &str),
        kept: &Arc<Kept>,
        changes: u64,
        value: Shared,
    ) {
        let there = self.entries.get(key);
        if there.is_some_and(|there| Arc::ptr_eq(&there, kept)) {
            let front = Front::new(kept, changes);
            self.hot.put((asked, key), kept, front, value);
        }
    }

    #[cfg(test)]
    pub(super) fn put_in_front(&self, name: (Asked<'_>, &str), kept: &Arc<Kept>, changes: u64) {
        let value = Arc::clone(kept.value());
        self.hot.put(name, kept, Front::new(kept, changes), value);
    }

    /// Under the lock of its key. Answers whether so much was inserted by now that moka is to hear of what is hit.
    pub(crate) fn insert(&self, key: &str, entry: Entry) -> bool {
        let Some(kept) = Kept::new(entry, &self.commons) else {
            self.remove(key);
            return false;
        };
        let weight = u64::from(self.weigher.weigh(key, &kept));
        // Whatever stood there before goes to the listener.
        self.entries.insert(key.into(), kept);
        // Relaxed: the sum only decides when moka is told.
        let before = self.inserted.fetch_add(weight, Ordering::Relaxed);
        let part = (self.capacity / HEARD_PARTS).max(1);
        before / part != before.wrapping_add(weight) / part
    }

    /// Has moka evict, where enough was inserted. Takes its time, so it is no part of an insertion, which may hold locks.
    pub(crate) fn settle(&self) {
        let inserted = self.inserted();
        let since = inserted.wrapping_sub(self.settled.load(Ordering::Relaxed));
        if since > self.capacity / SETTLED_PARTS {
            self.settled.store(inserted, Ordering::Relaxed);
            self.entries.run_pending_tasks();
        }
    }

    /// The weight inserted so far.
    pub(crate) fn inserted(&self) -> u64 {
        self.inserted.load(Ordering::Relaxed)
    }

    /// Whether moka need not hear of an entry of which it heard when so much was inserted.
    pub(crate) fn is_heard(&self, inserted: u64) -> bool {
        self.inserted().wrapping_sub(inserted) <= self.capacity / HEARD_PARTS
    }

    /// Under the lock of its key.
    pub(crate) fn remove(&self, key: &str) -> Option<Arc<Kept>> {
        // It goes to the listener.
        self.entries.remove(key)
    }

    /// The keys that match. Cost: one look at every entry.
    pub(crate) fn keys(&self, pattern: &Pattern) -> Vec<Arc<Box<str>>> {
        let keys = self.entries.iter().map(|(key, _)| key);
        keys.filter(|key| pattern.matches(key)).collect()
    }

    pub(crate) fn clear_all(&self) {
        self.entries.invalidate_all();
        self.hot.clear();
    }

    pub(crate) fn entries(&self) -> u64 {
        self.entries.run_pending_tasks();
        self.entries.entry_count()
    }

    pub(crate) fn bytes(&self) -> u64 {
        let each = self.entries.iter().map(|(key, kept)| weight(&key, &kept));
        each.fold(0, u64::saturating_add)
    }
}

impl fmt::Debug for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tier")
            .field("entries", &self.entries.entry_count())
            .finish()
    }
}

/// Lets moka remove an entry once its own deadline has passed.
struct UntilDeadline;

impl UntilDeadline {
    fn remaining(kept: &Kept) -> Option<Duration> {
        let now = clock::nanos(clock::now());
        Some(Duration::from_nanos(kept.until.saturating_sub(now)))
    }
}

impl Expiry<Box<str>, Arc<Kept>> for UntilDeadline {
    fn expire_after_create(
        &self,
        _: &Box<str>,
        kept: &Arc<Kept>,
        _: MokaInstant,
    ) -> Option<Duration> {
        Self::remaining(kept)
    }

    fn expire_after_update(
        &self,
        _: &Box<str>,
        kept: &Arc<Kept>,
        _: MokaInstant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Self::remaining(kept)
    }
}
