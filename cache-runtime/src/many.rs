//! Several entries by hand at once: one round trip, and the guarantees of a single one for each.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use crate::cache::Cache;
use crate::entry::{Found, Parcel, Query, Times};
use crate::error::{Error, ErrorKind};
use crate::inner::{Inner, error};
use crate::invalidate::Pending;
use crate::key::Key;
use crate::policy::Terms;
use crate::stats::Counters;
use crate::store::Put;
use crate::value::envelope::{self, Generations};
use crate::value::{self, Kind, Shared, Value};

impl Cache {
    /// The values under several keys, in their order; `None` where there is none of this type.
    ///
    /// What the process does not have is asked of Redis in one round trip. Entries that a function stored with tags, or under
    /// more levels than their key shows, take one more.
    ///
    /// # Errors
    /// An unusable key; a closed cache. With the feature `fallback` off, also a Redis that does not answer.
    pub async fn get_many<T: Value>(
        &self,
        keys: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Vec<Option<T>>, Error> {
        let mut asked = Vec::new();
        for key in keys {
            asked.push(self.inner().by_hand(key.as_ref())?);
        }
        if !self.inner().is_enabled() {
            return Ok(asked.iter().map(|_| None).collect());
        }
        let found = Box::pin(get(self.inner(), &asked, Kind::of::<T>())).await?;
        let values = found.into_iter().zip(&asked).map(|(found, (_, counters))| {
            let value = found.as_ref().and_then(value::take);
            if value.is_none() {
                counters.misses.one();
            }
            value
        });
        Ok(values.collect())
    }

    /// Stores several values, in one round trip; `ttl` is a `Duration`, or `None` for the default.
    /// Loads of these keys that are under way will not overwrite them.
    ///
    /// # Errors
    /// As [`set`](Cache::set). The keys of those that could not be stored then read as absent.
    pub async fn set_many<K: AsRef<str>, T: Value>(
        &self,
        entries: &[(K, T)],
        ttl: impl Into<Option<Duration>>,
    ) -> Result<(), Error> {
        let ttl = self.inner().ttl(ttl.into());
        let mut values = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let (key, _) = self.inner().by_hand(key.as_ref())?;
            let value: Shared = Arc::new(value.clone());
            values.push((key, value));
        }
        if !self.inner().is_enabled() || ttl.is_zero() || values.is_empty() {
            return Ok(());
        }
        Box::pin(put(self.inner(), &values, Kind::of::<T>(), ttl)).await
    }

    /// Deletes several entries everywhere, in one round trip; answers how many there were.
    ///
    /// # Errors
    /// As [`delete`](Cache::delete).
    pub async fn delete_many(
        &self,
        keys: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<u64, Error> {
        let mut doomed = Vec::new();
        let mut named = HashSet::new();
        for key in keys {
            let (key, counters) = self.inner().by_hand(key.as_ref())?;
            // What is named twice was there once.
            if named.insert(key.shared()) {
                doomed.push((key, counters));
            }
        }
        if !self.inner().is_enabled() || doomed.is_empty() {
            return Ok(0);
        }
        let stood = doomed.iter().filter(|(key, counters)| {
            counters.invalidations.one();
            crate::entry::stands_near(self.inner(), key)
        });
        let near = u64::try_from(stood.count()).unwrap_or(u64::MAX);
        let keys = doomed.iter().map(|(key, _)| key);
        match Pending::of_entries(self.inner(), keys).remove().await {
            Ok(there) if self.inner().remote.is_some() => Ok(there),
            Ok(_) => Ok(near),
            Err(trouble) => Inner::failed(&trouble).map(|()| near),
        }
    }
}

/// What each of these keys has, looked for in process and then in Redis, in one round trip.
async fn get(
    cache: &Arc<Inner>,
    asked: &[(Key, Arc<Counters>)],
    kind: Kind,
) -> Result<Vec<Option<Shared>>, Error> {
    let terms = cache.terms_by_hand();
    let query = |(key, counters)| Query {
        cache,
        key,
        kind: &kind,
        terms: &terms,
        counters,
        trace: None,
    };
    let queries: Vec<Query<'_>> = asked
        .iter()
        .map(|(key, counters)| query((key, counters)))
        .collect();
    let mut found: Vec<Option<Shared>> = queries.iter().map(|query| query.near()).collect();
    let Some(remote) = &cache.remote else {
        return Ok(found);
    };
    let missing: Vec<usize> = found
        .iter()
        .enumerate()
        .filter_map(|(at, found)| found.is_none().then_some(at))
        .collect();
    if missing.is_empty() {
        return Ok(found);
    }
    let asked = missing.iter().filter_map(|at| queries.get(*at));
    let keys: Vec<Key> = asked.clone().map(|query| query.key.clone()).collect();
    let views: Vec<_> = asked.map(|query| query.view()).collect();
    let reads = match remote.look_up_many(&keys).await {
        Ok(reads) => reads,
        Err(trouble) => return Inner::failed(&trouble).map(|()| found),
    };
    for ((at, read), view) in missing.into_iter().zip(reads).zip(views) {
        let (Some(query), Some(found)) = (queries.get(at), found.get_mut(at)) else {
            continue;
        };
        *found = match query.answer(Ok(read), view).await {
            Found::Value(value) => Some(value),
            Found::Aged(..) | Found::Nothing(_) => None,
        };
    }
    Ok(found)
}

/// Stores values whatever was there, in Redis while it answers, else in process.
pub(crate) async fn put(
    cache: &Arc<Inner>,
    values: &[(Key, Shared)],
    kind: Kind,
    ttl: Duration,
) -> Result<(), Error> {
    put_on_terms(cache, values, kind, ttl, cache.terms_by_hand()).await
}

/// The same for entries of a function, on its terms.
pub(crate) async fn put_on_terms(
    cache: &Arc<Inner>,
    values: &[(Key, Shared)],
    kind: Kind,
    ttl: Duration,
    terms: Terms,
) -> Result<(), Error> {
    let views: Vec<_> = values.iter().map(|(key, _)| cache.near.view(key)).collect();
    if let Some(remote) = &cache.remote {
        let packed = pack(cache, values, kind, (ttl, terms))?;
        let puts: Vec<Put<'_>> = packed
            .iter()
            .zip(values)
            .map(|(bytes, (key, _))| Put {
                key,
                around_generations: envelope::around_generations(bytes, key.groups().count()),
                ttl: ttl.saturating_add(terms.stale.longest()),
            })
            .collect();
        // What this process has of these entries, and what it is about to keep, is older: before the writing, because somebody
        // may read the new value at once, and after it, because somebody may have read the old one in between.
        let mut older = Pending::of_entries(cache, values.iter().map(|(key, _)| key));
        older.begin();
        let stored = remote.put(&puts).await;
        older.end();
        match stored {
            Ok(true) => return Ok(()),
            Ok(false) => {
                return Err(Error::new(
                    ErrorKind::Refused,
                    "a name of the cache's own is taken in redis by something else",
                ));
            }
            Err(trouble) => {
                // Whatever stands there is older than these values: it must be gone before Redis is trusted again.
                let _ = older.settle().await;
                let kept = |(key, _): &(Key, Shared)| cache.local_ttl(key, ttl, terms).is_some();
                if !values.iter().all(kept) {
                    return Err(error(&trouble));
                }
            }
        }
    }
    let counters = Arc::new(Counters::default());
    for ((key, value), view) in values.iter().zip(views) {
        let Some(life) = cache.local_ttl(key, ttl, terms) else {
            continue;
        };
        let query = Query {
            cache,
            key,
            kind: &kind,
            terms: &terms,
            counters: &counters,
            trace: None,
        };
        let times = Times::of_a_new_value(life, Duration::ZERO);
        let entry = query.near_entry(value, key.origin(), view, times);
        // A load that is under way, or begins meanwhile, must not fill behind it.
        let insert = || cache.near.insert(key.as_str(), entry);
        cache.detach_while(key.as_str(), insert);
    }
    Ok(())
}

/// The bytes of each value, with room for the generations that the store will put in.
fn pack(
    cache: &Arc<Inner>,
    values: &[(Key, Shared)],
    kind: Kind,
    (ttl, terms): (Duration, Terms),
) -> Result<Vec<Vec<u8>>, Error> {
    let pack = |(key, value): &(Key, Shared)| {
        let room: Generations = key.groups().map(|_| 0).collect();
        let parcel = Parcel {
            key,
            kind,
            terms,
            value,
            ttl,
            took: Duration::ZERO,
        };
        parcel.pack(cache, room).map_err(|problem| {
            let name = (kind.facts)().name;
            let problem_of = format!("a value of type `{name}` cannot be encoded");
            Error::new(ErrorKind::Encode, problem_of).caused_by(problem)
        })
    };
    values.iter().map(pack).collect()
}
