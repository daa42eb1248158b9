//! The tier in moka, which owns capacity, eviction and the removal of what has expired.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant as MokaInstant};

use moka::Expiry;
use moka::sync::Cache as Moka;

use super::Entry;
use crate::clock;
use crate::key::pattern::Pattern;

/// What an entry costs beside its key and its value: moka's node, two `Arc` headers, the entry itself.
const OVERHEAD: usize = 200;

/// moka evicts now and then, by its own count of writes, however large they are. It is told to once this part of the limit was inserted.
const SETTLED_PARTS: u64 = 16;

pub(crate) struct Tier {
    entries: Moka<Arc<str>, Entry>,
    weigher: Weigher,
    /// The weight inserted since moka was last told to evict, and how much that may be.
    unsettled: AtomicU64,
    most_unsettled: u64,
}

/// What entries weigh for moka, which counts in 32 bits: beyond 4 GiB the unit is more than a byte.
#[derive(Clone, Copy)]
struct Weigher {
    unit: u64,
    share: u64,
}

impl Weigher {
    fn weigh(self, key: &str, entry: &Entry) -> u32 {
        let bytes = entry
            .bytes
            .saturating_add(key.len())
            .saturating_add(OVERHEAD);
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let weight = bytes.div_ceil(self.unit).max(self.share);
        u32::try_from(weight).unwrap_or(u32::MAX)
    }
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
        let entries = Moka::builder()
            .max_capacity(capacity)
            .weigher(move |key: &Arc<str>, entry: &Entry| weigher.weigh(key, entry))
            .expire_after(UntilDeadline)
            .build();
        Self {
            entries,
            weigher,
            unsettled: AtomicU64::new(0),
            most_unsettled: capacity / SETTLED_PARTS,
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<Entry> {
        self.entries.get(key)
    }

    pub(crate) fn insert(&self, key: Arc<str>, entry: Entry) {
        let weight = u64::from(self.weigher.weigh(&key, &entry));
        self.entries.insert(key, entry);
        // Relaxed: the sum only decides when moka is told.
        self.unsettled.fetch_add(weight, Ordering::Relaxed);
    }

    /// Has moka evict, where enough was inserted. Takes its time, so it is no part of an insertion, which may hold locks.
    pub(crate) fn settle(&self) {
        if self.unsettled.load(Ordering::Relaxed) > self.most_unsettled {
            self.unsettled.store(0, Ordering::Relaxed);
            self.entries.run_pending_tasks();
        }
    }

    pub(crate) fn remove(&self, key: &str) -> Option<Entry> {
        self.entries.remove(key)
    }

    /// The keys that match. Cost: one look at every entry.
    pub(crate) fn keys(&self, pattern: &Pattern) -> Vec<Arc<str>> {
        let keys = self.entries.iter().map(|(key, _)| Arc::clone(&*key));
        keys.filter(|key| pattern.matches(key)).collect()
    }

    pub(crate) fn clear_all(&self) {
        self.entries.invalidate_all();
    }

    pub(crate) fn entries(&self) -> u64 {
        self.entries.run_pending_tasks();
        self.entries.entry_count()
    }

    pub(crate) fn bytes(&self) -> u64 {
        let each = self.entries.iter().map(|(key, entry)| {
            let bytes = entry
                .bytes
                .saturating_add(key.len())
                .saturating_add(OVERHEAD);
            u64::try_from(bytes).unwrap_or(u64::MAX)
        });
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
    fn remaining(entry: &Entry) -> Option<Duration> {
        Some(entry.kept_until.saturating_duration_since(clock::now()))
    }
}

impl Expiry<Arc<str>, Entry> for UntilDeadline {
    fn expire_after_create(&self, _: &Arc<str>, entry: &Entry, _: MokaInstant) -> Option<Duration> {
        Self::remaining(entry)
    }

    fn expire_after_update(
        &self,
        _: &Arc<str>,
        entry: &Entry,
        _: MokaInstant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Self::remaining(entry)
    }
}
