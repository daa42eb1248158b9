//! What is said of functions whose options cannot do what they say: each once per function, at its first use or as soon as it is
//! certain, and never on the way of a hit.
//!
//! Only what is certain is said. What is merely unusual may be meant.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

use crate::inner::Inner;
use crate::key::Key;
use crate::log;
use crate::near::{Near, same_origin};
use crate::policy::NearTerms;
use crate::site::{CallSite, Flaw};
use crate::value::Identity;

/// Loads in a row that take longer than their values are kept: a single one may be an accident.
const SLOW_LOADS: u8 = 3;

/// Keys of which it is remembered who filled them last.
const REMEMBERED: usize = 256;

/// What can be said as soon as a function meets a cache.
pub(crate) fn at_first_use(cache: &Inner, site: &CallSite) {
    if !cache.is_enabled() {
        return;
    }
    let policy = site.policy();
    let near = cache.near_terms(policy);
    if cache.remote.is_none() && Near::EXISTS && !near.allow() && site.is_first(Flaw::KeptNowhere) {
        log::kept_nowhere(&site.path());
    }
    if let (Some(own), Some(all)) = (policy.max_loads, cache.config.max_loads)
        && own >= all
        && site.is_first(Flaw::LooseLimit)
    {
        log::loose_limit(&site.path(), own, all);
    }
}

/// What can be said of a function that cannot fail.
pub(crate) fn of_what_never_fails(cache: &Inner, site: &CallSite) {
    let policy = site.policy();
    let limited = policy.max_loads.or(cache.config.max_loads).is_some();
    let of_use = limited || policy.terms.load_timeout.is_some();
    if !policy.terms.stale.if_error.is_zero() && !of_use && site.is_first(Flaw::NeverStale) {
        log::never_stale(&site.path());
    }
}

/// What can be said after a load that took so long, of a value that is kept for `ttl` whatever it is.
pub(crate) fn of_load(site: &CallSite, took: Duration, ttl: Duration) {
    if site.slow_loads(took >= ttl) >= SLOW_LOADS && site.is_first(Flaw::ShortTtl) {
        log::short_ttl(&site.path(), took, ttl);
    }
    if let NearTerms::AtMost(near_ttl) = site.policy().terms.near
        && near_ttl > ttl
        && site.is_first(Flaw::LongNearTtl)
    {
        log::long_near_ttl(&site.path(), near_ttl, ttl);
    }
}

/// What can be said of a value of so many bytes that was to be kept in process.
pub(crate) fn of_size(cache: &Inner, site: &CallSite, bytes: usize) {
    let limit = cache.config.memory_limit;
    let beyond = u64::try_from(bytes).is_ok_and(|bytes| bytes > limit);
    if beyond && site.is_first(Flaw::TooLarge) {
        log::too_large(&site.path(), bytes, limit);
    }
}

/// Who filled which key last.
pub(crate) struct LastFills(Box<[Mutex<Option<Filled>>]>);

struct Filled {
    key: u64,
    origin: u64,
    identity: Identity,
    site: &'static CallSite,
}

impl LastFills {
    pub(crate) fn new() -> Self {
        Self((0..REMEMBERED).map(|_| Mutex::default()).collect())
    }

    /// A function fills a key. Whoever did so before with what this one cannot use, nor the other way round, replaces it again
    /// and again.
    pub(crate) fn note(&self, site: &'static CallSite, key: &Key, identity: Identity) {
        let hash = xxh3_64(key.as_str().as_bytes());
        let place = usize::try_from(hash % REMEMBERED as u64).unwrap_or_default();
        let Some(place) = self.0.get(place) else {
            return;
        };
        let filled = Filled {
            key: hash,
            origin: key.origin(),
            identity,
            site,
        };
        let mut last = place.lock().unwrap_or_else(PoisonError::into_inner);
        let before = last.replace(filled);
        drop(last);
        let other = before.filter(|before| {
            let usable = before.identity == identity && same_origin(before.origin, key.origin());
            before.key == hash && !usable
        });
        if let Some(other) = other
            && site.is_first(Flaw::SharedKey)
        {
            log::shared_key(&site.path(), &other.site.path(), key.as_str());
        }
    }
}
