//! The cache by hand, over the very pieces that annotated functions use.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::call::{Call, Ttl};
use crate::config::{CacheBuilder, CacheConfig};
use crate::entry::{self, Found, Query};
use crate::error::{Error, ErrorKind};
use crate::held::Held;
use crate::inner::{Inner, error};
use crate::invalidate::{self, Doomed, Pending};
use crate::invalidated::{Invalidated, Reach};
use crate::key;
use crate::key::pattern::{self, Pattern};
use crate::log;
use crate::many;
use crate::mode::Mode;
use crate::near::Near;
use crate::outcome::{Itself, OkOf};
use crate::remote::Remote;
use crate::stats::Stats;
use crate::store::Trouble;
use crate::value::compression;
use crate::value::{self, Hands, Kind, Shared, Value};

/// A handle to a cache. Cheap to clone; all clones are one cache.
///
/// Keys are the same everywhere: `cache.delete("user:42:profile")` drops what an annotated function with
/// `prefix = "user", key = "{id}:profile"` stored.
///
/// ```
/// # async fn example() -> Result<(), cache_runtime::Error> {
/// use std::time::Duration;
/// use cache_runtime::Cache;
///
/// let cache = Cache::builder().key_prefix("myapp").open().await?;
/// cache.set("greeting", &"hello".to_owned(), Duration::from_secs(60)).await?;
/// assert_eq!(cache.get::<String>("greeting").await?.as_deref(), Some("hello"));
/// # Ok(())
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(example()).unwrap();
/// ```
#[derive(Clone)]
pub struct Cache {
    inner: Arc<Inner>,
}

impl Cache {
    /// Sets up a cache by code.
    pub fn builder() -> CacheBuilder {
        CacheBuilder::new()
    }

    /// Opens a cache as the environment says: `REDIS_URL` and its kin, see the README.
    ///
    /// # Errors
    /// A malformed variable, by name. With the feature `fallback` off, also a Redis that cannot be reached.
    pub async fn from_env() -> Result<Self, Error> {
        CacheBuilder::from_env()?.open().await
    }

    pub(crate) fn without_connecting(config: CacheConfig) -> Result<Self, Error> {
        let near = Arc::new(Near::new(config.memory_limit, config.max_entries));
        let remote = match &config.redis {
            Some(_) if config.enabled => {
                if config.compression && !compression::BUILT_IN {
                    log::no_compression();
                }
                Some(Arc::new(Remote::open(&config, Arc::clone(&near))?))
            }
            _ => None,
        };
        Ok(Self {
            inner: Arc::new(Inner::new(config, remote, near)),
        })
    }

    /// A cache without Redis, whatever the configuration says.
    pub(crate) fn in_process(config: CacheConfig) -> Self {
        let near = Arc::new(Near::new(config.memory_limit, config.max_entries));
        Self {
            inner: Arc::new(Inner::new(config, None, near)),
        }
    }

    /// Its name, where it is a further one.
    pub(crate) fn name(&self) -> Option<&str> {
        self.inner.config.name.as_deref()
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }

    /// The value under a key, or `None` where there is none of this type.
    ///
    /// # Errors
    /// An unusable key; a closed cache. With the feature `fallback` off, also a Redis that does not answer.
    pub async fn get<T: Value>(&self, key: &str) -> Result<Option<T>, Error> {
        let (key, counters) = self.inner.by_hand(key)?;
        if !self.inner.is_enabled() {
            counters.misses.one();
            return Ok(None);
        }
        let terms = self.inner.terms_by_hand();
        let query = Query {
            cache: &self.inner,
            key: &key,
            kind: const { &Kind::of::<T>() },
            terms: &terms,
            counters: &counters,
            trace: None,
        };
        match query.look_up().await {
            Found::Value(value) => Ok(value::take(&value)),
            // By hand there is no window in which an expired value is returned.
            Found::Aged(_, seen) | Found::Nothing(seen) => {
                counters.misses.one();
                if self.inner.remote.is_some() && seen.remote.is_none() {
                    Inner::failed(&Trouble::Open)?;
                }
                Ok(None)
            }
        }
    }

    /// Stores a value; `ttl` is a `Duration`, or `None` for the default. A load of the same key that is under way will not overwrite it.
    ///
    /// # Errors
    /// An unusable key; a closed cache; a value that cannot be encoded for Redis; a Redis that refuses, or does not answer
    /// while the in-process tier does not stand in for it. The key then reads as absent.
    pub async fn set<T: Value>(
        &self,
        key: &str,
        value: &T,
        ttl: impl Into<Option<Duration>>,
    ) -> Result<(), Error> {
        let (key, _) = self.inner.by_hand(key)?;
        let ttl = self.inner.ttl(ttl.into());
        if !self.inner.is_enabled() || ttl.is_zero() {
            return Ok(());
        }
        let value: Shared = Arc::new(value.clone());
        Box::pin(many::put(
            &self.inner,
            &[(key, value)],
            Kind::of::<T>(),
            ttl,
        ))
        .await
    }

    /// The value under a key, else what `load` returns, which is then stored; with all promises of an annotated function.
    ///
    /// # Errors
    /// The loader's. A cache that cannot be used is not an error: the loader is run.
    ///
    /// # Cancellation
    /// Dropping this drops the loader; whoever waits for the same key takes over.
    pub async fn get_or_set<T, E, L, F>(
        &self,
        key: &str,
        ttl: impl Into<Option<Duration>>,
        load: L,
    ) -> Result<T, E>
    where
        T: Value,
        L: FnOnce() -> F,
        F: Future<Output = Result<T, E>>,
    {
        let ttl = self.inner.ttl(ttl.into());
        let (key, counters) = match self.inner.by_hand(key) {
            Ok(found) if self.inner.is_enabled() => found,
            _ => return load().await,
        };
        let (kind, terms) = (Kind::of::<T>(), self.inner.terms_by_hand());
        let query = Query {
            cache: &self.inner,
            key: &key,
            kind: &kind,
            terms: &terms,
            counters: &counters,
            trace: None,
        };
        // While Redis is away a call goes on, because one of them has to find it again.
        let kept = self.inner.is_settled().then(|| query.near()).flatten();
        if let Some(value) = kept.as_ref().and_then(value::take) {
            return Ok(value);
        }
        let call = Box::new(Call {
            site: None,
            cache: Held::Own(Arc::clone(&self.inner)),
            key,
            kind,
            ttl: Ttl::Fixed(ttl),
            ruling: None,
            terms,
            counters: Held::Own(counters),
            limit: None,
            intent: None,
        });
        let load = pin!(async move { load().await });
        call.run::<OkOf<T, E, Itself>, _>(Hands::new(), load).await
    }

    /// Deletes an entry everywhere; answers whether it was there.
    ///
    /// # Errors
    /// An unusable key; a closed cache. With the feature `fallback` off, also a Redis that does not answer:
    /// the deletion is then remembered, and replayed before Redis is trusted again.
    pub async fn delete(&self, key: &str) -> Result<bool, Error> {
        let (key, counters) = self.inner.by_hand(key)?;
        if !self.inner.is_enabled() {
            return Ok(false);
        }
        counters.invalidations.one();
        let near = entry::stands_near(&self.inner, &key);
        match Pending::of_entries(&self.inner, [&key]).remove().await {
            Ok(there) => Ok(there > 0 || near),
            Err(trouble) => Inner::failed(&trouble).map(|()| near),
        }
    }

    /// Deletes every entry whose key matches a glob pattern (`*`, `?`, `[a-z]`, `\*`); answers how many.
    /// Cost: a walk over the whole key space. [`invalidate_prefix`](Self::invalidate_prefix) costs the same whatever there is.
    ///
    /// # Errors
    /// A closed cache; a Redis that does not answer: what was not reached is not remembered, so try again.
    ///
    /// # Cancellation
    /// Dropped half-way, this leaves in Redis what it has not come to yet, as if it had failed.
    pub async fn clear(&self, pattern: &str) -> Result<u64, Error> {
        if self.inner.closed.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Closed, "the cache is closed"));
        }
        if !self.inner.is_enabled() {
            return Ok(0);
        }
        let cache = &self.inner;
        let full = key::below(&pattern::escape(cache.root()), pattern);
        let matcher = Pattern::new(&full);
        cache.counters(invalidate::PATTERNS).invalidations.one();
        let near = clear_here(cache, &matcher);
        let Some(remote) = &cache.remote else {
            return Ok(near);
        };
        // What is kept in process is a copy of what is in Redis, unless Redis is away; then it is an error below.
        let _again = ClearedAgain {
            cache,
            matcher: &matcher,
        };
        let told = remote.clear(matcher.as_str()).await;
        told.map_err(|trouble| error(&trouble))
    }

    /// Invalidates every entry under a prefix, at the cost of one deletion whatever there is. Takes any level of a key
    /// but those made of a function's arguments: `video`, `video:get_video`, `user:42` of `user:{id}:profile`.
    ///
    /// In this process it holds at once. What it achieved beyond is in the answer: where Redis could not be told,
    /// it is remembered, and replayed before this process trusts Redis again.
    ///
    /// # Errors
    /// An unusable prefix; a closed cache.
    pub async fn invalidate_prefix(&self, prefix: &str) -> Result<Invalidated, Error> {
        let level = key::level(self.inner.root(), prefix)?;
        let prefix = prefix.trim_end_matches(':');
        self.invalidate(prefix, |doomed| doomed.level(level)).await
    }

    /// Invalidates every entry with a tag, at the cost of one deletion whatever there is.
    ///
    /// In this process it holds at once. What it achieved beyond is in the answer, as with
    /// [`invalidate_prefix`](Self::invalidate_prefix).
    ///
    /// # Errors
    /// An empty tag; a closed cache.
    pub async fn invalidate_tag(&self, tag: &str) -> Result<Invalidated, Error> {
        let tag = key::tag_by_hand(self.inner.root(), tag)?;
        self.invalidate(invalidate::TAGS, |doomed| doomed.tag(tag))
            .await
    }

    async fn invalidate(
        &self,
        counted: &str,
        name: impl FnOnce(&mut Doomed),
    ) -> Result<Invalidated, Error> {
        if self.inner.closed.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Closed, "the cache is closed"));
        }
        if !self.inner.is_enabled() {
            let reason = "the cache is disabled".to_owned();
            return Ok(Invalidated::unconfirmed(Reach::Nowhere, 0, reason));
        }
        self.inner.counters(counted).invalidations.one();
        let mut doomed = Doomed::default();
        name(&mut doomed);
        Ok(Pending::new(&self.inner, doomed).settle().await)
    }

    /// What has been counted since the cache was opened, in total and per prefix.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut stats = self.inner.book.read();
        stats.entries = self.inner.near.entries();
        stats.bytes = self.inner.near.bytes();
        stats.using_redis = self.mode() == Mode::Redis;
        stats
    }

    /// Which tier answers at this moment.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.inner.mode()
    }

    /// Replays what is pending, closes the connections and empties the in-process tier.
    /// Annotated functions then run their bodies; methods of the cache answer an error of kind `Closed`.
    pub async fn close(&self) {
        self.inner.closed.store(true, Ordering::Relaxed);
        if let Some(remote) = &self.inner.remote {
            remote.close().await;
        }
        self.inner.near.clear_all();
    }
}

impl CacheBuilder {
    /// Opens the cache. Waits for Redis once, at most for the connect timeout; without it the in-process tier stands in,
    /// and [`Cache::mode`] tells.
    ///
    /// # Errors
    /// A setting that makes no sense, by name. With the feature `fallback` off, also a Redis that cannot be reached.
    pub async fn open(self) -> Result<Cache, Error> {
        let cache = Cache::without_connecting(self.finish()?)?;
        if let Some(remote) = &cache.inner.remote
            && let Err(trouble) = remote.ping().await
        {
            Inner::failed(&trouble)?;
        }
        log::opened(cache.mode(), &cache.location());
        Ok(cache)
    }
}

fn clear_here(cache: &Inner, matcher: &Pattern) -> u64 {
    cache.detach_matching(matcher);
    cache.near.clear(matcher)
}

/// Clears the process once more when dropped: of what was read from Redis while that was being cleared. Nobody tells a
/// connection of its own deletions, nor afterwards of what others do to what it has deleted.
struct ClearedAgain<'a> {
    cache: &'a Inner,
    matcher: &'a Pattern,
}

impl Drop for ClearedAgain<'_> {
    fn drop(&mut self) {
        clear_here(self.cache, self.matcher);
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
