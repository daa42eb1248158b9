//! A cache set up by code: one setter for each setting.

use std::path::PathBuf;
use std::time::Duration;

use super::{CacheConfig, Durability, OnRestart, refused};
use crate::error::{Error, ErrorKind};
use crate::location::{DEFAULT_PORT, RedisUrl, Secret};
use crate::secret::HashKey;
use crate::value::codec::Codec;
#[cfg(feature = "encryption")]
use crate::value::seal::Keys;

/// Settings of a cache to be opened; each setter replaces what was said before.
///
/// A setting that cannot work is not reported by its setter but when the cache is opened, the first one first.
///
/// ```no_run
/// use std::time::Duration;
///
/// # async fn start() -> Result<(), cache_runtime::Error> {
/// let cache = cache_runtime::Cache::builder()
///     .redis_url("redis://127.0.0.1:6379/0")
///     .key_prefix("myapp")
///     .default_ttl(Duration::from_secs(300))
///     .open()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
#[must_use = "a builder does nothing until it is opened"]
pub struct CacheBuilder {
    pub(crate) config: CacheConfig,
    pub(crate) location: Location,
    pub(crate) problem: Option<Error>,
    #[cfg(feature = "encryption")]
    pub(crate) encryption: Option<Keys>,
}

impl From<CacheConfig> for CacheBuilder {
    fn from(config: CacheConfig) -> Self {
        Self {
            config,
            ..Self::default()
        }
    }
}

impl CacheBuilder {
    /// Every setting at its default: in-process only.
    pub fn new() -> Self {
        Self::default()
    }

    /// The name of a further cache, for [`Cache::named`](crate::Cache::named) and functions with `cache = ".."` once it is
    /// [installed](crate::install). Default: none, it is the default cache.
    ///
    /// It is no part of keys: two caches on one Redis share their entries unless they differ in `key_prefix`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.config.name = Some(name.into());
        self
    }

    /// Where Redis is: `redis://[[user]:password@]host[:port][/db]`, user and password percent-encoded.
    ///
    /// A malformed URL is reported when the cache is opened. Excludes `redis_host` and the other parts.
    pub fn redis_url(mut self, url: impl AsRef<str>) -> Self {
        match RedisUrl::parse(url.as_ref()) {
            Ok(url) => self.location.url = Some(url),
            Err(flaw) => {
                self.problem
                    .get_or_insert_with(|| refused("redis_url", flaw));
            }
        }
        self
    }

    /// The host of Redis, a name or an address. Default, once another part is set: `localhost`.
    pub fn redis_host(mut self, host: impl Into<String>) -> Self {
        self.location.host = Some(host.into());
        self
    }

    /// The TCP port of Redis. Default: 6379.
    pub fn redis_port(mut self, port: u16) -> Self {
        self.location.port = Some(port);
        self
    }

    /// The number of the Redis database. Default: 0.
    pub fn redis_db(mut self, db: u32) -> Self {
        self.location.db = Some(db);
        self
    }

    /// The ACL user, as it is, not percent-encoded. Default: none, which the server takes for `default`.
    pub fn redis_username(mut self, username: impl Into<String>) -> Self {
        self.location.username = Some(username.into());
        self
    }

    /// The password, as it is, not percent-encoded; it is never printed. Default: none.
    pub fn redis_password(mut self, password: impl Into<String>) -> Self {
        self.location.password = Some(Secret::new(password.into()));
        self
    }

    /// What every key in Redis begins with: names separated by `:`, without white space and `*?[]{}\^%'`. Default: empty.
    pub fn key_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.config.key_prefix = prefix.into();
        self
    }

    /// Whether values are kept in the process as well. Default: `true`.
    pub fn near(mut self, near: bool) -> Self {
        self.config.near = near;
        self
    }

    /// The longest life of a value in the process in front of Redis. Default: its ttl, or 1 s where Redis does not tell of changes.
    pub fn near_ttl(mut self, near_ttl: Duration) -> Self {
        self.config.near_ttl = Some(near_ttl);
        self
    }

    /// What confirms an invalidation. Default: the answer of the server.
    ///
    /// Redis replication is asynchronous: a failover to a replica that was behind forgets an invalidation until the ttl of the
    /// entries ends. With [`Durability::Replicas`] an invalidation waits, at most for the response timeout, until so many have it.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.config.durability = durability;
        self
    }

    /// What a Redis that was restarted or replaced means. Default: its data is not believed, because it may be older than what
    /// was invalidated; all of it is invalidated once, by the first process that connects.
    pub fn on_restart(mut self, on_restart: OnRestart) -> Self {
        self.config.on_restart = on_restart;
        self
    }

    /// A file in which invalidations survive this process until Redis has confirmed them: the next process that opens it
    /// replays them before it believes Redis. Default: none, they are remembered in memory.
    ///
    /// One process a file; a second one says so in its log and goes on without. A file that cannot be used is reported when the
    /// cache is opened. What was invalidated is written before the invalidating call returns, and is not synchronised to the
    /// disk: it survives the process and not the machine. Without Redis it is not opened.
    pub fn journal(mut self, path: impl Into<PathBuf>) -> Self {
        self.config.journal = Some(path.into());
        self
    }

    /// How long an entry lives if nothing else is said. Default: 300 s.
    pub fn default_ttl(mut self, ttl: Duration) -> Self {
        self.config.default_ttl = ttl;
        self
    }

    /// What the in-process entries may weigh together, in bytes. Default: 64 MiB.
    pub fn memory_limit(mut self, bytes: u64) -> Self {
        self.config.memory_limit = bytes;
        self
    }

    /// How many entries there may be in the process. Default: 10,000.
    pub fn max_entries(mut self, entries: u64) -> Self {
        self.config.max_entries = entries;
        self
    }

    /// The longest time to wait for a connection to Redis. Default: 1 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.config.connect_timeout = timeout;
        self
    }

    /// The longest time to wait for an answer of Redis. Default: 250 ms.
    pub fn response_timeout(mut self, timeout: Duration) -> Self {
        self.config.response_timeout = timeout;
        self
    }

    /// The longest life of an in-process entry while Redis is away. Default: 60 s.
    pub fn fallback_ttl(mut self, ttl: Duration) -> Self {
        self.config.fallback_ttl = ttl;
        self
    }

    /// How long a process that loads a value may keep others from loading it. Default: 10 s.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.config.lease = lease;
        self
    }

    /// How many bodies and loaders may run at once. Default: any number.
    pub fn max_loads(mut self, loads: usize) -> Self {
        self.config.max_loads = Some(loads);
        self
    }

    /// How long a call waits for others' bodies to end, where `max_loads` bounds them. Default: 1 s.
    pub fn max_load_wait(mut self, wait: Duration) -> Self {
        self.config.max_load_wait = wait;
        self
    }

    /// The share of its ttl by which an entry may live shorter, drawn for each. Default: 0.
    pub fn ttl_jitter(mut self, share: f64) -> Self {
        self.config.ttl_jitter = share;
        self
    }

    /// How many connections to Redis there may be. Default: 10. Checked and kept; one serves all tasks of a runtime.
    pub fn max_connections(mut self, connections: u32) -> Self {
        self.config.max_connections = connections;
        self
    }

    /// How values are written in Redis. Default: the first of the enabled features `bincode`, `postcard` and `json`.
    pub fn codec(mut self, codec: Codec) -> Self {
        self.config.codec = Some(codec);
        self
    }

    /// Whether values are compressed in Redis (LZ4), from 1 KiB to 64 MiB, where that makes them smaller. Default: `false`.
    /// `compress = ..` of a function goes before.
    ///
    /// It takes the feature `compression`, in every process that is to read them: to one without it they are misses. Built
    /// without it this has no effect, and one WARN says so when a cache on Redis is opened.
    pub fn compression(mut self, compression: bool) -> Self {
        self.config.compression = compression;
        self
    }

    /// Whether anything is cached; if not, every read misses and every write does nothing. Default: `true`.
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.config.enabled = enabled;
        self
    }

    /// The key under which `sensitive(..)` arguments are hashed before they become part of a key: at least 16 bytes, random
    /// ones; it is never printed. Default: none.
    ///
    /// All processes that share a Redis need the same one, or an invalidation in one misses the entries of another. With
    /// Redis and without such a key, functions with sensitive arguments run uncached, and one WARN says so; without Redis
    /// each process takes a random one.
    pub fn hash_key(mut self, key: impl AsRef<[u8]>) -> Self {
        match HashKey::new(key.as_ref()) {
            Ok(key) => self.config.hash_key = Some(key),
            Err(flaw) => {
                self.problem
                    .get_or_insert_with(|| refused("hash_key", flaw));
            }
        }
        self
    }

    /// A key under which values are encrypted in Redis: 32 random bytes, and the id that each entry names it by; it is never
    /// printed. Default: none, values are in clear.
    ///
    /// The first key is used to write, and all that are given to read; keys given here replace those of the environment.
    /// To change the key, first give the new one as a further key in every process, then as the first; once the entries of
    /// the old one have expired it can go. An entry that is not encrypted, or under a key that is not given, is a miss.
    ///
    /// Names stay readable: keys, with all arguments that are not `sensitive`, and tags. So does how long a value is.
    #[cfg(feature = "encryption")]
    pub fn encryption_key(mut self, id: u32, key: impl AsRef<[u8]>) -> Self {
        let keys = self.encryption.get_or_insert_default();
        if let Err(flaw) = keys.add(id, key.as_ref()) {
            self.problem
                .get_or_insert_with(|| refused("encryption_key", flaw));
        }
        self
    }

    /// The settings, checked, with the location of Redis put together.
    pub(crate) fn finish(self) -> Result<CacheConfig, Error> {
        if let Some(problem) = self.problem {
            return Err(problem);
        }
        let mut config = self.config;
        config.redis = self.location.resolve(config.redis)?;
        #[cfg(feature = "encryption")]
        if let Some(keys) = self.encryption {
            config.encryption = Some(keys);
        }
        config.check()?;
        Ok(config)
    }
}

/// Where Redis is, as far as the builder was told.
#[derive(Debug, Default)]
pub(crate) struct Location {
    url: Option<RedisUrl>,
    host: Option<String>,
    port: Option<u16>,
    db: Option<u32>,
    username: Option<String>,
    password: Option<Secret>,
}

impl Location {
    /// The URL, or the parts over what the environment said, or what the environment said.
    fn resolve(self, environment: Option<RedisUrl>) -> Result<Option<RedisUrl>, Error> {
        let part = match self.a_part() {
            None => return Ok(self.url.or(environment)),
            Some(part) if self.url.is_some() => {
                // Either could be meant to win; a guess would send a password to the wrong server.
                let context =
                    format!("`redis_url` and `{part}` are both set; keep the URL or the parts");
                return Err(Error::new(ErrorKind::Config, context));
            }
            Some(part) => part,
        };
        // A password belongs to its host: another host takes nothing over from the environment.
        let base = environment.filter(|_| self.host.is_none());
        let base = base.as_ref();
        RedisUrl::from_parts(
            self.host
                .as_deref()
                .or(base.map(RedisUrl::host))
                .unwrap_or("localhost"),
            self.port
                .or(base.map(RedisUrl::port))
                .unwrap_or(DEFAULT_PORT),
            self.db.or(base.map(RedisUrl::db)).unwrap_or(0),
            self.username
                .as_deref()
                .or(base.and_then(RedisUrl::username)),
            self.password
                .as_ref()
                .or(base.and_then(RedisUrl::password))
                .map(Secret::expose),
        )
        .map(Some)
        .map_err(|flaw| refused(part, flaw))
    }

    /// The setter of a part that is set.
    fn a_part(&self) -> Option<&'static str> {
        let parts = [
            ("redis_host", self.host.is_some()),
            ("redis_port", self.port.is_some()),
            ("redis_db", self.db.is_some()),
            ("redis_username", self.username.is_some()),
            ("redis_password", self.password.is_some()),
        ];
        parts
            .into_iter()
            .find_map(|(setter, is_set)| is_set.then_some(setter))
    }
}
