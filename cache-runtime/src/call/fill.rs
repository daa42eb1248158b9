//! What becomes of a value that was loaded.

use std::sync::Arc;
use std::time::Duration;

use super::{Boxed, Call, Ttl};
use crate::advice;
use crate::clock::{self, Instant};
use crate::entry::{self, Parcel, Times};
use crate::flight::{Cabin, Seat};
use crate::lease::{Lease, Permit};
use crate::log;
use crate::near::coherence::Teller;
use crate::random;
use crate::seen::Seen;
use crate::store::Filled;
use crate::value::Shared;

/// A value that was loaded.
pub(super) struct Loaded<'a> {
    pub(super) value: &'a Shared,
    pub(super) ttl: Duration,
    /// How long its load took.
    pub(super) took: Duration,
}

impl Call {
    /// Stores what was loaded, where the leader's permit allows it.
    pub(super) fn fill(&self, seat: Seat, value: Shared, began: Instant) -> Boxed<'_, ()> {
        Box::pin(self.fill_in(seat, value, began))
    }

    async fn fill_in(&self, mut seat: Seat, value: Shared, began: Instant) {
        let now = clock::now();
        let loaded = Loaded {
            value: &value,
            ttl: self.ttl_of(&value, now),
            took: now.saturating_duration_since(began),
        };
        self.advise(&loaded);
        let Some(Cabin { seen, permit }) = seat.take_cabin() else {
            return;
        };
        let stands = match permit {
            _ if loaded.ttl.is_zero() => false,
            Permit::None => false,
            Permit::Local => {
                let kept = self.keep(&seat, &seen, &loaded);
                self.forget_the_old_later(kept);
                true
            }
            Permit::Leased(lease) => self.store(lease, &seen, &loaded).await,
        };
        if !stands {
            self.forget_the_old().await;
        }
    }

    /// Says what is certain of the function now.
    pub(super) fn advise(&self, loaded: &Loaded<'_>) {
        let Some(site) = self.site else {
            return;
        };
        // What is asked of the value may have another ttl for another one.
        if let (Ttl::Fixed(ttl), None) = (self.ttl, &self.ruling) {
            advice::of_load(site, loaded.took, ttl);
        }
        if !loaded.ttl.is_zero() {
            let fills = &self.cache.fills;
            fills.note(site, &self.key, self.kind.identity());
        }
    }

    pub(super) fn advise_on_size(&self, bytes: usize) {
        if let Some(site) = self.site {
            advice::of_size(&self.cache, site, bytes);
        }
    }

    /// How long the entry lives; zero where the value is not to be kept.
    pub(crate) fn ttl_of(&self, value: &Shared, now: Instant) -> Duration {
        let ruled = match &self.ruling {
            Some(ruling) => ruling(value, self.ttl, now),
            None => Some(self.ttl),
        };
        let Some(ttl) = ruled else {
            return Duration::ZERO;
        };
        let left = ttl.left(now);
        match ttl {
            // Entries that were loaded together do not expire together.
            Ttl::Fixed(_) => left.mul_f64(1.0 - self.cache.config.ttl_jitter * random::share()),
            // Whoever computes the end means it.
            Ttl::Until(_) => left,
        }
    }

    /// Answers whether it stands there, or the old one is ended in another way.
    async fn store(&self, lease: Lease, seen: &Seen, loaded: &Loaded<'_>) -> bool {
        let Some(remote) = &self.cache.remote else {
            return true;
        };
        let parcel = Parcel {
            key: &self.key,
            kind: self.kind,
            terms: self.terms,
            value: loaded.value,
            ttl: loaded.ttl,
            took: loaded.took,
        };
        let packed = entry::generations(seen).map(|seen| parcel.pack(&self.cache, seen));
        let Some(Ok(bytes)) = packed else {
            self.counters.errors.one();
            return false;
        };
        let kept = loaded.ttl.saturating_add(self.terms.stale.longest());
        let remote_seen = seen.remote.as_ref();
        let generations = remote_seen.map_or(&[][..], |seen| &seen.generations);
        let filled = remote.fill(&self.key, lease, generations, &bytes, kept);
        match filled.await {
            Ok(Filled::Stored(teller)) => self.keep_stored(seen, loaded, teller.as_ref()),
            Ok(Filled::Overtaken) => self.refused(),
            Err(_) => {
                self.counters.errors.one();
                self.forget_the_old_later(false);
            }
        }
        true
    }

    /// Keeps in process what was stored in Redis, if one connection tells of changes to all that it depends on.
    fn keep_stored(&self, seen: &Seen, loaded: &Loaded<'_>, teller: Option<&Arc<Teller>>) {
        let saw = seen.remote.as_ref().and_then(|seen| seen.teller.as_ref());
        let same = match (saw, teller) {
            (Some(saw), Some(teller)) => Arc::ptr_eq(saw, teller),
            (None, None) => true,
            _ => false,
        };
        if same {
            let times = Times::of_a_new_value(loaded.ttl, loaded.took);
            let entry = (self.key.origin(), times);
            let kept = self.query().keep(loaded.value, entry, seen.near, teller);
            self.advise_on_size(kept);
        }
    }

    /// Keeps a value in process, where that is the tier in use; answers whether it did.
    fn keep(&self, seat: &Seat, seen: &Seen, loaded: &Loaded<'_>) -> bool {
        let Some(life) = self.cache.local_ttl(&self.key, loaded.ttl, self.terms) else {
            return false;
        };
        let (query, origin) = (self.query(), self.key.origin());
        let times = Times::of_a_new_value(life, loaded.took);
        let entry = query.near_entry(loaded.value, origin, seen.near, times);
        self.advise_on_size(entry.bytes);
        let near = &self.cache.near;
        let kept = seat.while_current(|| near.insert(self.key.as_str(), entry));
        if !kept {
            self.refused();
        }
        kept
    }

    pub(super) fn refused(&self) {
        self.counters.refused_fills.one();
        log::fill_refused(self.key.as_str());
    }
}
