//! Redis as the flows see it: asked while the breaker is closed, and trusted once every remembered invalidation is replayed.

mod leases;
mod probes;
mod refusals;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;

use crate::breaker::{Breaker, Gate};
use crate::config::{CacheConfig, Durability};
use crate::error::Error;
use crate::key::{self, Key};
use crate::lease::Lease;
use crate::near::Near;
use crate::outage::Journal;
use crate::random;
use crate::seen::SeenRemote;
use crate::store::{Filled, Put, Read, ServerFacts, Store, Stored, Trouble};

pub(crate) use leases::Leave;
use leases::Returning;
use probes::Probe;
use refusals::{Doing, Refusals};

#[derive(Debug)]
pub(crate) struct Remote {
    store: Store,
    breaker: Breaker,
    journal: Journal,
    /// One replay at a time.
    replaying: tokio::sync::Mutex<()>,
    /// Ended whenever this process starts or stops trusting Redis: what was kept in process before does not count after.
    near: Arc<Near>,
    durability: Durability,
    lease: Duration,
    /// Leases on their way back.
    returning: Returning,
    /// What is refused, and what has been said about it.
    refusals: Refusals,
}

impl Remote {
    pub(crate) fn open(config: &CacheConfig, near: Arc<Near>) -> Result<Self, Error> {
        Ok(Self {
            store: Store::open(config, Arc::clone(&near))?,
            breaker: Breaker::new(config.response_timeout),
            journal: Journal::new(key::generation_name(&config.key_prefix)),
            replaying: tokio::sync::Mutex::default(),
            near,
            durability: config.durability,
            lease: config.lease,
            returning: Returning::default(),
            refusals: Refusals::new(),
        })
    }

    /// Whether Redis is in use.
    pub(crate) fn is_up(&self) -> bool {
        self.breaker.is_closed()
    }

    /// How long a lease lives without a sign of life.
    pub(crate) fn lease(&self) -> Duration {
        self.lease
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
        self.note_of(key.as_str(), Doing::Reading, self.store.look_up(key).await)
    }

    /// Creates the generations that were missing when the key was looked up.
    pub(crate) async fn renew(
        self: &Arc<Self>,
        key: &Key,
        seen: &mut SeenRemote,
        ttl: Duration,
    ) -> Result<(), Trouble> {
        self.ready_to_write().await?;
        let renewed = self.store.renew(key, seen, ttl).await;
        self.note_aside(key.as_str(), Doing::Writing, renewed)
    }

    /// Stores an entry under its lease.
    pub(crate) async fn fill(
        self: &Arc<Self>,
        key: &Key,
        lease: Lease,
        generations: &[Option<u64>],
        bytes: &[u8],
        ttl: Duration,
    ) -> Result<Filled, Trouble> {
        self.ready().await?;
        let filled = self
            .store
            .fill(lease.entry(), lease.token(), bytes, ttl)
            .await;
        let filled = self.note_of(key.as_str(), Doing::Writing, filled)?;
        lease.spend();
        // What we do ourselves we are not told.
        self.near.told_of_lease(key.as_str());
        if matches!(filled, Filled::Stored(_)) {
            self.keep_generations(key, generations, ttl).await;
        }
        Ok(filled)
    }

    async fn keep_generations(&self, key: &Key, generations: &[Option<u64>], ttl: Duration) {
        let mut forgotten = Forgotten {
            near: &self.near,
            groups: key.groups().collect(),
        };
        let kept = self.store.keep_generations(key, generations, ttl).await;
        if let Ok(prolonged) = self.note(Doing::Writing, kept) {
            forgotten.groups = prolonged;
        }
    }

    /// Stores entries whatever was there; answers whether all could be.
    pub(crate) async fn put(self: &Arc<Self>, puts: &[Put<'_>]) -> Result<bool, Trouble> {
        self.ready().await?;
        let mut forgotten = Forgotten {
            near: &self.near,
            groups: puts.iter().flat_map(|put| put.key.groups()).collect(),
        };
        let stored = self.note(Doing::Writing, self.store.put(puts).await)?;
        let prolonged = puts.iter().zip(&stored);
        let prolonged = prolonged.filter(|(_, stored)| **stored == Stored::Prolonging);
        forgotten.groups = prolonged.flat_map(|(put, _)| put.key.groups()).collect();
        Ok(stored.iter().all(|stored| *stored != Stored::Not))
    }

    pub(crate) async fn look_up_many(self: &Arc<Self>, keys: &[Key]) -> Result<Vec<Read>, Trouble> {
        self.ready().await?;
        self.note(Doing::Reading, self.store.look_up_many(keys).await)
    }

    /// Deletes entries; answers how many there were. Remembered where Redis does not confirm it.
    pub(crate) async fn remove(self: &Arc<Self>, entries: &[&str]) -> Result<u64, Trouble> {
        let asked = async {
            self.ready().await?;
            self.note(Doing::Deleting, self.store.remove(entries).await)
        };
        asked.await.inspect_err(|_| {
            let names = entries.iter().flat_map(|entry| entry_names(entry));
            self.journal.remember(&names.collect::<Vec<_>>());
        })
    }

    /// Deletes names; answers how many replicas have confirmed it, where that was asked for.
    /// Remembered where Redis does not confirm it.
    pub(crate) async fn unlink(self: &Arc<Self>, names: &[String]) -> Result<Option<u32>, Trouble> {
        let asked = async {
            self.ready().await?;
            let told = match self.durability {
                Durability::Server => self.store.unlink(names).await.map(|()| None),
                Durability::Replicas(wanted) => {
                    let told = self.store.unlink_on_replicas(names, wanted).await;
                    told.inspect(|confirmed| self.note_replicas(*confirmed, wanted))
                        .map(Some)
                }
            };
            self.note(Doing::Deleting, told)
        };
        asked.await.inspect_err(|_| self.journal.remember(names))
    }

    pub(crate) async fn clear(self: &Arc<Self>, pattern: &str) -> Result<u64, Trouble> {
        self.ready().await?;
        self.note(Doing::Clearing, self.store.clear(pattern).await)
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
                spawn(Probe::new(self).run());
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
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Groups whose generations we may have changed, so that the server has forgotten that we read them: what was read before must
/// not rely on it. Dropped with a caller that gives up, it counts what was asked for as done.
struct Forgotten<'a> {
    near: &'a Near,
    groups: Vec<&'a str>,
}

impl Drop for Forgotten<'_> {
    fn drop(&mut self) {
        for group in &self.groups {
            self.near.told_of_group(group);
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
