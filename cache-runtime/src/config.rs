//! What a cache is told by code: `CacheBuilder`, and `CacheConfig` with every default.
//!
//! Nothing here connects. A value that cannot work is refused in `CacheBuilder::finish`, in a message that names the
//! setting and the remedy.

mod builder;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, ErrorKind};
use crate::location::RedisUrl;
use crate::secret::HashKey;
use crate::value::codec::Codec;
use crate::value::seal::Keys;
pub use builder::CacheBuilder;

/// The settings of one cache.
///
/// Made by [`CacheBuilder`], by [`CacheConfig::from_env`], or from `CacheConfig::default()` by assigning fields;
/// `CacheBuilder::from(config)` then opens it. `Debug` writes the address of Redis without the password.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CacheConfig {
    /// The name under which it is installed. Default: `None`, installed it is the default cache.
    pub name: Option<String>,
    /// Where Redis is; `None` is in-process only. Default: `None`.
    pub(crate) redis: Option<RedisUrl>,
    /// What every key in Redis begins with, one or more names separated by `:`. Default: empty.
    pub key_prefix: String,
    /// How long an entry lives if nothing else is said, from a millisecond to 100 years. Default: 300 s.
    pub default_ttl: Duration,
    /// What the in-process entries may weigh together, in bytes. Default: 67,108,864 (64 MiB).
    pub memory_limit: u64,
    /// How many entries there may be in the process. Default: 10,000.
    pub max_entries: u64,
    /// The longest time to wait for a connection to Redis. Default: 1 s.
    pub connect_timeout: Duration,
    /// The longest time to wait for an answer of Redis. Default: 250 ms.
    pub response_timeout: Duration,
    /// The longest life of an in-process entry while Redis is away. Default: 60 s.
    pub fallback_ttl: Duration,
    /// Whether values are kept in the process as well, so that reads that repeat do not ask Redis. Default: `true`.
    ///
    /// If not, a function caches nothing while Redis is away.
    pub near: bool,
    /// The longest life of a value in the process in front of Redis. Default: `None`, its ttl where Redis tells of
    /// changes (`CLIENT TRACKING`), and 1 s where it does not.
    pub near_ttl: Option<Duration>,
    /// How many copies of Redis confirm an invalidation. Default: [`Durability::Server`].
    pub durability: Durability,
    /// What a Redis that came back with other data means. Default: [`OnRestart::Distrust`].
    pub on_restart: OnRestart,
    /// A file in which invalidations survive this process until Redis has confirmed them. Default: `None`, in memory only.
    ///
    /// One process a file. It survives the process and not the machine: nothing is synchronised to the disk. It holds keys,
    /// and is readable by its owner alone.
    pub journal: Option<PathBuf>,
    /// How long a process that loads a value may keep others from loading it without giving a sign of life. Default: 10 s.
    ///
    /// It is the longest time for which a process that died keeps an entry from being stored by others. A process that
    /// lives prolongs it while it loads.
    pub lease: Duration,
    /// How many bodies of annotated functions, and loaders, may run at once; `None`: any number. Default: `None`.
    ///
    /// It spares what stands behind the cache when that is cold, or Redis is away. Beyond it a call returns an expired value
    /// where its function allows that, else waits for `max_load_wait`, and then runs its body all the same. Bodies inside
    /// bodies do not count.
    pub max_loads: Option<usize>,
    /// How long a call waits for others' bodies to end, where `max_loads` bounds them. Default: 1 s.
    pub max_load_wait: Duration,
    /// The share of its ttl by which an entry may live shorter, drawn for each, so that what was loaded together does not
    /// expire together; from 0 to 0.9. Default: 0.
    ///
    /// It does not touch ttls computed for a call, nor values set by hand.
    pub ttl_jitter: f64,
    /// How many connections to Redis there may be. Default: 10.
    ///
    /// Checked and kept; one connection per tokio runtime carries the requests of all tasks, so there is no pool to size.
    pub max_connections: u32,
    /// How values are written in Redis. Default: the first of the enabled features `bincode`, `postcard` and `json`;
    /// `None` without any.
    pub codec: Option<Codec>,
    /// Whether anything is cached; if not, every read misses and every write does nothing. Default: `true`.
    pub enabled: bool,
    /// Whether values are compressed in Redis, from 1 KiB to 64 MiB, where that makes them smaller. Default: `false`.
    ///
    /// It takes the feature `compression`; without it, one WARN says so, and values are stored as they are. Who has the feature
    /// reads both, whatever this says.
    pub compression: bool,
    /// Under which sensitive arguments are hashed. Default: `None`, a random one where there is no Redis; where there is,
    /// functions with sensitive arguments run uncached.
    pub(crate) hash_key: Option<HashKey>,
    /// Under which values are encrypted in Redis. Default: `None`, in clear.
    pub(crate) encryption: Option<Keys>,
}

/// What confirms an invalidation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Durability {
    /// The answer of the server.
    #[default]
    Server,
    /// The server, and that many of its replicas, asked by `WAIT`: a failover to one of them does not forget it.
    Replicas(u32),
}

/// What it means that Redis was restarted, or replaced by another server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OnRestart {
    /// It may have older data, restored from a snapshot or of a replica that was behind, in which entries stand that were
    /// invalidated since. So all of it is invalidated, once for all processes, before any of it is read.
    #[default]
    Distrust,
    /// Its data is taken as it is: for a server that loses nothing when it restarts, or where an entry may come back that was
    /// invalidated.
    Trust,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            name: None,
            redis: None,
            key_prefix: String::new(),
            default_ttl: Duration::from_secs(300),
            memory_limit: 64 << 20,
            max_entries: 10_000,
            connect_timeout: Duration::from_secs(1),
            response_timeout: Duration::from_millis(250),
            fallback_ttl: Duration::from_secs(60),
            near: true,
            near_ttl: None,
            durability: Durability::Server,
            on_restart: OnRestart::Distrust,
            journal: None,
            lease: Duration::from_secs(10),
            max_loads: None,
            max_load_wait: Duration::from_secs(1),
            ttl_jitter: 0.0,
            max_connections: 10,
            codec: Codec::DEFAULT,
            enabled: true,
            compression: false,
            hash_key: None,
            encryption: None,
        }
    }
}

impl CacheConfig {
    fn check(&self) -> Result<(), Error> {
        let durations = [
            ("default_ttl", self.default_ttl),
            ("connect_timeout", self.connect_timeout),
            ("response_timeout", self.response_timeout),
            ("fallback_ttl", self.fallback_ttl),
            ("lease", self.lease),
            ("max_load_wait", self.max_load_wait),
            ("near_ttl", self.near_ttl.unwrap_or(self.lease)),
        ];
        for (setting, duration) in durations {
            lasting(duration).map_err(|flaw| refused(setting, flaw))?;
        }
        let counts = [
            ("memory_limit", self.memory_limit),
            ("max_entries", self.max_entries),
            ("max_connections", u64::from(self.max_connections)),
        ];
        for (setting, count) in counts {
            if count == 0 {
                return Err(refused(
                    setting,
                    "expected a number above 0; to cache nothing, use `enabled(false)`",
                ));
            }
        }
        if self.name.as_deref() == Some("") {
            let flaw = "expected a name; leave it out for the default cache";
            return Err(refused("name", flaw));
        }
        if self.max_loads == Some(0) {
            return Err(refused(
                "max_loads",
                "expected a number above 0; leave it out for no bound",
            ));
        }
        if !(0.0..=0.9).contains(&self.ttl_jitter) {
            return Err(refused(
                "ttl_jitter",
                "expected a share from 0 to 0.9, such as 0.1 for up to a tenth",
            ));
        }
        if let Some(path) = self.journal.as_deref().and_then(Path::to_str) {
            usable_path(path).map_err(|flaw| refused("journal", flaw))?;
        }
        usable_prefix(&self.key_prefix).map_err(|flaw| refused("key_prefix", flaw))
    }
}

/// A path that is none by mistake: the address of Redis put here would be printed with its password.
pub(crate) fn usable_path(path: &str) -> Result<(), &'static str> {
    match path.contains("://") {
        true => Err("expected the path of a file, not a URL"),
        false => Ok(()),
    }
}

/// A duration that neither rounds to nothing in Redis, which counts milliseconds, nor overflows a clock.
pub(crate) fn lasting(duration: Duration) -> Result<Duration, &'static str> {
    const SHORTEST: Duration = Duration::from_millis(1);
    const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);
    if (SHORTEST..=LONGEST).contains(&duration) {
        Ok(duration)
    } else {
        Err("expected a duration from 1 ms to 100 years")
    }
}

/// A prefix that is neither a glob nor one of the keys this crate writes for itself.
pub(crate) fn usable_prefix(prefix: &str) -> Result<(), &'static str> {
    // Glob, hash tag and escape characters: a key that holds one is matched, routed or read as another.
    let reserved =
        |next: char| "*?[]{}\\^%'".contains(next) || next.is_whitespace() || next.is_control();
    if prefix.contains(reserved) {
        return Err(
            "expected names without white space and without any of `*?[]{}\\^%'`; use `-` or `_`",
        );
    }
    // The address of Redis put here by mistake would carry its password into every key.
    if prefix.contains("://") {
        return Err("expected names separated by `:`, not a URL");
    }
    if prefix.is_empty() {
        return Ok(());
    }
    for segment in prefix.split(':') {
        if segment.is_empty() {
            return Err(
                "expected names separated by single `:`; write `myapp`, or `team:myapp`, without a `:` at the end",
            );
        }
        if ["gen@", "lease@", "tag@", "run@"]
            .into_iter()
            .any(|own| segment.starts_with(own))
        {
            return Err(
                "expected names that do not begin with `gen@`, `lease@`, `tag@` or `run@`, which the cache uses; choose another",
            );
        }
    }
    Ok(())
}

fn refused(setting: &str, flaw: &str) -> Error {
    Error::new(
        ErrorKind::Config,
        format!("`{setting}` cannot be used: {flaw}"),
    )
}

#[cfg(test)]
mod tests;
