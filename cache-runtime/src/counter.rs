//! Counting by hand: an entry of type `i64` that is raised in one step, whoever else raises it.
//!
//! A count is an entry like any other, so `get::<i64>` reads what was counted, `set` begins anew, and whatever invalidates the
//! key does so here. In Redis it is replaced only while it is the one that was read, else read again.

use std::sync::Arc;
use std::time::Duration;

use crate::cache::Cache;
use crate::entry::{self, Parcel, Query, Standing, Times};
use crate::error::{Error, ErrorKind};
use crate::inner::{Inner, error};
use crate::key::Key;
use crate::life;
use crate::near::{Entry, Source};
use crate::remote::Remote;
use crate::seen::SeenRemote;
use crate::stats::Counters;
use crate::store::{Loads, Swap, Trouble};
use crate::value::envelope::Generations;
use crate::value::{Kind, Shared};

const KIND: Kind = Kind::of::<i64>();

impl Cache {
    /// Adds `by` to the number under a key, and answers the sum: one step, whoever else does the same, in any process.
    ///
    /// Where there is none it begins at zero, and lives for the default ttl; counting does not prolong it, [`touch`](Self::touch)
    /// does. The entry is an `i64` like any other: `get::<i64>` reads it, and `set(key, &0_i64, ttl)` begins anew.
    ///
    /// While Redis is away each process counts for itself, from what it has counted meanwhile; when it is back, what was counted
    /// in Redis before goes on.
    ///
    /// # Errors
    /// An unusable key; a closed cache; an entry of another type, or a sum beyond `i64`: of kind `Value`, and nothing is changed;
    /// a Redis that refuses, or does not answer while the in-process tier does not stand in for it. In that case it may have
    /// been counted or not, and where the connection broke at that very moment, twice.
    ///
    /// # Cancellation
    /// Dropped half-way, it may have been counted or not.
    pub async fn incr(&self, key: &str, by: i64) -> Result<i64, Error> {
        let (key, _) = self.inner().by_hand(key)?;
        if !self.inner().is_enabled() {
            return Ok(by);
        }
        Box::pin(count(self.inner(), &key, by)).await
    }
}

async fn count(cache: &Arc<Inner>, key: &Key, by: i64) -> Result<i64, Error> {
    let Some(remote) = &cache.remote else {
        return match count_here(cache, key, by) {
            Some(counted) => counted,
            None => Ok(by),
        };
    };
    match count_in_redis(cache, remote, key, by).await {
        Ok(counted) => counted,
        Err(trouble) => match count_here(cache, key, by) {
            Some(counted) => counted,
            None => Err(error(&trouble)),
        },
    }
}

/// The outer error is that of Redis.
async fn count_in_redis(
    cache: &Arc<Inner>,
    remote: &Arc<Remote>,
    key: &Key,
    by: i64,
) -> Result<Result<i64, Error>, Trouble> {
    // Whoever counts in the same process waits for his turn instead of trying again and again.
    let _turn = cache
        .turns
        .turn(key.as_str(), cache.config.response_timeout)
        .await;
    for round in 0..life::MOST_CHANGES {
        let mut standing = entry::standing(cache, remote, key).await?;
        let sum = match number_in(cache, &standing) {
            Ok(number) => add(number, by),
            Err(problem) => Err(problem),
        };
        let sum = match sum {
            Ok(sum) => sum,
            Err(problem) => return Ok(Err(problem)),
        };
        let bytes = match packed(cache, remote, &mut standing, sum).await? {
            Ok(bytes) => bytes,
            Err(problem) => return Ok(Err(problem)),
        };
        let swap = Swap {
            seen: standing.stamp(),
            bytes: &bytes,
            ttl: life_of(cache, &standing),
            left: standing.left,
            loads: Loads::End,
        };
        let replaced = life::replace(cache, remote, &standing, swap).await?;
        if replaced {
            // Who loads the same key would return what was before.
            cache.detach(key.as_str());
            return Ok(Ok(sum));
        }
        life::give_way(round).await;
    }
    Ok(Err(life::contended(key)))
}

/// The number that stands there, zero where there is none.
fn number_in(cache: &Inner, standing: &Standing) -> Result<i64, Error> {
    let Some((fingerprint, codec, bytes)) = standing.encoded(cache) else {
        return Ok(0);
    };
    if fingerprint != KIND.fingerprint() {
        return Err(no_number(&standing.key));
    }
    let decoded = (KIND.decode)(codec, &bytes);
    let number = decoded.ok().and_then(|number| number_of(&number));
    number.ok_or_else(|| no_number(&standing.key))
}

fn number_of(value: &Shared) -> Option<i64> {
    value.downcast_ref().copied()
}

fn add(number: i64, by: i64) -> Result<i64, Error> {
    number.checked_add(by).ok_or_else(|| {
        let problem = format!("{number} and {by} are more than an `i64` can hold");
        Error::new(ErrorKind::Value, problem)
    })
}

fn no_number(key: &Key) -> Error {
    let problem = format!("what stands under `{key}` is no `i64`, so it cannot be counted");
    Error::new(ErrorKind::Value, problem)
}

fn life_of(cache: &Inner, standing: &Standing) -> Duration {
    standing.left.unwrap_or_else(|| cache.ttl(None))
}

/// The bytes of the number under the generations that stand there; those that are missing are created.
async fn packed(
    cache: &Inner,
    remote: &Arc<Remote>,
    standing: &mut Standing,
    number: i64,
) -> Result<Result<Vec<u8>, Error>, Trouble> {
    let ttl = life_of(cache, standing);
    let mut seen = SeenRemote {
        lease: standing.read.lease(),
        generations: std::mem::take(&mut standing.generations),
        stamp: Vec::new(),
        teller: standing.read.teller().cloned(),
    };
    remote.renew(&standing.key, &mut seen, ttl).await?;
    let generations: Option<Generations> = seen.generations.iter().copied().collect();
    standing.generations = seen.generations;
    let Some(generations) = generations else {
        let problem = "a name of the cache's own is taken in redis by something else";
        return Ok(Err(Error::new(ErrorKind::Refused, problem)));
    };
    let value: Shared = Arc::new(number);
    let parcel = Parcel {
        key: &standing.key,
        kind: KIND,
        terms: cache.terms_by_hand(),
        value: &value,
        ttl,
        took: Duration::ZERO,
    };
    let packed = parcel.pack(cache, generations);
    Ok(packed.map_err(|problem| {
        Error::new(ErrorKind::Encode, "a number cannot be encoded").caused_by(problem)
    }))
}

/// Counts in the process; `None` where that is not the tier in use.
fn count_here(cache: &Arc<Inner>, key: &Key, by: i64) -> Option<Result<i64, Error>> {
    let terms = cache.terms_by_hand();
    let life = cache.local_ttl(key, cache.ttl(None), terms)?;
    let counters = Arc::new(Counters::default());
    let query = Query {
        cache,
        key,
        kind: &KIND,
        terms: &terms,
        counters: &counters,
        trace: None,
    };
    let times = Times::of_a_new_value(life, Duration::ZERO);
    let view = cache.near.view(key);
    let count = || {
        let near = &cache.near;
        near.update(key.as_str(), entry::anybody(key), |entry| {
            let number = match entry {
                None => Ok(0),
                Some(entry) => number_of(&entry.value).ok_or_else(|| no_number(key)),
            };
            let sum = match number.and_then(|number| add(number, by)) {
                Ok(sum) => sum,
                Err(problem) => return (None, Err(problem)),
            };
            let value: Shared = Arc::new(sum);
            let next = match entry {
                Some(entry) => Entry {
                    value,
                    source: Source::Process,
                    ..entry.clone()
                },
                None => query.near_entry(&value, key.origin(), view, times),
            };
            (Some(next), Ok(sum))
        })
    };
    // A load that is under way, or begins meanwhile, must not fill behind it.
    Some(cache.detach_while(key.as_str(), count))
}
