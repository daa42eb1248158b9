//! What the cache counts, and the plain data in which it tells.

mod tally;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use serde::Serialize;

use tally::Tallied;

/// Prefixes counted one by one; further ones share [`OTHERS`], so that keys set by hand cannot grow the book without limit.
const MAX_PREFIXES: usize = 1_000;
const OTHERS: &str = "(others)";

/// Counters of a cache since it was opened, in total and per prefix.
#[non_exhaustive]
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Stats {
    /// Calls and reads answered from a tier, followers of a load included in `coalesced` instead.
    pub hits: u64,
    /// Hits answered by the in-process tier; part of `hits`.
    pub near_hits: u64,
    /// Calls and reads that found nothing usable. Where Redis failed nobody knows, so that counts in `errors` instead.
    pub misses: u64,
    /// Bodies and loaders run.
    pub loads: u64,
    /// Calls answered by a load that another call was running already.
    pub coalesced: u64,
    /// Operations that Redis failed, and entries or values that could not be decoded or encoded.
    pub errors: u64,
    /// Expired values returned under `stale_while_revalidate` or `stale_if_error`.
    pub stale_served: u64,
    /// Entries, prefixes and patterns invalidated.
    pub invalidations: u64,
    /// Fills that were refused because an invalidation came during the load, or because it took longer than the lease.
    pub refused_fills: u64,
    /// Entries in the in-process tier now.
    pub entries: u64,
    /// Estimated bytes of the in-process tier now.
    pub bytes: u64,
    /// Whether Redis is in use at this moment.
    pub using_redis: bool,
    /// The same counters by prefix; `entries` and `bytes` are kept in total only.
    pub prefixes: BTreeMap<String, Self>,
}

impl Stats {
    /// Share of calls answered without running their own body, from 0 to 1; 0 when nothing was asked. Calls for which Redis
    /// failed are left out.
    #[must_use]
    pub fn hit_rate(&self) -> f64 {
        let answered = self.hits + self.coalesced + self.stale_served;
        let asked = answered + self.misses;
        if asked == 0 {
            return 0.0;
        }
        #[expect(clippy::cast_precision_loss, reason = "a rate needs no 64 bits")]
        let rate = answered as f64 / asked as f64;
        rate
    }

    fn add(&mut self, other: &Self) {
        self.hits += other.hits;
        self.near_hits += other.near_hits;
        self.misses += other.misses;
        self.loads += other.loads;
        self.coalesced += other.coalesced;
        self.errors += other.errors;
        self.stale_served += other.stale_served;
        self.invalidations += other.invalidations;
        self.refused_fills += other.refused_fills;
    }
}

/// One counter. All are `Relaxed`: each stands for itself and orders nothing.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counters of one prefix.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    near_hits: Tallied,
    pub(crate) store_hits: Counter,
    pub(crate) misses: Counter,
    pub(crate) loads: Counter,
    pub(crate) coalesced: Counter,
    pub(crate) stale_served: Counter,
    pub(crate) errors: Counter,
    pub(crate) invalidations: Counter,
    pub(crate) refused_fills: Counter,
}

impl Counters {
    /// Counts a hit in process.
    pub(crate) fn near_hit(self: &Arc<Self>) {
        if !tally::one(self) {
            self.near_hits.rest.one();
        }
    }

    fn read(&self) -> Stats {
        let near_hits = self.near_hits.read();
        Stats {
            hits: near_hits + self.store_hits.read(),
            near_hits,
            misses: self.misses.read(),
            loads: self.loads.read(),
            coalesced: self.coalesced.read(),
            stale_served: self.stale_served.read(),
            errors: self.errors.read(),
            invalidations: self.invalidations.read(),
            refused_fills: self.refused_fills.read(),
            ..Stats::default()
        }
    }
}

/// The counters of all prefixes of one cache.
#[derive(Debug, Default)]
pub(crate) struct Book {
    prefixes: RwLock<HashMap<Box<str>, Arc<Counters>>>,
}

impl Book {
    pub(crate) fn prefix(&self, prefix: &str) -> Arc<Counters> {
        let known = self.prefixes.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(counters) = known.get(prefix) {
            return Arc::clone(counters);
        }
        drop(known);
        let mut prefixes = self
            .prefixes
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let name = if prefixes.len() < MAX_PREFIXES {
            prefix
        } else {
            OTHERS
        };
        Arc::clone(prefixes.entry(name.into()).or_default())
    }

    pub(crate) fn read(&self) -> Stats {
        let prefixes = self.prefixes.read().unwrap_or_else(PoisonError::into_inner);
        let mut total = Stats::default();
        for (prefix, counters) in prefixes.iter() {
            let stats = counters.read();
            total.add(&stats);
            total.prefixes.insert(prefix.to_string(), stats);
        }
        total
    }
}
