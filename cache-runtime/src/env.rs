//! What a cache is told by environment variables, and the profiles of `RAILWAY_ENVIRONMENT`.
//!
//! | variable | sets | form |
//! | --- | --- | --- |
//! | `REDIS_URL` | where Redis is; the five below are then not read | `redis://[[user]:password@]host[:port][/db]` |
//! | `REDIS_HOST`, `REDIS_PORT`, `REDIS_DB`, `REDIS_USERNAME`, `REDIS_PASSWORD` | the same in parts; without a host they are not read | |
//! | `REDIS_MAX_CONNECTIONS` = `REDIS_POOL_MAX_CONNECTIONS` | `max_connections` | number |
//! | `REDIS_CONNECT_TIMEOUT`, `REDIS_SOCKET_TIMEOUT` | `connect_timeout`, `response_timeout` | duration |
//! | `REDIS_POOL_TIMEOUT` | nothing, and is checked: there is no pool to wait for | duration |
//! | `CACHE_DEFAULT_TTL` = `REDIS_CACHE_TTL_DEFAULT` | `default_ttl` | duration |
//! | `CACHE_KEY_PREFIX` | `key_prefix` | names separated by `:` |
//! | `CACHE_ENABLED`, `CACHE_COMPRESSION` | `enabled`, `compression` | boolean |
//! | `CACHE_MEMORY_LIMIT`, `CACHE_MAX_ENTRIES` | `memory_limit`, `max_entries` | size, number |
//! | `CACHE_HASH_KEY` | `hash_key` | at least 16 bytes of text, taken as they are; never shown |
//! | `CACHE_ENCRYPTION_KEYS` | the keys of `encryption_key`, the first to write; needs the feature `encryption`; never shown | `2:<key>,1:<key>`, a key in hexadecimal digits or base64 |
//! | `CACHE_ON_RESTART` | `on_restart` | `distrust`, `trust` |
//! | `CACHE_JOURNAL` | `journal` | path of a file |
//! | `DEBUG` | `enabled` to false if true, unless `CACHE_ENABLED` is set; other tools' values are ignored | boolean |
//! | `RAILWAY_ENVIRONMENT` | the profile, under whatever the variables above say; other names choose none | `development`, `production` |
//!
//! A duration is seconds (`20`, `0.25`) or has units (`250ms`, `5m`); a size is bytes or has a unit (`64MB`, `64MiB`);
//! a boolean is one of true, false, 1, 0, yes, no, on, off. An empty variable is one that is not set.

use std::env::VarError;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::{CacheBuilder, CacheConfig, OnRestart, lasting, usable_path, usable_prefix};
use crate::duration;
use crate::error::{Error, ErrorKind};
use crate::location::{DEFAULT_PORT, RedisUrl, port_number};
use crate::secret::HashKey;
use crate::value::compression;
use crate::value::seal::Keys;

/// Every variable that is read.
pub(crate) const VARIABLES: [&str; 24] = [
    "REDIS_URL",
    "REDIS_HOST",
    "REDIS_PORT",
    "REDIS_DB",
    "REDIS_USERNAME",
    "REDIS_PASSWORD",
    "REDIS_MAX_CONNECTIONS",
    "REDIS_POOL_MAX_CONNECTIONS",
    "REDIS_POOL_TIMEOUT",
    "REDIS_CONNECT_TIMEOUT",
    "REDIS_SOCKET_TIMEOUT",
    "CACHE_DEFAULT_TTL",
    "REDIS_CACHE_TTL_DEFAULT",
    "CACHE_KEY_PREFIX",
    "CACHE_ENABLED",
    "CACHE_MEMORY_LIMIT",
    "CACHE_MAX_ENTRIES",
    "CACHE_COMPRESSION",
    "CACHE_HASH_KEY",
    "CACHE_ENCRYPTION_KEYS",
    "CACHE_ON_RESTART",
    "CACHE_JOURNAL",
    "RAILWAY_ENVIRONMENT",
    "DEBUG",
];

impl CacheConfig {
    /// The settings the environment variables describe: `REDIS_URL`, or `REDIS_HOST` and its companions, and `CACHE_…`.
    ///
    /// With neither `REDIS_URL` nor `REDIS_HOST` the cache is in-process only.
    ///
    /// # Errors
    /// A variable that is malformed, that is not UTF-8, or that contradicts its synonym; the message names it.
    pub fn from_env() -> Result<Self, Error> {
        for name in VARIABLES {
            readable(name, &std::env::var(name))?;
        }
        read(&|name| std::env::var(name).ok())
    }
}

impl CacheBuilder {
    /// A builder that begins with what the environment variables say; its setters win over them.
    ///
    /// # Errors
    /// As [`CacheConfig::from_env`].
    pub fn from_env() -> Result<Self, Error> {
        CacheConfig::from_env().map(Self::from)
    }
}

/// The duration in a variable whose name the user chose; `None` where it is not set. What it holds instead is never shown.
pub(crate) fn duration(name: &str) -> Result<Option<Duration>, Error> {
    let found = std::env::var(name);
    readable(name, &found)?;
    let lookup = |_: &str| found.clone().ok();
    let variables = Variables { lookup: &lookup };
    variables.secret(name, lasting_duration)
}

/// `DEBUG` is excepted: what other tools put there is no mistake.
fn readable(name: &str, found: &Result<String, VarError>) -> Result<(), Error> {
    match found {
        Err(VarError::NotUnicode(_)) if name != "DEBUG" => {
            let context = format!("{name} is not UTF-8; set it to plain text");
            Err(Error::new(ErrorKind::Config, context))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// The settings described by the variables that `lookup` finds.
pub(crate) fn read(lookup: &dyn Fn(&str) -> Option<String>) -> Result<CacheConfig, Error> {
    let variables = Variables { lookup };
    let mut config = variables.profile();
    config.redis = variables.location()?;
    let limits = ["REDIS_MAX_CONNECTIONS", "REDIS_POOL_MAX_CONNECTIONS"];
    replace(
        &mut config.max_connections,
        variables.either(limits, connections)?,
    );
    replace(
        &mut config.connect_timeout,
        variables.one("REDIS_CONNECT_TIMEOUT", lasting_duration)?,
    );
    replace(
        &mut config.response_timeout,
        variables.one("REDIS_SOCKET_TIMEOUT", lasting_duration)?,
    );
    variables.one("REDIS_POOL_TIMEOUT", lasting_duration)?;
    let ttls = ["CACHE_DEFAULT_TTL", "REDIS_CACHE_TTL_DEFAULT"];
    replace(
        &mut config.default_ttl,
        variables.either(ttls, lasting_duration)?,
    );
    replace(
        &mut config.key_prefix,
        variables.one("CACHE_KEY_PREFIX", key_prefix)?,
    );
    replace(
        &mut config.memory_limit,
        variables.one("CACHE_MEMORY_LIMIT", bytes)?,
    );
    replace(
        &mut config.max_entries,
        variables.one("CACHE_MAX_ENTRIES", positive)?,
    );
    replace(
        &mut config.compression,
        variables.one("CACHE_COMPRESSION", boolean)?,
    );
    config.hash_key = variables.secret("CACHE_HASH_KEY", |text| HashKey::new(text.as_bytes()))?;
    config.encryption = variables.secret("CACHE_ENCRYPTION_KEYS", Keys::parse)?;
    replace(
        &mut config.on_restart,
        variables.one("CACHE_ON_RESTART", on_restart)?,
    );
    config.journal = variables.one("CACHE_JOURNAL", journal)?;
    let debug = variables
        .text("DEBUG")
        .is_some_and(|text| boolean(&text) == Ok(true));
    config.enabled = variables.one("CACHE_ENABLED", boolean)?.unwrap_or(!debug);
    Ok(config)
}

fn replace<T>(setting: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *setting = value;
    }
}

/// The environment: names to texts.
struct Variables<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
}

impl Variables<'_> {
    /// What the variable holds, trimmed; nothing when that is empty.
    fn text(&self, name: &str) -> Option<String> {
        let text = (self.lookup)(name)?;
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn one<T>(&self, name: &str, parse: Parse<T>) -> Result<Option<T>, Error> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        parse(&text)
            .map(Some)
            .map_err(|expected| malformed(name, &text, expected))
    }

    /// A setting of which no message shows anything.
    fn secret<T>(&self, name: &str, parse: Parse<T>) -> Result<Option<T>, Error> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        parse(&text).map(Some).map_err(|flaw| refused(name, flaw))
    }

    /// A setting that two variables may give, as long as they mean the same.
    fn either<T: PartialEq>(&self, names: [&str; 2], parse: Parse<T>) -> Result<Option<T>, Error> {
        let [first, second] = names;
        match (self.one(first, parse)?, self.one(second, parse)?) {
            (Some(one), Some(other)) if one != other => {
                let context =
                    format!("{first} and {second} are set to different values; keep one of them");
                Err(Error::new(ErrorKind::Config, context))
            }
            (one, other) => Ok(one.or(other)),
        }
    }

    fn location(&self) -> Result<Option<RedisUrl>, Error> {
        if let Some(url) = self.text("REDIS_URL") {
            return RedisUrl::parse(&url)
                .map(Some)
                .map_err(|flaw| refused("REDIS_URL", flaw));
        }
        // Not read without a host: Kubernetes sets REDIS_PORT for any service that is called redis.
        let Some(host) = self.text("REDIS_HOST") else {
            return Ok(None);
        };
        let port = self.one("REDIS_PORT", port_number)?.unwrap_or(DEFAULT_PORT);
        let db = self.one("REDIS_DB", database)?.unwrap_or(0);
        let username = self.text("REDIS_USERNAME");
        // As it is: white space may be part of a password.
        let password = (self.lookup)("REDIS_PASSWORD");
        RedisUrl::from_parts(&host, port, db, username.as_deref(), password.as_deref())
            .map(Some)
            .map_err(|flaw| refused("REDIS_HOST", flaw))
    }

    /// The defaults, as the platform's environment changes them.
    fn profile(&self) -> CacheConfig {
        let defaults = CacheConfig::default();
        let name = self
            .text("RAILWAY_ENVIRONMENT")
            .unwrap_or_default()
            .to_ascii_lowercase();
        match name.as_str() {
            "development" => CacheConfig {
                max_entries: 1_000,
                ..defaults
            },
            "production" => CacheConfig {
                default_ttl: Duration::from_secs(3_600),
                max_connections: 50,
                compression: compression::BUILT_IN,
                ..defaults
            },
            // The platform lets people name their environments freely.
            _ => defaults,
        }
    }
}

/// Reads one variable, or says what was expected.
type Parse<T> = fn(&str) -> Result<T, &'static str>;

fn refused(name: &str, flaw: &str) -> Error {
    Error::new(ErrorKind::Config, format!("{name} cannot be used: {flaw}"))
}

fn malformed(name: &str, text: &str, expected: &str) -> Error {
    // A URL in the wrong variable brings its password along.
    let context = if text.contains('@') || text.contains("://") {
        format!("{name} is malformed: {expected}")
    } else {
        let shown: String = text.chars().take(40).flat_map(char::escape_debug).collect();
        format!("{name} is `{shown}`: {expected}")
    };
    Error::new(ErrorKind::Config, context)
}

fn lasting_duration(text: &str) -> Result<Duration, &'static str> {
    duration::parse(text).and_then(lasting)
}

fn key_prefix(text: &str) -> Result<String, &'static str> {
    usable_prefix(text).map(|()| text.to_owned())
}

fn boolean(text: &str) -> Result<bool, &'static str> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err("expected `true` or `false`"),
    }
}

fn on_restart(text: &str) -> Result<OnRestart, &'static str> {
    match text.to_ascii_lowercase().as_str() {
        "distrust" => Ok(OnRestart::Distrust),
        "trust" => Ok(OnRestart::Trust),
        _ => Err("expected `distrust` or `trust`"),
    }
}

fn journal(text: &str) -> Result<PathBuf, &'static str> {
    usable_path(text).map(|()| PathBuf::from(text))
}

fn database(text: &str) -> Result<u32, &'static str> {
    whole(text)
        .and_then(|db| u32::try_from(db).ok())
        .ok_or("expected the number of a database, such as `0`")
}

fn connections(text: &str) -> Result<u32, &'static str> {
    positive(text)
        .and_then(|count| u32::try_from(count).map_err(|_| "expected a number below 4294967296"))
}

fn positive(text: &str) -> Result<u64, &'static str> {
    whole(text)
        .filter(|count| *count > 0)
        .ok_or("expected a whole number above 0, such as `1000`")
}

/// A size in bytes: `67108864`, `64MB` (millions) or `64MiB`, the unit in any case.
fn bytes(text: &str) -> Result<u64, &'static str> {
    let digits = text
        .find(|next: char| !next.is_ascii_digit())
        .unwrap_or(text.len());
    let (count, unit) = text.split_at(digits);
    let each = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => Some(1),
        "kb" => Some(1_000),
        "mb" => Some(1_000_000),
        "gb" => Some(1_000_000_000),
        "kib" => Some(1 << 10),
        "mib" => Some(1 << 20),
        "gib" => Some(1 << 30),
        _ => None,
    };
    let size = whole(count)
        .zip(each)
        .and_then(|(count, each): (u64, u64)| count.checked_mul(each));
    size.filter(|size| *size > 0)
        .ok_or("expected a size above 0 such as `67108864` (bytes), `64MB` or `64MiB`")
}

/// Decimal digits only: `u64::from_str` would take `+1`.
fn whole(text: &str) -> Option<u64> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests;
