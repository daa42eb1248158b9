//! Redis as the flows see it: asked while the breaker is closed, and believed of a key once every remembered invalidation that
//! concerns it is replayed.

mod deletions;
mod ending;
mod leases;
mod probes;
mod refusals;
mod replay;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::breaker::{Breaker, Gate};
use crate::clock::Instant;
use crate::config::{CacheConfig, Durability};
use crate::error::{Error, ErrorKind};
use crate::key::{self, Key};
use crate::lease::Lease;
use crate::near::Near;
use crate::outage::Journal;
use crate::random;
use crate::seen::SeenRemote;
use crate::store::{
    Carried, Filled, Loads, Put, Read, ServerFacts, Store, Stored, Swap, Trouble, Watch,
};

pub(crate) use leases::Leave;
use leases::Returning;
use probes::Probe;
use refusals::{Doing, Refusals};
use replay::Replays;

#[derive(Debug)]
pub(crate) struct Remote {
    store: Arc<Store>,
    breaker: Breaker,
    journal: Arc<Journal>,
    replays: Replays,
    /// How long a call waits for a replay that may well succeed.
    patience: Duration,
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
        let journal = Journal::open(&config.key_prefix, config.journal.as_deref());
        let journal = journal.map_err(|problem| no_journal(config, problem))?;
        let journal = Arc::new(journal);
        // A data set that may be older than what was invalidated.
        let distrust = {
            let journal = Arc::clone(&journal);
            let root = [key::generation_name(&config.key_prefix)];
            Box::new(move || journal.remember(&root))
        };
        Ok(Self {
            store: Arc::new(Store::open(config, Arc::clone(&near), distrust)?),
            breaker: Breaker::new(config.response_timeout),
            journal,
            replays: Replays::default(),
            patience: config.response_timeout,
            near,
            durability: config.durability,
            lease: config.lease,
            returning: Returning::default(),
            refusals: Refusals::new(),
        })
    }

    /// Whether Redis is in use.
    #[inline]
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

    /// How many names are owed.
    pub(crate) fn unconfirmed(&self) -> usize {
        self.journal.count()
    }

    pub(crate) fn facts(&self) -> ServerFacts {
        self.store.facts()
    }

    /// Connects, has replayed what is pending, and tells how long a round trip takes.
    pub(crate) async fn ping(self: &Arc<Self>) -> Result<Duration, Trouble> {
        self.passes()?;
        self.settled(|_| true).await;
        let answer = self.note(Doing::Reading, self.store.ping().await);
        self.settled(|_| true).await;
        answer
    }

    pub(crate) async fn look_up(
        self: &Arc<Self>,
        key: &Key,
        watch: Watch,
    ) -> Result<Read, Trouble> {
        self.passes()?;
        if self.journal.is_pending() {
            self.believed(key).await?;
        }
        let read = self.store.look_up(key, watch).await;
        self.heard(key, read)
    }

    /// The same for one who joins those whose reads are carried, having done what comes `before` the read: what he is told is
    /// to be [`heard`](Self::heard). `None`: he is to look up by himself.
    pub(crate) fn join<T>(
        self: &Arc<Self>,
        asked: (&Key, Watch),
        waker: &Waker,
        before: impl FnOnce() -> T,
    ) -> Option<(T, Carried)> {
        if self.journal.is_pending() || self.passes().is_err() {
            return None;
        }
        self.store.join(asked, waker, before)
    }

    /// The look-up of one who was carried, and told to ask for himself.
    pub(crate) async fn look_up_after(
        &self,
        key: &Key,
        watch: Watch,
        since: Instant,
    ) -> Result<Read, Trouble> {
        let read = self.store.look_up_after(key, watch, since).await;
        self.heard(key, read)
    }

    /// What is believed of what was read, or why it was not.
    pub(crate) fn heard(&self, key: &Key, read: Result<Read, Trouble>) -> Result<Read, Trouble> {
        let read = self.note_of(key.as_str(), Doing::Reading, read)?;
        self.still_believed(key).map(|()| read)
    }

    /// Creates the generations that were missing when the key was looked up.
    pub(crate) async fn renew(
        self: &Arc<Self>,
        key: &Key,
        seen: &mut SeenRemote,
        ttl: Duration,
    ) -> Result<(), Trouble> {
        self.ready_to_write(key).await?;
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
        self.ready(key).await?;
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

    /// Puts an entry in the place of the one that was seen, under these generations; answers whether that still stood there.
    pub(crate) async fn swap(
        self: &Arc<Self>,
        key: &Key,
        generations: &[Option<u64>],
        swap: Swap<'_>,
    ) -> Result<bool, Trouble> {
        self.ready_to_write(key).await?;
        let swapped = self.store.swap(key.as_str(), swap).await;
        let swapped = self.note_of(key.as_str(), Doing::Writing, swapped)?;
        if swapped {
            if swap.loads == Loads::End {
                // What we do ourselves we are not told.
                self.near.told_of_lease(key.as_str());
            }
            self.keep_generations(key, generations, swap.ttl).await;
        }
        Ok(swapped)
    }

    /// Stores entries whatever was there; answers whether all could be.
    pub(crate) async fn put(self: &Arc<Self>, puts: &[Put<'_>]) -> Result<bool, Trouble> {
        self.passes()?;
        let covered = |journal: &Journal| puts.iter().any(|put| journal.covers(put.key));
        self.settled(covered).await;
        for put in puts {
            self.still_believed(put.key)?;
        }
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

    /// What is not believed reads as absent.
    pub(crate) async fn look_up_many(self: &Arc<Self>, keys: &[Key]) -> Result<Vec<Read>, Trouble> {
        let reads = self.look_up_each(keys, false).await?;
        let believed = reads.into_iter().zip(keys);
        let believed = believed.map(|(read, key)| read.unwrap_or_else(|_| Read::nothing(key)));
        Ok(believed.collect())
    }

    /// What there is of each key, with its lease where it may be loaded; or why Redis is not believed of that one.
    pub(crate) async fn look_up_each(
        self: &Arc<Self>,
        keys: &[Key],
        with_leases: bool,
    ) -> Result<Vec<Result<Read, Trouble>>, Trouble> {
        self.passes()?;
        let covered = |journal: &Journal| keys.iter().any(|key| journal.covers(key));
        self.settled(covered).await;
        let reads = self.store.look_up_many(keys, with_leases).await;
        let reads = self.note(Doing::Reading, reads)?.into_iter().zip(keys);
        let believed = |(read, key)| self.still_believed(key).map(|()| read);
        Ok(reads.map(believed).collect())
    }

    /// Whether a value of this key may be kept in process in the stead of one in Redis, although that is in use.
    pub(crate) fn stands_in(&self, key: &Key) -> bool {
        self.journal.covers_what_is_kept(key)
    }

    /// Passes while the breaker is closed, and nothing is owed that concerns this key.
    async fn ready(self: &Arc<Self>, key: &Key) -> Result<(), Trouble> {
        self.passes()?;
        self.believed(key).await
    }

    /// Passes while the breaker is closed.
    fn passes(self: &Arc<Self>) -> Result<(), Trouble> {
        match self.breaker.gate() {
            Gate::Pass => Ok(()),
            Gate::Blocked => Err(Trouble::Open),
            Gate::Probe => {
                spawn(Probe::new(self).run());
                Err(Trouble::Open)
            }
        }
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

fn no_journal(config: &CacheConfig, problem: std::io::Error) -> Error {
    let path = config.journal.as_deref().unwrap_or(Path::new(""));
    let context = format!(
        "`journal` cannot be used: {} cannot be opened for writing; name a file in a directory that this process may write to",
        path.display()
    );
    Error::new(ErrorKind::Config, context).caused_by(problem)
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
