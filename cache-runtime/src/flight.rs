//! Single flight in the process: one leader loads, followers get its value.
//!
//! A follower may only adopt a load that cannot be older than an invalidation which ended before the follower began (P2).
//! Either it began before the flight departed, or it saw what the flight saw, the flight's own lease included.
//! A leader that is dropped leaves its seat, with its leave to fill, to a follower; one that fails or panics sends them all back.
//!
//! Lock order: a shard of the table, then the state of a flight.

mod follower;
mod seat;

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use xxhash_rust::xxh3::xxh3_64;

use crate::clock::{self, Instant};
use crate::key::Key;
use crate::key::pattern::Pattern;
use crate::near::same_origin;
use crate::seen::Seen;
use crate::value::{Identity, Shared};
pub(crate) use follower::{Follower, Landing};
pub(crate) use seat::{Cabin, Seat};

const SHARDS: usize = 64;

/// A place in the order in which calls began and flights departed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

type Shard = HashMap<Arc<str>, Arc<Flight>>;

/// The flights of one cache.
#[derive(Debug)]
pub(crate) struct Flights {
    shards: Box<[Mutex<Shard>]>,
    tickets: AtomicU64,
}

/// One load and those who wait for it.
#[derive(Debug)]
struct Flight {
    key: Arc<str>,
    identity: Identity,
    origin: u64,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    departure: Option<Departure>,
    followers: usize,
}

/// The moment after which only those may join who saw what the flight saw.
#[derive(Debug)]
struct Departure {
    at: Ticket,
    when: Instant,
    seen: Seen,
}

#[derive(Debug)]
enum Phase {
    Led,
    /// The leader was dropped; what it had may be taken over.
    Vacant(Option<Box<Cabin>>),
    Landed(Shared),
    Failed,
    /// The entry changed under the leader: everybody looks again.
    Dissolved,
}

/// What became of the wish to join.
pub(crate) enum Joined {
    Lead(Seat),
    Follow(Follower),
    /// A flight for this key carries another type, version or function's value.
    Apart,
}

impl Flights {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            tickets: AtomicU64::new(0),
        })
    }

    /// A place in the order of events.
    pub(crate) fn ticket(&self) -> Ticket {
        // AcqRel: what a caller did before it began stays before, what a leader sends after it departed stays after.
        Ticket(self.tickets.fetch_add(1, Ordering::AcqRel))
    }

    /// Joins the flight for this key that the caller may share, or leads a new one.
    pub(crate) fn join(
        self: &Arc<Self>,
        key: &Key,
        identity: Identity,
        seen: &Seen,
        began: Ticket,
        oldest: Option<Duration>,
    ) -> Joined {
        let mut shard = self.shard(key.as_str());
        match shard.entry(key.shared()) {
            Slot::Vacant(slot) => {
                let flight = Flight::new(key, identity);
                slot.insert(Arc::clone(&flight));
                Joined::Lead(Seat::new(self, flight))
            }
            Slot::Occupied(mut slot) => {
                let flight = slot.get();
                if flight.identity != identity || !same_origin(flight.origin, key.origin()) {
                    return Joined::Apart;
                }
                if flight.admit(seen, began, oldest) {
                    return Joined::Follow(Follower::new(self, flight));
                }
                // The flight in the table is too old for us: it goes on for its followers, we are the one to join now.
                let flight = Flight::new(key, identity);
                slot.insert(Arc::clone(&flight));
                Joined::Lead(Seat::new(self, flight))
            }
        }
    }

    /// Leads a flight of one's own, whatever others do.
    pub(crate) fn lead(self: &Arc<Self>, key: &Key, identity: Identity) -> Seat {
        let flight = Flight::new(key, identity);
        let mut shard = self.shard(key.as_str());
        shard.insert(key.shared(), Arc::clone(&flight));
        Seat::new(self, flight)
    }

    /// Takes the flight for an entry out of the table: nobody joins it any more, and it may not fill the near tier.
    pub(crate) fn detach(&self, key: &str) {
        self.shard(key).remove(key);
    }

    /// The same while another value is put in the place of what it would load: no flight begins or fills in between.
    pub(crate) fn detach_while<T>(&self, key: &str, change: impl FnOnce() -> T) -> T {
        let mut shard = self.shard(key);
        shard.remove(key);
        change()
    }

    /// The same for all whose keys match.
    pub(crate) fn detach_matching(&self, pattern: &Pattern) {
        for shard in &self.shards {
            lock(shard).retain(|key, _| !pattern.matches(key));
        }
    }

    /// How many flights can be joined.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }

    fn shard(&self, key: &str) -> MutexGuard<'_, Shard> {
        let index = usize::try_from(xxh3_64(key.as_bytes()) % SHARDS as u64).unwrap_or_default();
        match self.shards.get(index).or_else(|| self.shards.first()) {
            Some(shard) => lock(shard),
            None => unreachable!("the table has {SHARDS} shards"),
        }
    }
}

impl Flight {
    fn new(key: &Key, identity: Identity) -> Arc<Self> {
        Arc::new(Self {
            key: key.shared(),
            identity,
            origin: key.origin(),
            state: Mutex::new(State {
                phase: Phase::Led,
                departure: None,
                followers: 0,
            }),
            changed: Notify::new(),
        })
    }

    /// Counts the caller as a follower where the rules allow it.
    ///
    /// `oldest` is how long ago it may have departed, for a caller whom nobody has told of what others invalidate.
    fn admit(&self, seen: &Seen, began: Ticket, oldest: Option<Duration>) -> bool {
        let mut state = lock(&self.state);
        let admitted = match (&state.phase, &state.departure) {
            (Phase::Failed | Phase::Dissolved, _) => false,
            // Not departed: whatever it will load is younger than the caller.
            (_, None) => true,
            (_, Some(departure)) => {
                let age = clock::now().saturating_duration_since(departure.when);
                let too_old = oldest.is_some_and(|oldest| age >= oldest);
                began < departure.at || (departure.seen.covers(seen) && !too_old)
            }
        };
        if admitted {
            state.followers += 1;
        }
        admitted
    }

    fn set(&self, phase: Phase) {
        lock(&self.state).phase = phase;
        self.changed.notify_waiters();
    }

    /// Waits until `look` finds something. No change in between is missed.
    async fn watch<T>(&self, look: impl Fn() -> Option<T>) -> T {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(found) = look() {
                return found;
            }
            changed.await;
        }
    }
}

fn remove(shard: &mut Shard, flight: &Arc<Flight>) {
    let current = shard
        .get(&flight.key)
        .is_some_and(|found| Arc::ptr_eq(found, flight));
    if current {
        shard.remove(&flight.key);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
