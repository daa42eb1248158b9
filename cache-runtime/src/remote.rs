//! Redis as the flows see it: asked while the breaker is closed, and trusted once every remembered invalidation is replayed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;

use crate::breaker::{Breaker, Gate};
use crate::clock::{self, Instant};
use crate::config::CacheConfig;
use crate::error::Error;
use crate::key::{self, Key};
use crate::lease::Lease;
use crate::log;
use crate::near::Epochs;
use crate::outage::Journal;
use crate::random;
use crate::seen::SeenRemote;
use crate::store::{Acquired, Read, ServerFacts, Store, Trouble};

/// A refusal that goes on is said again after so long. Answers in between do not end it: one key may be refused and the others not.
const SAID_AGAIN_AFTER: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct Remote {
    store: Store,
    breaker: Breaker,
    journal: Journal,
    /// One replay at a time.
    replaying: tokio::sync::Mutex<()>,
    /// Ended whenever this process starts or stops trusting Redis: what was kept in process before does not count after.
    epochs: Arc<Epochs>,
    lease: Duration,
    /// Leases on their way back, by entry: their release is under way, and this process may take them over until it arrives.
    returning: Mutex<HashMap<Arc<str>, u64>>,
    /// For each kind of operation, when it was last said that it is refused.
    refused: [Mutex<Option<Instant>>; 3],
}

/// What a server may allow while it refuses something else.
#[derive(Debug, Clone, Copy)]
enum Doing {
    Reading,
    Writing,
    Deleting,
}

/// The answer to a request for the leave to fill.
#[derive(Debug)]
pub(crate) enum Leave {
    Granted(Lease),
    Held(u64),
    Changed,
}

impl Remote {
    pub(crate) fn open(config: &CacheConfig, epochs: Arc<Epochs>) -> Result<Self, Error> {
        Ok(Self {
            store: Store::open(config)?,
            breaker: Breaker::new(),
            journal: Journal::new(key::generation_name(&config.key_prefix)),
            replaying: tokio::sync::Mutex::default(),
            epochs,
            lease: config.lease,
            returning: Mutex::default(),
            refused: Default::default(),
        })
    }

    /// Whether Redis is in use.
    pub(crate) fn is_up(&self) -> bool {
        self.breaker.is_closed()
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.store.now_ms()
    }

    pub(crate) fn facts(&self) -> ServerFacts {
        self.store.facts()
    }

    /// Connects, replays what is pending, and tells how long a round trip takes.
    pub(crate) async fn ping(self: &Arc<Self>) -> Result<Duration, Trouble> {
        self.ready().await?;
        self.note(Doing::Reading, self.store.ping().await)
    }

    pub(crate) async fn look_up(self: &Arc<Self>, key: &Key) -> Result<Read, Trouble> {
        self.ready().await?;
        self.note(Doing::Reading, self.store.look_up(key).await)
    }

    /// Creates the generations that were missing when the key was looked up.
    pub(crate) async fn renew(
        self: &Arc<Self>,
        key: &Key,
        seen: &mut SeenRemote,
        ttl: Duration,
    ) -> Result<(), Trouble> {
        self.ready().await?;
        self.note(Doing::Writing, self.store.renew(key, seen, ttl).await)
    }

    /// Asks for the leave to fill, unless the entry is another than the one with the `stamp` that was seen.
    /// `token` will be the lease's: chosen by the caller, so that it is known before the answer.
    pub(crate) async fn acquire(
        self: &Arc<Self>,
        key: &Key,
        stamp: &[u8],
        token: u64,
    ) -> Result<Leave, Trouble> {
        self.ready().await?;
        let returning = lock(&self.returning).get(key.as_str()).copied();
        // Ours from the moment it is asked for: who is cancelled before the answer gives it back all the same.
        let lease = Lease::asked_for(Arc::clone(self), key.shared(), token);
        let acquired = self
            .store
            .acquire(key, stamp, token, returning, self.lease)
            .await;
        Ok(match self.note(Doing::Writing, acquired)? {
            Acquired::Granted => Leave::Granted(lease),
            Acquired::Held(holder) => {
                lease.spend();
                Leave::Held(holder)
            }
            Acquired::Changed => {
                lease.spend();
                Leave::Changed
            }
        })
    }

    /// Stores an entry under its lease; answers whether the lease still stood.
    pub(crate) async fn fill(
        self: &Arc<Self>,
        key: &Key,
        lease: Lease,
        bytes: &[u8],
        ttl: Duration,
    ) -> Result<bool, Trouble> {
        self.ready().await?;
        let filled = self
            .store
            .fill(lease.entry(), lease.token(), bytes, ttl)
            .await;
        let filled = self.note(Doing::Writing, filled)?;
        lease.spend();
        if filled {
            let _ = self.note(Doing::Writing, self.store.keep_generations(key, ttl).await);
        }
        Ok(filled)
    }

    /// The generations of a key as they are now, created where missing.
    pub(crate) async fn generations(
        self: &Arc<Self>,
        key: &Key,
        ttl: Duration,
    ) -> Result<Vec<Option<u64>>, Trouble> {
        let read = self.look_up(key).await?;
        let mut seen = SeenRemote {
            lease: None,
            generations: read.generations,
            stamp: Vec::new(),
        };
        self.renew(key, &mut seen, ttl).await?;
        Ok(seen.generations)
    }

    pub(crate) async fn put(
        self: &Arc<Self>,
        key: &Key,
        bytes: &[u8],
        ttl: Duration,
    ) -> Result<(), Trouble> {
        self.ready().await?;
        self.note(
            Doing::Writing,
            self.store.put(key.as_str(), bytes, ttl).await,
        )
    }

    /// Deletes an entry; answers whether it was there. Remembered where Redis does not confirm it.
    pub(crate) async fn remove(self: &Arc<Self>, key: &Key) -> Result<bool, Trouble> {
        let names = entry_names(key.as_str());
        let asked = async {
            self.ready().await?;
            self.note(Doing::Deleting, self.store.remove(key.as_str()).await)
        };
        asked.await.inspect_err(|_| self.journal.remember(&names))
    }

    /// Deletes names. Remembered where Redis does not confirm it.
    pub(crate) async fn unlink(self: &Arc<Self>, names: &[String]) -> Result<(), Trouble> {
        let asked = async {
            self.ready().await?;
            self.note(Doing::Deleting, self.store.unlink(names).await)
        };
        asked.await.inspect_err(|_| self.journal.remember(names))
    }

    pub(crate) async fn clear(self: &Arc<Self>, pattern: &str) -> Result<u64, Trouble> {
        self.ready().await?;
        self.note(Doing::Deleting, self.store.clear(pattern).await)
    }

    /// Remembers names to be deleted, and has it done in the background where there is a runtime.
    /// For those who cannot wait: a cancelled or panicking function.
    pub(crate) fn unlink_later(self: &Arc<Self>, names: &[String]) {
        self.journal.remember(names);
        let remote = Arc::clone(self);
        spawn(async move {
            let _ = remote.ready().await;
        });
    }

    /// Gives a lease back in the background. Where that is impossible, it ends by itself.
    pub(crate) fn release_later(remote: &Arc<Self>, entry: Arc<str>, token: u64) {
        lock(&remote.returning).insert(Arc::clone(&entry), token);
        let returning = Returning {
            remote: Arc::clone(remote),
            entry,
            token,
        };
        spawn(async move {
            let remote = &returning.remote;
            if remote.is_up() {
                let _ = remote.note(
                    Doing::Deleting,
                    remote.store.release(&returning.entry, token).await,
                );
            }
        });
    }

    /// Replays what is pending, if Redis can be reached, and drops the connections.
    pub(crate) async fn close(self: &Arc<Self>) {
        let _ = self.ready().await;
        self.store.disconnect();
    }

    /// Passes while the breaker is closed and nothing is pending; replays first where something is.
    async fn ready(self: &Arc<Self>) -> Result<(), Trouble> {
        match self.breaker.gate() {
            Gate::Pass => {}
            Gate::Blocked => return Err(Trouble::Open),
            Gate::Probe => {
                let probe = Probe {
                    remote: Arc::clone(self),
                    succeeded: false,
                };
                spawn(probe.run());
                return Err(Trouble::Open);
            }
        }
        if self.journal.is_pending() {
            self.note(Doing::Deleting, self.replay_while_closed().await)?;
        }
        Ok(())
    }

    async fn replay(&self) -> Result<usize, Trouble> {
        let _replaying = self.replaying.lock().await;
        self.replay_alone().await
    }

    /// For those who find something pending: not again where the attempt that they waited for has opened the breaker.
    async fn replay_while_closed(&self) -> Result<usize, Trouble> {
        let _replaying = self.replaying.lock().await;
        match self.breaker.is_closed() {
            true => self.replay_alone().await,
            false => Err(Trouble::Open),
        }
    }

    async fn replay_alone(&self) -> Result<usize, Trouble> {
        let mut replayed = 0;
        while self.journal.is_pending() {
            let names = self.journal.names();
            self.store.unlink(&names).await?;
            self.journal.settle(&names);
            replayed += names.len();
        }
        Ok(replayed)
    }

    /// Lets the breaker know how an operation went.
    fn note<T>(&self, doing: Doing, answer: Result<T, Trouble>) -> Result<T, Trouble> {
        match &answer {
            Ok(_) => self.breaker.answered(),
            Err(trouble @ Trouble::Unreachable(_)) => self.opened(self.breaker.open(), trouble),
            Err(trouble @ Trouble::Timeout) => self.opened(self.breaker.timed_out(), trouble),
            Err(trouble @ (Trouble::Refused { .. } | Trouble::NoRuntime)) => {
                self.breaker.answered();
                if self.is_to_be_said(doing) {
                    log::refused(trouble);
                }
            }
            Err(Trouble::Open) => {}
        }
        answer
    }

    /// Whether a refusal that comes now is the first in a while.
    fn is_to_be_said(&self, doing: Doing) -> bool {
        let [reading, writing, deleting] = &self.refused;
        let mut said = lock(match doing {
            Doing::Reading => reading,
            Doing::Writing => writing,
            Doing::Deleting => deleting,
        });
        let now = clock::now();
        let recently =
            said.is_some_and(|said| now.saturating_duration_since(said) < SAID_AGAIN_AFTER);
        if !recently {
            *said = Some(now);
        }
        !recently
    }

    fn opened(&self, now: bool, trouble: &Trouble) {
        if now {
            self.epochs.end_all();
            log::unreachable(trouble);
        }
    }
}

/// A lease on its way back, until it has arrived or been lost.
struct Returning {
    remote: Arc<Remote>,
    entry: Arc<str>,
    token: u64,
}

impl Drop for Returning {
    fn drop(&mut self) {
        let mut returning = lock(&self.remote.returning);
        if returning.get(&self.entry) == Some(&self.token) {
            returning.remove(&self.entry);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The one background attempt to find Redis again. However it ends, the breaker is not left half open.
struct Probe {
    remote: Arc<Remote>,
    succeeded: bool,
}

impl Probe {
    async fn run(mut self) {
        let remote = Arc::clone(&self.remote);
        if remote.store.ping().await.is_err() {
            return;
        }
        let Ok(replayed) = remote.replay().await else {
            return;
        };
        self.succeeded = true;
        let away = remote.breaker.close();
        remote.epochs.end_all();
        log::back(away, replayed);
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        if !self.succeeded {
            self.remote.breaker.reopen();
        }
    }
}

/// What is deleted to invalidate one entry.
pub(crate) fn entry_names(entry: &str) -> [String; 2] {
    [key::lease_name(entry), entry.to_owned()]
}

/// A token for a lease or a stamp.
pub(crate) fn new_token() -> u64 {
    random::token()
}

fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(task);
    }
}
