//! Getting a connection that tells of changes, and noticing that one is no good.
//!
//! One multiplexed connection per tokio runtime: its driver lives in that runtime, and a process may have many of them,
//! one after another or side by side. A driver that died with its runtime is replaced, not reported.

use std::future::{Future, poll_fn};
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ProtocolVersion, PushInfo, RedisConnectionInfo};

use super::ask::turned_away;
use super::dial::{Address, Dialled, Driver, Line};
use super::lineage::Lineage;
use super::server_clock::ServerClock;
pub(super) use super::slots::Purpose;
use super::slots::{Slot, Slots};
use super::track::{Told, beat};
use super::{ServerFacts, Trouble};
use crate::clock::{self, Instant};
use crate::config::CacheConfig;
use crate::error::{Error, ErrorKind};
use crate::log;
use crate::near::Near;
use crate::near::coherence::Teller;

/// Timeouts in a row after which a connection counts as hung: a half-open link never reports itself.
const HUNG_AFTER: u32 = 3;

/// A working connection.
#[derive(Clone)]
pub(super) struct Link {
    shared: Arc<Shared>,
    /// Whether this very request had to connect.
    pub(super) fresh: bool,
}

/// What all who use a connection know of it. It ends with the last of them.
pub(super) struct Shared {
    pub(super) connection: MultiplexedConnection,
    pub(super) line: Line,
    purpose: Purpose,
    /// `None`: it does not tell of changes.
    told: Option<Told>,
    timeouts: AtomicU32,
    _driver: Driver,
}

/// A connection that was just made, and who tells over it.
struct Connected {
    dialled: Dialled,
    told: Option<Told>,
}

impl Deref for Link {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.shared
    }
}

impl Link {
    /// Who tells of changes to what is read over this connection.
    pub(super) fn teller(&self) -> Option<&Arc<Teller>> {
        self.told.as_ref().map(|told| &told.teller)
    }
}

pub(super) struct Connector {
    address: Address,
    login: RedisConnectionInfo,
    near: Arc<Near>,
    /// Whether being told of changes is wanted at all.
    tracks: bool,
    said_untold: AtomicBool,
    settings: AsyncConnectionConfig,
    timeout: Duration,
    response_timeout: Duration,
    slots: Slots,
    pub(super) clock: ServerClock,
    pub(super) lineage: Lineage,
    facts: Mutex<ServerFacts>,
}

impl Connector {
    pub(super) fn open(
        config: &CacheConfig,
        near: Arc<Near>,
        lineage: Lineage,
    ) -> Result<Self, Error> {
        let Some(url) = &config.redis else {
            return Err(Error::new(ErrorKind::Config, "no address of Redis is set"));
        };
        let mut login = RedisConnectionInfo::default()
            .set_db(i64::from(url.db()))
            // The client waits for an answer to everything it says first, and a server that turns connections away gives one.
            .set_skip_set_lib_name();
        if let Some(username) = url.username() {
            login = login.set_username(username);
        }
        if let Some(password) = url.password() {
            login = login.set_password(password.expose());
        }
        Ok(Self {
            address: Address {
                host: url.host().to_owned(),
                port: url.port(),
            },
            login,
            near,
            tracks: config.near,
            said_untold: AtomicBool::new(false),
            response_timeout: config.response_timeout,
            // The deadline around every operation is ours, so that queueing counts as well.
            settings: AsyncConnectionConfig::new()
                .set_connection_timeout(None)
                .set_response_timeout(None)
                .set_pipeline_buffer_size(1_024),
            timeout: config.connect_timeout,
            slots: Slots::default(),
            clock: ServerClock::new(),
            lineage,
            facts: Mutex::default(),
        })
    }

    /// The longest time that making a connection may take.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Makes the connection of this runtime, if there is none.
    pub(super) async fn connected(&self) -> Result<(), Trouble> {
        self.link(Purpose::Reading, self.timeout).await.map(drop)
    }

    /// What is read over in this runtime, and who waits there.
    pub(super) fn reading(&self) -> Result<Arc<Slot>, Trouble> {
        self.slots.here(Purpose::Reading)
    }

    /// The connection of a runtime, if there is one.
    pub(super) fn current(slot: &Slot) -> Option<Link> {
        lock(&slot.link).clone()
    }

    /// The connection of this runtime, made if there is none. Waits no longer than the limit, and for one attempt only,
    /// whoever makes it.
    pub(super) async fn link(&self, purpose: Purpose, limit: Duration) -> Result<Link, Trouble> {
        let slot = self.slots.here(purpose)?;
        if let Some(link) = lock(&slot.link).clone() {
            return Ok(link);
        }
        // Relaxed: the flag stands for itself.
        if slot.unfit.load(Ordering::Relaxed) {
            return Err(Trouble::NoRuntime);
        }
        let failures = lock(&slot.failed).0;
        let end = clock::after(clock::now(), limit);
        let Some(_connecting) = clock::within(limit, slot.connecting.lock()).await else {
            return Err(self.no_connection());
        };
        // Somebody else may have connected while we waited, or tried to.
        if let Some(link) = lock(&slot.link).clone() {
            return Ok(link);
        }
        if let (number, Some(trouble)) = &*lock(&slot.failed)
            && *number != failures
        {
            return Err(trouble.clone());
        }
        let left = end.saturating_duration_since(clock::now());
        let connected =
            match clock::within(left, unless_it_panics(Box::pin(self.connect(purpose)))).await {
                Some(Some(connected)) => connected,
                Some(None) => {
                    slot.unfit.store(true, Ordering::Relaxed);
                    Err(Trouble::NoRuntime)
                }
                None => Err(self.no_connection()),
            };
        let link = connected.inspect_err(|trouble| {
            let mut failed = lock(&slot.failed);
            *failed = (failed.0.wrapping_add(1), Some(trouble.clone()));
        })?;
        *lock(&slot.link) = Some(Link {
            fresh: false,
            ..link.clone()
        });
        Ok(link)
    }

    /// A connection for the caller alone, whatever there is. Waits at most the connect timeout.
    pub(super) async fn another(&self) -> Result<Link, Trouble> {
        let connected = clock::within(self.timeout, self.connect(Purpose::Confirming)).await;
        connected.unwrap_or_else(|| Err(self.no_connection()))
    }

    fn no_connection(&self) -> Trouble {
        Trouble::Unreachable(format!("no connection within {:?}", self.timeout))
    }

    async fn connect(&self, purpose: Purpose) -> Result<Link, Trouble> {
        let told = match purpose {
            Purpose::Reading if self.tracks => self.connect_and_track().await?,
            Purpose::Reading | Purpose::Confirming => None,
        };
        let connected = match told {
            Some(connected) => connected,
            None => self.connect_plainly().await?,
        };
        let Connected { dialled, told } = connected;
        let Dialled {
            connection,
            line,
            driver,
        } = dialled;
        if let Some(told) = &told {
            let teller = Arc::clone(&told.teller);
            let beating = beat(teller, connection.clone(), self.response_timeout);
            tokio::spawn(beating);
        }
        let shared = Shared {
            connection,
            line,
            purpose,
            told,
            timeouts: AtomicU32::new(0),
            _driver: driver,
        };
        Ok(Link {
            shared: Arc::new(shared),
            fresh: true,
        })
    }

    /// A connection that tells of changes; `None` where this server, or what stands before it, will not.
    async fn connect_and_track(&self) -> Result<Option<Connected>, Trouble> {
        let told = Told::new(&self.near);
        let heard = told.share();
        let hear = move |push: PushInfo| -> Result<(), ()> {
            heard.hear(&push);
            Ok(())
        };
        let settings = self.settings.clone().set_push_sender(hear);
        // In which a server tells of changes.
        let login = self.login.clone().set_protocol(ProtocolVersion::RESP3);
        let mut dialled = match self.address.dial(&login, settings).await {
            Ok(dialled) => dialled,
            Err(error) => {
                let trouble = turned_away(&error);
                if !trouble.is_of_one_command() {
                    return Err(trouble);
                }
                // It may not know the protocol.
                self.say_untold(&trouble);
                return Ok(None);
            }
        };
        let sent = clock::now();
        match self.greet(&mut dialled.connection, true).await? {
            Some(refusal) => {
                self.say_untold(&refusal);
                // The server may be asked all the same, only without being believed for long.
                Ok(None)
            }
            None => {
                told.teller.prove(sent);
                Ok(Some(Connected {
                    dialled,
                    told: Some(told),
                }))
            }
        }
    }

    async fn connect_plainly(&self) -> Result<Connected, Trouble> {
        // Which every server speaks.
        let login = self.login.clone().set_protocol(ProtocolVersion::RESP2);
        let dialled = self.address.dial(&login, self.settings.clone()).await;
        let mut dialled = dialled.map_err(|error| turned_away(&error))?;
        self.greet(&mut dialled.connection, false).await?;
        Ok(Connected {
            dialled,
            told: None,
        })
    }

    fn say_untold(&self, refusal: &Trouble) {
        if !self.said_untold.swap(true, Ordering::Relaxed) {
            log::untold(refusal);
        }
    }

    /// Forgets a connection that is no good; the next request makes another.
    pub(super) fn discard(&self, link: &Link) {
        if let Some(teller) = link.teller() {
            teller.end();
        }
        if let Ok(slot) = self.slots.here(link.purpose) {
            let mut current = lock(&slot.link);
            if current
                .as_ref()
                .is_some_and(|current| Arc::ptr_eq(&current.shared, &link.shared))
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

    /// Notes that the request sent at that moment was answered.
    pub(super) fn answered(link: &Link, sent: Instant) {
        link.timeouts.store(0, Ordering::Relaxed);
        if let Some(teller) = link.teller() {
            teller.prove(sent);
        }
    }

    pub(super) fn disconnect(&self) {
        self.slots.clear();
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    pub(super) fn facts(&self) -> ServerFacts {
        lock(&self.facts).clone()
    }

    pub(super) fn learn(&self, version: Option<String>) {
        lock(&self.facts).version = version;
    }

    /// Whether the runtime that we are in can ask at all.
    pub(super) fn is_fit(&self) -> bool {
        let slot = self.slots.here(Purpose::Reading);
        slot.is_ok_and(|slot| !slot.unfit.load(Ordering::Relaxed))
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
