//! Getting a connection, and noticing that one is no good.
//!
//! One multiplexed connection per tokio runtime: its driver lives in that runtime, and a process may have many of them,
//! one after another or side by side. A driver that died with its runtime is replaced, not reported.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo, Pipeline};
use redis::{RedisConnectionInfo, Value};
use tokio::runtime::{Handle, Id};

use super::{ServerFacts, Trouble};
use crate::clock::{self, Instant};
use crate::config::CacheConfig;
use crate::error::{Error, ErrorKind};

/// Timeouts in a row after which a connection counts as hung: a half-open link never reports itself.
const HUNG_AFTER: u32 = 3;

/// Runtimes remembered at once. Beyond, the oldest connections are dropped, and made again when asked for.
const MAX_RUNTIMES: usize = 64;

/// A working connection.
#[derive(Clone)]
pub(super) struct Link {
    pub(super) connection: MultiplexedConnection,
    number: u64,
    /// Whether this very request had to connect.
    pub(super) fresh: bool,
    timeouts: Arc<AtomicU32>,
}

pub(super) struct Connector {
    client: Client,
    settings: AsyncConnectionConfig,
    timeout: Duration,
    slots: Mutex<HashMap<Id, Arc<Slot>>>,
    numbers: AtomicU64,
    clock: ServerClock,
    facts: Mutex<ServerFacts>,
}

/// The connection of one runtime.
#[derive(Default)]
struct Slot {
    link: Mutex<Option<Link>>,
    /// Held while connecting, so that those who come meanwhile wait for the same attempt.
    connecting: tokio::sync::Mutex<()>,
    born: AtomicU64,
    /// Whether the runtime was built without its time or IO driver, so that nothing can be asked from within it.
    unfit: AtomicBool,
}

impl Connector {
    pub(super) fn open(config: &CacheConfig) -> Result<Self, Error> {
        let unusable = |source| {
            Error::new(ErrorKind::Config, "the address of Redis cannot be used").caused_by(source)
        };
        let Some(url) = &config.redis else {
            return Err(Error::new(ErrorKind::Config, "no address of Redis is set"));
        };
        let mut login = RedisConnectionInfo::default().set_db(i64::from(url.db()));
        if let Some(username) = url.username() {
            login = login.set_username(username);
        }
        if let Some(password) = url.password() {
            login = login.set_password(password.expose());
        }
        let info = ConnectionAddr::Tcp(url.host().to_owned(), url.port())
            .into_connection_info()
            .map_err(unusable)?
            .set_tcp_settings(TcpSettings::default().set_nodelay(true))
            .set_redis_settings(login);
        Ok(Self {
            client: Client::open(info).map_err(unusable)?,
            // The deadline around every operation is ours, so that queueing counts as well.
            settings: AsyncConnectionConfig::new()
                .set_connection_timeout(None)
                .set_response_timeout(None)
                .set_pipeline_buffer_size(1_024),
            timeout: config.connect_timeout,
            slots: Mutex::default(),
            numbers: AtomicU64::new(1),
            clock: ServerClock::new(),
            facts: Mutex::default(),
        })
    }

    /// The connection of this runtime, made if there is none. Waits at most the connect timeout.
    pub(super) async fn link(&self) -> Result<Link, Trouble> {
        let slot = self.slot()?;
        if let Some(link) = lock(&slot.link).clone() {
            return Ok(link);
        }
        // Relaxed: the flag stands for itself.
        if slot.unfit.load(Ordering::Relaxed) {
            return Err(Trouble::NoRuntime);
        }
        let connected = clock::within(self.timeout, async {
            let _connecting = slot.connecting.lock().await;
            // Somebody else may have connected while we waited.
            if let Some(link) = lock(&slot.link).clone() {
                return Ok(link);
            }
            let Some(connected) = unless_it_panics(self.connect()).await else {
                slot.unfit.store(true, Ordering::Relaxed);
                return Err(Trouble::NoRuntime);
            };
            let link = connected?;
            *lock(&slot.link) = Some(Link {
                fresh: false,
                ..link.clone()
            });
            Ok(link)
        });
        connected.await.unwrap_or_else(|| {
            Err(Trouble::Unreachable(format!(
                "no connection within {:?}",
                self.timeout
            )))
        })
    }

    async fn connect(&self) -> Result<Link, Trouble> {
        let mut connection = self
            .client
            .get_multiplexed_async_connection_with_config(&self.settings)
            .await
            .map_err(|error| Trouble::Unreachable(describe(&error)))?;
        self.greet(&mut connection).await?;
        Ok(Link {
            connection,
            number: self.numbers.fetch_add(1, Ordering::Relaxed),
            fresh: true,
            timeouts: Arc::default(),
        })
    }

    /// Asks for the server's time and version. A server that refuses to tell is a server all the same.
    async fn greet(&self, connection: &mut MultiplexedConnection) -> Result<(), Trouble> {
        let mut questions = Pipeline::new();
        questions
            .cmd("TIME")
            .cmd("INFO")
            .arg("server")
            .ignore_errors();
        let answers: Vec<Value> = questions
            .query_async(connection)
            .await
            .map_err(|error| Trouble::Unreachable(describe(&error)))?;
        let mut answers = answers.into_iter();
        let time = answers
            .next()
            .and_then(|answer| redis::from_redis_value(answer).ok());
        self.clock.set(clock::now(), time);
        let info: Option<String> = answers
            .next()
            .and_then(|answer| redis::from_redis_value(answer).ok());
        lock(&self.facts).version = info.as_deref().and_then(version);
        Ok(())
    }

    /// Forgets a connection that is no good; the next request makes another.
    pub(super) fn discard(&self, link: &Link) {
        if let Ok(slot) = self.slot() {
            let mut current = lock(&slot.link);
            if current
                .as_ref()
                .is_some_and(|current| current.number == link.number)
            {
                *current = None;
            }
        }
    }

    /// Notes that nothing came back in time.
    pub(super) fn timed_out(&self, link: &Link) {
        // Relaxed: a count, of which only the order of magnitude matters.
        if link.timeouts.fetch_add(1, Ordering::Relaxed) + 1 >= HUNG_AFTER {
            self.discard(link);
        }
    }

    pub(super) fn answered(link: &Link) {
        link.timeouts.store(0, Ordering::Relaxed);
    }

    pub(super) fn disconnect(&self) {
        lock(&self.slots).clear();
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    pub(super) fn facts(&self) -> ServerFacts {
        lock(&self.facts).clone()
    }

    fn slot(&self) -> Result<Arc<Slot>, Trouble> {
        let runtime = Handle::try_current().map_err(|_| Trouble::NoRuntime)?.id();
        let mut slots = lock(&self.slots);
        if let Some(slot) = slots.get(&runtime) {
            return Ok(Arc::clone(slot));
        }
        if slots.len() >= MAX_RUNTIMES {
            let oldest = slots
                .iter()
                .min_by_key(|(_, slot)| slot.born.load(Ordering::Relaxed))
                .map(|(id, _)| *id);
            if let Some(oldest) = oldest {
                slots.remove(&oldest);
            }
        }
        let slot = Arc::new(Slot::default());
        slot.born.store(
            self.numbers.fetch_add(1, Ordering::Relaxed),
            Ordering::Relaxed,
        );
        slot.unfit.store(!clock::has_timers(), Ordering::Relaxed);
        slots.insert(runtime, Arc::clone(&slot));
        Ok(slot)
    }
}

/// The server's clock, read at each connect and carried on by ours: expiry is compared with one clock only, the server's.
struct ServerClock {
    base: Instant,
    /// Server time, in milliseconds since 1970, at `base`.
    at_base: AtomicU64,
}

impl ServerClock {
    fn new() -> Self {
        Self {
            base: clock::now(),
            at_base: AtomicU64::new(clock::unix_ms()),
        }
    }

    /// Takes over what the server said, `answered` at this moment: behind by the way of the answer, so that nothing expires early.
    fn set(&self, answered: Instant, time: Option<(u64, u64)>) {
        if let Some((seconds, micros)) = time {
            let server = seconds.saturating_mul(1_000).saturating_add(micros / 1_000);
            let since = clock::millis(answered.saturating_duration_since(self.base));
            // Relaxed: the number stands for itself.
            self.at_base
                .store(server.saturating_sub(since), Ordering::Relaxed);
        }
    }

    fn now_ms(&self) -> u64 {
        let since = clock::millis(clock::now().saturating_duration_since(self.base));
        self.at_base.load(Ordering::Relaxed).saturating_add(since)
    }
}

/// What the future returns, or `None` where it panics: tokio's sockets do, in a runtime without its IO driver.
async fn unless_it_panics<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(
        |context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(poll) => poll.map(Some),
            Err(_) => Poll::Ready(None),
        },
    )
    .await
}

fn version(info: &str) -> Option<String> {
    let line = |name: &str| {
        info.lines()
            .find_map(|line| line.strip_prefix(name))
            .map(|version| version.trim().to_owned())
    };
    line("valkey_version:").or_else(|| line("redis_version:"))
}

/// What an error of the client says, without the address it may hold.
pub(super) fn describe(error: &redis::RedisError) -> String {
    match error.code() {
        Some(code) => format!("{} ({code})", error.category()),
        None => error.to_string(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
