//! The protocol as Redis commands.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::{Pipeline, RedisResult, Value};

use super::answers::{Answers, Found, Span};
use super::ask::trouble;
use super::batch::Loners;
use super::connect::{Connector, Purpose};
use super::generations::{Lifetimes, lifetime_ms};
use super::lineage::Lineage;
use super::scripts::{ACQUIRE, EXTEND, FILL, PUT, RELEASE, TRY};
use super::wire::Texts;
use super::{Acquired, Distrust, Filled, Put, Read, ServerFacts, Stored, Trouble};
use crate::clock;
use crate::config::CacheConfig;
use crate::error::Error;
use crate::key::{self, Key};
use crate::near::Near;
use crate::near::coherence::Teller;
use crate::random;

/// Names per SCAN step and per UNLINK.
const BATCH: usize = 500;

pub(crate) struct Store {
    pub(super) connector: Connector,
    pub(super) timeout: Duration,
    pub(super) lifetimes: Lifetimes,
    pub(super) loners: Loners,
    /// The level of all keys.
    root: String,
}

impl Store {
    pub(crate) fn open(
        config: &CacheConfig,
        near: Arc<Near>,
        distrust: Distrust,
    ) -> Result<Self, Error> {
        let lineage = Lineage::open(config, Arc::clone(&near), distrust);
        Ok(Self {
            connector: Connector::open(config, near, lineage)?,
            timeout: config.response_timeout,
            lifetimes: Lifetimes::default(),
            loners: Loners::default(),
            root: config.key_prefix.clone(),
        })
    }

    /// Whether the runtime that we are in can ask at all.
    pub(crate) fn is_fit(&self) -> bool {
        self.connector.is_fit()
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

    /// The time of one round trip. What is asked is what every look-up asks, so that it is refused where they are: a server
    /// may refuse a `PING` and answer reads, or the other way round.
    pub(crate) async fn ping(&self) -> Result<Duration, Trouble> {
        self.connector.connected().await?;
        let sent = clock::now();
        let mut mget = redis::cmd("MGET");
        mget.arg(key::generation_name(&self.root))
            .arg(key::lease_name(&self.root));
        let _: (Option<Vec<u8>>, Option<Vec<u8>>) = self.ask(&mget).await?;
        Ok(clock::now().saturating_duration_since(sent))
    }

    /// Whether the server lets everything be done that storing takes: over a connection of its own, since the one that there
    /// is may lead to a server that has been replaced.
    pub(crate) async fn try_to_write(&self) -> Result<(), Trouble> {
        let link = self.connector.another().await?;
        let mut call = TRY.prepare_invoke();
        call.key(key::lease_name(&self.root));
        let tried: RedisResult<()> = self.ask_over(&link, (&call).into(), self.timeout).await?;
        tried.map_err(|error| trouble(&error))
    }

    /// Reads many entries in one round trip. A generation that several need is asked for once, and their leases only
    /// for those who may load.
    pub(crate) async fn look_up_many(
        &self,
        keys: &[Key],
        with_leases: bool,
    ) -> Result<Vec<Read>, Trouble> {
        let mut places = HashMap::new();
        let mut mget = redis::cmd("MGET");
        for key in keys {
            mget.arg(key.as_str());
        }
        let leased = if with_leases { keys } else { &[] };
        for key in leased {
            mget.arg(key::lease_name(key.as_str()));
        }
        for group in keys.iter().flat_map(Key::groups) {
            let next = places.len();
            places.entry(group).or_insert_with(|| {
                mget.arg(key::generation_name(group));
                next
            });
        }
        let asked = (keys, leased.len(), &places);
        let take = |texts, teller: Option<&Arc<Teller>>| taken_apart(texts, asked, teller);
        let request = (&mget).into();
        let answers = self
            .ask_for_texts(request, self.timeout, false, take)
            .await?;
        Ok(answers.reads().collect())
    }

    pub(crate) async fn acquire(
        &self,
        key: &Key,
        stamp: &[u8],
        token: u64,
        replaceable: Option<u64>,
        lease: Duration,
    ) -> Result<Acquired, Trouble> {
        let mut call = ACQUIRE.prepare_invoke();
        call.key(key.as_str())
            .key(key::lease_name(key.as_str()))
            .arg(token_text(token))
            .arg(clock::millis(lease).max(1))
            .arg(stamp)
            .arg(replaceable.map(token_text).unwrap_or_default());
        let (answer, holder): (u8, Vec<u8>) = self.ask(&call).await?;
        Ok(match answer {
            0 => Acquired::Granted,
            1 => Acquired::Held(lease_number(&holder)),
            _ => Acquired::Changed,
        })
    }

    /// Prolongs a lease, if it still is ours.
    pub(crate) async fn extend(
        &self,
        entry: &str,
        token: u64,
        lease: Duration,
    ) -> Result<bool, Trouble> {
        let mut call = EXTEND.prepare_invoke();
        call.key(key::lease_name(entry))
            .arg(token_text(token))
            .arg(clock::millis(lease).max(1));
        self.ask(&call).await
    }

    /// Stores an entry if the lease is still ours.
    pub(crate) async fn fill(
        &self,
        entry: &str,
        token: u64,
        bytes: &[u8],
        ttl: Duration,
    ) -> Result<Filled, Trouble> {
        let mut call = FILL.prepare_invoke();
        call.key(entry)
            .key(key::lease_name(entry))
            .arg(token_text(token))
            .arg(bytes)
            .arg(clock::millis(ttl).max(1));
        let answer = self.ask_for(Purpose::Reading, &call).await?;
        Ok(match answer.value {
            true => Filled::Stored(answer.teller),
            false => Filled::Overtaken,
        })
    }

    /// Stores entries whatever was there, under the generations of this moment, and ends every load of them that is under
    /// way; in one round trip.
    pub(crate) async fn put(&self, puts: &[Put<'_>]) -> Result<Vec<Stored>, Trouble> {
        let mut commands = Pipeline::new();
        commands.load_script(&PUT).ignore();
        for put in puts {
            let mut call = PUT.prepare_invoke();
            let (head, tail) = put.around_generations;
            call.key(put.key.as_str())
                .key(key::lease_name(put.key.as_str()))
                .arg(head)
                .arg(tail)
                .arg(clock::millis(put.ttl).max(1))
                .arg(lifetime_ms(put.ttl));
            for group in put.key.groups() {
                call.key(key::generation_name(group))
                    .arg(token_text(random::token()));
            }
            commands.invoke_script(&call);
        }
        let answers: Vec<u8> = self.ask(&commands).await?;
        let stored = answers.into_iter().map(|answer| match answer {
            0 => Stored::Not,
            1 => Stored::Plainly,
            _ => Stored::Prolonging,
        });
        Ok(stored.collect())
    }

    pub(crate) async fn release(&self, entry: &str, token: u64) -> Result<(), Trouble> {
        let mut call = RELEASE.prepare_invoke();
        call.key(key::lease_name(entry)).arg(token_text(token));
        let _: u64 = self.ask(&call).await?;
        Ok(())
    }

    /// Deletes entries and the leases of whoever loads them, in one round trip; answers how many entries there were.
    pub(crate) async fn remove(&self, entries: &[&str]) -> Result<u64, Trouble> {
        let mut removed = 0;
        for batch in entries.chunks(BATCH) {
            let mut commands = Pipeline::new();
            let leases: Vec<String> = batch.iter().copied().map(key::lease_name).collect();
            commands.cmd("UNLINK").arg(leases).ignore();
            commands.cmd("UNLINK").arg(batch);
            let (there,): (u64,) = self.ask(&commands).await?;
            removed += there;
        }
        Ok(removed)
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

    /// The same, and waits until so many replicas have it; answers how many had it in time.
    pub(crate) async fn unlink_on_replicas(
        &self,
        names: &[String],
        replicas: u32,
    ) -> Result<u32, Trouble> {
        let mut commands = Pipeline::new();
        commands.ignore_errors();
        for batch in names.chunks(BATCH) {
            commands.cmd("UNLINK").arg(batch);
        }
        // `WAIT` asks for the writes of its own connection, and a deletion that found nothing is none: what another process has
        // deleted a moment ago may not have come to the replicas.
        let mark = key::lease_name("");
        commands.cmd("SET").arg(mark).arg("").arg("PX").arg(1_000);
        // Less than the deadline, so that an answer comes in any case.
        let patience = clock::millis(self.timeout * 3 / 4).max(1);
        commands.cmd("WAIT").arg(replicas).arg(patience);
        let answer = self.ask_for(Purpose::Confirming, &commands).await?;
        let mut answers: Vec<Value> = answer.value;
        let (waited, mark) = (answers.pop(), answers.pop());
        for deleted in answers {
            deleted.extract_error().map_err(|error| trouble(&error))?;
        }
        if matches!(mark, Some(Value::ServerError(_))) {
            // A server that is out of memory deletes, and does not store: so nothing is known of what others deleted.
            return Ok(0);
        }
        let waited = waited.unwrap_or_default().extract_error();
        waited
            .and_then(|waited| Ok(redis::from_redis_value(waited)?))
            .map_err(|error| trouble(&error))
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
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// What was found for these keys: their entries, the leases of so many of them, and the generations at these places.
fn taken_apart(
    texts: Texts,
    (keys, leased, places): (&[Key], usize, &HashMap<&str, usize>),
    teller: Option<&Arc<Teller>>,
) -> Option<Arc<Answers>> {
    let spans: Vec<Option<Span>> = texts.spans().collect::<RedisResult<_>>().ok()?;
    if spans.len() != keys.len() + leased + places.len() {
        return None;
    }
    let text = |at: usize| Some(spans.get(at).copied()??.of_bytes(texts.bytes()));
    let generation = |group: &str| {
        let place = keys.len() + leased + places.get(group)?;
        generation_of(text(place))
    };
    let generations = keys
        .iter()
        .map(|key| key.groups().map(generation).collect());
    let generations = generations.collect();
    let found = (0..keys.len()).map(|at| Found {
        entry: spans.get(at).copied().flatten(),
        lease: (at < leased)
            .then(|| text(keys.len() + at).map(lease_number))
            .flatten(),
        generations: at,
    });
    let found = found.collect();
    Some(Answers::of_each(
        texts.into_bytes(),
        found,
        generations,
        teller.cloned(),
    ))
}

pub(super) fn generation_of(value: Option<&[u8]>) -> Option<u64> {
    value.and_then(token_of)
}

pub(super) fn token_text(token: u64) -> String {
    format!("{token:016x}")
}

/// A generation that is not one of ours counts as missing.
fn token_of(bytes: &[u8]) -> Option<u64> {
    let digits: &[u8; 16] = bytes.try_into().ok()?;
    digits.iter().try_fold(0, |token, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(token << 4 | u64::from(digit))
    })
}

/// A lease that is not one of ours is still a lease: it is told apart by its bytes.
pub(super) fn lease_number(bytes: &[u8]) -> u64 {
    token_of(bytes).unwrap_or_else(|| xxhash_rust::xxh3::xxh3_64(bytes))
}
