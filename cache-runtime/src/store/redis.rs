//! The protocol as Redis commands. One deadline around each operation, one more try where the connection proved dead.

use std::fmt;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, ErrorKind, FromRedisValue, Pipeline, RedisResult, ScriptInvocation};

use super::connect::{Connector, describe};
use super::scripts::{ACQUIRE, FILL, RELEASE};
use super::{Acquired, Read, ServerFacts, Trouble};
use crate::clock;
use crate::config::CacheConfig;
use crate::error::Error;
use crate::key::{self, Key};
use crate::random;
use crate::seen::SeenRemote;

/// Names per SCAN step and per UNLINK.
const BATCH: usize = 500;

/// One fill in so many looks whether the generations it relies on live long enough.
const LIFETIME_CHECK: u64 = 8;

pub(crate) struct Store {
    connector: Connector,
    timeout: Duration,
}

impl Store {
    pub(crate) fn open(config: &CacheConfig) -> Result<Self, Error> {
        Ok(Self {
            connector: Connector::open(config)?,
            timeout: config.response_timeout,
        })
    }

    /// Milliseconds since 1970 by the server's clock.
    pub(crate) fn now_ms(&self) -> u64 {
        self.connector.now_ms()
    }

    pub(crate) fn disconnect(&self) {
        self.connector.disconnect();
    }

    pub(crate) fn facts(&self) -> ServerFacts {
        self.connector.facts()
    }

    /// The time of one round trip.
    pub(crate) async fn ping(&self) -> Result<Duration, Trouble> {
        self.connector.link().await?;
        let sent = clock::now();
        let ping = redis::cmd("PING");
        let _: String = self.ask(&ping).await?;
        Ok(clock::now().saturating_duration_since(sent))
    }

    /// Reads an entry, its lease and the generations of its levels, in one round trip.
    pub(crate) async fn look_up(&self, key: &Key) -> Result<Read, Trouble> {
        let mut mget = redis::cmd("MGET");
        mget.arg(key.as_str()).arg(key::lease_name(key.as_str()));
        for level in key.levels() {
            mget.arg(key::generation_name(level));
        }
        let values: Vec<Option<Vec<u8>>> = self.ask(&mget).await?;
        let mut values = values.into_iter();
        Ok(Read {
            entry: values.next().flatten(),
            lease: values.next().flatten().as_deref().map(lease_number),
            generations: values
                .map(|value| value.as_deref().and_then(token_of))
                .collect(),
        })
    }

    /// Creates the generations that were missing, so that what is loaded next can be stored under them.
    /// Generations outlive the entries they guard, which live at most `ttl`.
    pub(crate) async fn renew(
        &self,
        key: &Key,
        seen: &mut SeenRemote,
        ttl: Duration,
    ) -> Result<(), Trouble> {
        let levels = key.levels().zip(&mut seen.generations);
        let missing: Vec<_> = levels
            .filter(|(_, generation)| generation.is_none())
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let mut commands = Pipeline::new();
        for (level, _) in &missing {
            let name = key::generation_name(level);
            commands
                .cmd("SET")
                .arg(&name)
                .arg(token_text(random::token()))
                .arg("NX")
                .arg("PX")
                .arg(generation_ms(ttl))
                .ignore();
            commands.cmd("GET").arg(&name);
        }
        let tokens: Vec<Option<Vec<u8>>> = self.ask(&commands).await?;
        for ((_, generation), token) in missing.into_iter().zip(tokens) {
            *generation = token.as_deref().and_then(token_of);
        }
        Ok(())
    }

    pub(crate) async fn acquire(
        &self,
        key: &Key,
        stamp: &[u8],
        token: u64,
        returning: Option<u64>,
        lease: Duration,
    ) -> Result<Acquired, Trouble> {
        let mut call = ACQUIRE.prepare_invoke();
        call.key(key.as_str())
            .key(key::lease_name(key.as_str()))
            .arg(token_text(token))
            .arg(clock::millis(lease).max(1))
            .arg(stamp)
            .arg(returning.map(token_text).unwrap_or_default());
        let (answer, holder): (u8, Vec<u8>) = self.ask(&call).await?;
        Ok(match answer {
            0 => Acquired::Granted,
            1 => Acquired::Held(lease_number(&holder)),
            _ => Acquired::Changed,
        })
    }

    /// Stores an entry if the lease is still ours; answers whether it was.
    pub(crate) async fn fill(
        &self,
        entry: &str,
        token: u64,
        bytes: &[u8],
        ttl: Duration,
    ) -> Result<bool, Trouble> {
        let mut call = FILL.prepare_invoke();
        call.key(entry)
            .key(key::lease_name(entry))
            .arg(token_text(token))
            .arg(bytes)
            .arg(clock::millis(ttl).max(1));
        self.ask(&call).await
    }

    /// Stores an entry whatever was there, and ends every load of it that is under way.
    pub(crate) async fn put(
        &self,
        entry: &str,
        bytes: &[u8],
        ttl: Duration,
    ) -> Result<(), Trouble> {
        let mut commands = Pipeline::new();
        // In one step: a lease that was granted between the two would allow a fill over this entry.
        commands.atomic();
        commands.cmd("UNLINK").arg(key::lease_name(entry)).ignore();
        let ms = clock::millis(ttl).max(1);
        commands
            .cmd("SET")
            .arg(entry)
            .arg(bytes)
            .arg("PX")
            .arg(ms)
            .ignore();
        self.ask(&commands).await
    }

    pub(crate) async fn release(&self, entry: &str, token: u64) -> Result<(), Trouble> {
        let mut call = RELEASE.prepare_invoke();
        call.key(key::lease_name(entry)).arg(token_text(token));
        let _: u64 = self.ask(&call).await?;
        Ok(())
    }

    /// Deletes an entry and the lease of whoever loads it; answers whether the entry was there.
    pub(crate) async fn remove(&self, entry: &str) -> Result<bool, Trouble> {
        let mut commands = Pipeline::new();
        commands.cmd("UNLINK").arg(key::lease_name(entry)).ignore();
        commands.cmd("UNLINK").arg(entry);
        let (removed,): (u64,) = self.ask(&commands).await?;
        Ok(removed > 0)
    }

    /// Deletes entries, leases and generations by name.
    pub(crate) async fn unlink(&self, names: &[String]) -> Result<(), Trouble> {
        for batch in names.chunks(BATCH) {
            let mut unlink = redis::cmd("UNLINK");
            unlink.arg(batch);
            let _: u64 = self.ask(&unlink).await?;
        }
        Ok(())
    }

    /// Deletes the entries that match a glob pattern, and the leases of those being loaded; answers how many entries.
    /// Walks the whole key space, twice.
    pub(crate) async fn clear(&self, pattern: &str) -> Result<u64, Trouble> {
        // Leases first: a load that is under way when the clearing begins must not fill behind it.
        self.sweep(&key::lease_name(pattern), |name| {
            key::entry_of_lease(name).is_some()
        })
        .await?;
        self.sweep(pattern, |name| !key::is_reserved(name)).await
    }

    async fn sweep(&self, pattern: &str, wanted: impl Fn(&str) -> bool) -> Result<u64, Trouble> {
        let mut removed = 0;
        let mut cursor = 0_u64;
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor)
                .arg("MATCH")
                .arg(pattern)
                .arg("COUNT")
                .arg(BATCH);
            let (next, names): (u64, Vec<Vec<u8>>) = self.ask(&scan).await?;
            let found: Vec<String> = names
                .into_iter()
                .filter_map(|name| String::from_utf8(name).ok())
                .filter(|name| wanted(name))
                .collect();
            if !found.is_empty() {
                let mut unlink = redis::cmd("UNLINK");
                unlink.arg(&found);
                let unlinked: u64 = self.ask(&unlink).await?;
                removed += unlinked;
            }
            cursor = next;
            if cursor == 0 {
                return Ok(removed);
            }
        }
    }

    /// Prolongs the generations of a key where they would end before an entry that lives for `ttl`.
    /// Looked at now and then only: a generation that ends too early costs a load, and prolonging one tells every reader of it.
    pub(crate) async fn keep_generations(&self, key: &Key, ttl: Duration) -> Result<(), Trouble> {
        if !random::token().is_multiple_of(LIFETIME_CHECK) {
            return Ok(());
        }
        let names: Vec<String> = key.levels().map(key::generation_name).collect();
        let mut ask = Pipeline::new();
        for name in &names {
            ask.cmd("PTTL").arg(name);
        }
        let left: Vec<i64> = self.ask(&ask).await?;
        let enough = i64::try_from(generation_ms(ttl) / 2).unwrap_or(i64::MAX);
        let mut prolong = Pipeline::new();
        for (name, _) in names
            .iter()
            .zip(left)
            .filter(|(_, left)| (0..enough).contains(left))
        {
            prolong
                .cmd("PEXPIRE")
                .arg(name)
                .arg(generation_ms(ttl))
                .ignore();
        }
        if prolong.is_empty() {
            return Ok(());
        }
        self.ask(&prolong).await
    }

    /// Runs one operation under the deadline. A connection that turns out to be dead is replaced, once.
    async fn ask<'a, T: FromRedisValue>(
        &self,
        request: impl Into<Request<'a>>,
    ) -> Result<T, Trouble> {
        let request = request.into();
        let mut retried = false;
        loop {
            let link = self.connector.link().await?;
            let asked = request.send(link.connection.clone());
            let error = match clock::within(self.timeout, asked).await {
                Some(Ok(answer)) => {
                    Connector::answered(&link);
                    return Ok(answer);
                }
                Some(Err(error)) => error,
                None => {
                    self.connector.timed_out(&link);
                    return Err(Trouble::Timeout);
                }
            };
            if !is_dead(&error) {
                Connector::answered(&link);
                return Err(refused(&error));
            }
            self.connector.discard(&link);
            if retried || link.fresh {
                return Err(Trouble::Unreachable(describe(&error)));
            }
            retried = true;
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// What can be asked in one go.
#[derive(Clone, Copy)]
enum Request<'a> {
    Command(&'a Cmd),
    Pipeline(&'a Pipeline),
    Script(&'a ScriptInvocation<'a>),
}

impl Request<'_> {
    async fn send<T: FromRedisValue>(self, mut link: MultiplexedConnection) -> RedisResult<T> {
        match self {
            Self::Command(command) => command.query_async(&mut link).await,
            Self::Pipeline(commands) => commands.query_async(&mut link).await,
            Self::Script(call) => call.invoke_async(&mut link).await,
        }
    }
}

impl<'a> From<&'a Cmd> for Request<'a> {
    fn from(command: &'a Cmd) -> Self {
        Self::Command(command)
    }
}

impl<'a> From<&'a Pipeline> for Request<'a> {
    fn from(commands: &'a Pipeline) -> Self {
        Self::Pipeline(commands)
    }
}

impl<'a> From<&'a ScriptInvocation<'a>> for Request<'a> {
    fn from(call: &'a ScriptInvocation<'a>) -> Self {
        Self::Script(call)
    }
}

/// Whether the connection, rather than the command, is at fault. Garbage counts: after it nothing can be trusted on this link.
fn is_dead(error: &redis::RedisError) -> bool {
    error.is_unrecoverable_error()
        || error.is_io_error()
        || matches!(error.kind(), ErrorKind::Parse | ErrorKind::Client)
}

fn refused(error: &redis::RedisError) -> Trouble {
    Trouble::Refused {
        code: error.code().unwrap_or("ERR").to_owned(),
        message: error
            .detail()
            .unwrap_or_else(|| error.category())
            .to_owned(),
    }
}

/// How long a generation lives that guards entries of this ttl: long past them, and never less than a day.
fn generation_ms(ttl: Duration) -> u64 {
    const DAY: u64 = 86_400_000;
    clock::millis(ttl)
        .saturating_mul(4)
        .clamp(DAY, DAY * 36_500)
}

fn token_text(token: u64) -> String {
    format!("{token:016x}")
}

/// A generation that is not one of ours counts as missing.
fn token_of(bytes: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(bytes)
        .ok()
        .filter(|text| text.len() == 16)?;
    u64::from_str_radix(text, 16).ok()
}

/// A lease that is not one of ours is still a lease: it is told apart by its bytes.
fn lease_number(bytes: &[u8]) -> u64 {
    token_of(bytes).unwrap_or_else(|| xxhash_rust::xxh3::xxh3_64(bytes))
}
