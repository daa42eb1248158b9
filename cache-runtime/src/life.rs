//! How long an entry lives, by hand: told, and changed without touching its value.

use std::sync::Arc;
use std::time::Duration;

use crate::cache::Cache;
use crate::clock;
use crate::entry::{self, Standing};
use crate::error::{Error, ErrorKind};
use crate::inner::{Inner, error};
use crate::key::Key;
use crate::near::{Entry, Source};
use crate::random;
use crate::remote::Remote;
use crate::store::{Loads, Swap, Trouble};

/// Times an entry may be replaced by other processes while this one tries to.
pub(crate) const MOST_CHANGES: u32 = 64;
const LONGEST_WAIT: Duration = Duration::from_millis(16);

impl Cache {
    /// Whether a usable entry of any type stands under a key.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn exists(&self, key: &str) -> Result<bool, Error> {
        self.ttl(key).await.map(|left| left.is_some())
    }

    /// How long the entry under a key may still be used, whatever its type; `None` where there is none.
    /// Asks Redis while that answers, else the in-process tier.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn ttl(&self, key: &str) -> Result<Option<Duration>, Error> {
        let (key, _) = self.inner().by_hand(key)?;
        if !self.inner().is_enabled() {
            return Ok(None);
        }
        Box::pin(left(self.inner(), &key)).await
    }

    /// Has the entry under a key live for `ttl` from now on, longer or shorter than it would, and leaves its value alone;
    /// answers whether there was one. `ttl` is a `Duration`, or `None` for the default; with zero it is deleted.
    ///
    /// Whatever invalidates the entry still does, and expired values of it are of use for as long as before.
    ///
    /// # Errors
    /// An unusable key; a closed cache; a Redis that refuses or does not answer, unless the entry is one that the process
    /// keeps in its stead: the entry in Redis may then live as long as before.
    ///
    /// # Cancellation
    /// Dropped half-way, it may have been done or not.
    pub async fn touch(&self, key: &str, ttl: impl Into<Option<Duration>>) -> Result<bool, Error> {
        let name = key;
        let (key, _) = self.inner().by_hand(name)?;
        let ttl = self.inner().ttl(ttl.into());
        if !self.inner().is_enabled() {
            return Ok(false);
        }
        if ttl.is_zero() {
            return self.delete(name).await;
        }
        Box::pin(touch(self.inner(), &key, ttl)).await
    }
}

async fn left(cache: &Arc<Inner>, key: &Key) -> Result<Option<Duration>, Error> {
    let Some(remote) = &cache.remote else {
        return Ok(entry::left_near(cache, key));
    };
    match entry::standing(cache, remote, key).await {
        Ok(standing) => Ok(standing.left),
        Err(trouble) => Inner::failed(&trouble).map(|()| entry::left_near(cache, key)),
    }
}

async fn touch(cache: &Arc<Inner>, key: &Key, ttl: Duration) -> Result<bool, Error> {
    let Some(remote) = &cache.remote else {
        return Ok(touch_here(cache, key, ttl));
    };
    match touch_in_redis(cache, remote, key, ttl).await {
        Ok(touched) => touched,
        Err(_) if touch_here(cache, key, ttl) => Ok(true),
        // What stands there has been invalidated.
        Err(Trouble::Quarantined) => Ok(false),
        Err(trouble) => Err(error(&trouble)),
    }
}

async fn touch_in_redis(
    cache: &Arc<Inner>,
    remote: &Arc<Remote>,
    key: &Key,
    ttl: Duration,
) -> Result<Result<bool, Error>, Trouble> {
    let limit = cache.config.response_timeout;
    let _turn = cache.turns.turn(key.as_str(), limit).await;
    for round in 0..MOST_CHANGES {
        let standing = entry::standing(cache, remote, key).await?;
        let (Some(left), Some(bytes)) = (standing.left, standing.with_life(cache, ttl)) else {
            return Ok(Ok(false));
        };
        let swap = Swap {
            seen: standing.stamp(),
            bytes: &bytes,
            ttl,
            left: Some(left),
            loads: Loads::GoOn,
        };
        if replace(cache, remote, &standing, swap).await? {
            return Ok(Ok(true));
        }
        give_way(round).await;
    }
    Ok(Err(contended(key)))
}

/// Lets those go first who were quicker.
pub(crate) async fn give_way(round: u32) {
    let wait = Duration::from_millis(1 << round.min(8)).min(LONGEST_WAIT);
    clock::sleep(wait.mul_f64(random::share())).await;
}

pub(crate) fn contended(key: &Key) -> Error {
    let problem = format!("the entry `{key}` was replaced by others again and again");
    Error::new(ErrorKind::Refused, problem)
}

/// Puts another entry in the place of the one that stands there, if it still does; and forgets what the process has of it.
pub(crate) async fn replace(
    cache: &Inner,
    remote: &Arc<Remote>,
    standing: &Standing,
    swap: Swap<'_>,
) -> Result<bool, Trouble> {
    let _after = ForgottenHere {
        cache,
        entry: standing.key.as_str(),
    };
    let generations = &standing.generations;
    remote.swap(&standing.key, generations, swap).await
}

/// Forgets in this process, when dropped, what was replaced in Redis: nobody tells a connection of its own writes. Whatever was
/// read meanwhile is not kept either.
struct ForgottenHere<'a> {
    cache: &'a Inner,
    entry: &'a str,
}

impl Drop for ForgottenHere<'_> {
    fn drop(&mut self) {
        self.cache.near.remove(self.entry);
    }
}

/// Touches an entry that the process keeps by itself; answers whether there is one.
fn touch_here(cache: &Inner, key: &Key, ttl: Duration) -> bool {
    let life = match &cache.remote {
        Some(_) => ttl.min(cache.config.fallback_ttl),
        None => ttl,
    };
    cache
        .near
        .update(key.as_str(), entry::anybody(key), |entry| {
            // What was read from Redis ends with what Redis says.
            let Some(entry) = entry.filter(|entry| matches!(entry.source, Source::Process)) else {
                return (None, false);
            };
            let window = entry.kept_until.saturating_duration_since(entry.expires);
            let expires = clock::after(clock::now(), life);
            let kept_until = match &cache.remote {
                Some(_) => expires,
                None => clock::after(expires, window),
            };
            let touched = Entry {
                expires,
                kept_until,
                ..entry.clone()
            };
            (Some(touched), true)
        })
}
