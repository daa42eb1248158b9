//! Single flight in the process: one leader loads, followers get its value.
//!
//! A follower may only adopt a load that cannot be older than an invalidation which ended before the follower began (P2).
//! Either it began before the flight departed, or it saw what the flight saw, the flight's own lease included.
//! A leader that is dropped leaves its seat, with its leave to fill, to a follower; one that fails or panics sends them all back.
//!
//! Lock order: a shard of the table, then the state of a flight.

use std::any::TypeId;
use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use xxhash_rust::xxh3::xxh3_64;

use crate::key::Key;
use crate::key::pattern::Pattern;
use crate::lease::Permit;
use crate::near::same_origin;
use crate::seen::Seen;
use crate::value::Shared;

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
    type_id: TypeId,
    origin: u64,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    departure: Option<(Ticket, Seen)>,
    followers: usize,
}

#[derive(Debug)]
enum Phase {
    Led,
    /// The leader was dropped; what it had may be taken over.
    Vacant(Option<Box<Cabin>>),
    Landed(Shared),
    Failed,
}

/// What a leader hands to its successor: the view it departed with and its leave to fill.
#[derive(Debug)]
pub(crate) struct Cabin {
    pub(crate) seen: Seen,
    pub(crate) permit: Permit,
}

/// What became of the wish to join.
pub(crate) enum Joined {
    Lead(Seat),
    Follow(Follower),
    /// A flight for this key carries another type or another function's value.
    Apart,
}

/// What became of a flight one followed.
pub(crate) enum Landing {
    Landed(Shared),
    /// The leader was dropped, the seat is ours.
    TakenOver(Seat),
    Failed,
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
        type_id: TypeId,
        seen: &Seen,
        began: Ticket,
    ) -> Joined {
        let mut shard = self.shard(key.as_str());
        match shard.entry(key.shared()) {
            Slot::Vacant(slot) => {
                let flight = Flight::new(key, type_id);
                slot.insert(Arc::clone(&flight));
                Joined::Lead(Seat::new(self, flight))
            }
            Slot::Occupied(mut slot) => {
                let flight = slot.get();
                if flight.type_id != type_id || !same_origin(flight.origin, key.origin()) {
                    return Joined::Apart;
                }
                if flight.admit(seen, began) {
                    return Joined::Follow(Follower {
                        flights: Arc::clone(self),
                        flight: Arc::clone(flight),
                    });
                }
                // The flight in the table is too old for us: it goes on for its followers, we are the one to join now.
                let flight = Flight::new(key, type_id);
                slot.insert(Arc::clone(&flight));
                Joined::Lead(Seat::new(self, flight))
            }
        }
    }

    /// Takes the flight for an entry out of the table: nobody joins it any more, and it may not fill the near tier.
    pub(crate) fn detach(&self, key: &str) {
        self.shard(key).remove(key);
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
    fn new(key: &Key, type_id: TypeId) -> Arc<Self> {
        Arc::new(Self {
            key: key.shared(),
            type_id,
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
    fn admit(&self, seen: &Seen, began: Ticket) -> bool {
        let mut state = lock(&self.state);
        let admitted = match (&state.phase, &state.departure) {
            (Phase::Failed, _) => false,
            // Not departed: whatever it will load is younger than the caller.
            (_, None) => true,
            (_, Some((departed, flight_saw))) => began < *departed || flight_saw.covers(seen),
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
}

/// The leader's place. Leaving it, in whatever way, never leaves followers waiting.
pub(crate) struct Seat {
    flights: Arc<Flights>,
    flight: Arc<Flight>,
    /// Boxed: it is part of a cached function's future.
    cabin: Option<Box<Cabin>>,
    outcome: SeatOutcome,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum SeatOutcome {
    Open,
    Landed,
    Failed,
}

impl Seat {
    fn new(flights: &Arc<Flights>, flight: Arc<Flight>) -> Self {
        Self {
            flights: Arc::clone(flights),
            flight,
            cabin: None,
            outcome: SeatOutcome::Open,
        }
    }

    /// From here on only callers join who saw what the leader saw. To be called before the lease is asked for, or the load begins.
    pub(crate) fn depart(&self, seen: Seen) {
        let departed = self.flights.ticket();
        lock(&self.flight.state).departure = Some((departed, seen));
    }

    /// Notes under which lease the load runs: ours, or that of the process which holds it.
    pub(crate) fn runs_under(&self, lease: u64) {
        if let Some((_, seen)) = &mut lock(&self.flight.state).departure
            && let Some(remote) = &mut seen.remote
        {
            remote.lease = Some(lease);
        }
    }

    /// Puts down what a successor would need.
    pub(crate) fn prepare(&mut self, cabin: Cabin) {
        self.cabin = Some(Box::new(cabin));
    }

    /// Whether the leave to fill, or that there is none, is settled.
    pub(crate) fn is_prepared(&self) -> bool {
        self.cabin.is_some()
    }

    /// Takes it up again.
    pub(crate) fn take_cabin(&mut self) -> Option<Cabin> {
        self.cabin.take().map(|cabin| *cabin)
    }

    /// Gives the value to all followers. The flight stays open to those who may join until the seat is dropped.
    pub(crate) fn land(&mut self, value: Shared) {
        self.outcome = SeatOutcome::Landed;
        self.flight.set(Phase::Landed(value));
    }

    /// Sends all followers back: this load has nothing to share.
    pub(crate) fn fail(mut self) {
        self.outcome = SeatOutcome::Failed;
    }

    /// Runs `fill` unless the entry has been invalidated since the flight began; no invalidation comes in between.
    pub(crate) fn while_current(&self, fill: impl FnOnce()) -> bool {
        let shard = self.flights.shard(&self.flight.key);
        let current = shard
            .get(&self.flight.key)
            .is_some_and(|flight| Arc::ptr_eq(flight, &self.flight));
        if current {
            fill();
        }
        current
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut shard = self.flights.shard(&self.flight.key);
        let deserted = lock(&self.flight.state).followers == 0;
        let cancelled = self.outcome == SeatOutcome::Open && !std::thread::panicking();
        if cancelled && !deserted {
            // Under the lock of the shard, so that the last follower cannot leave unnoticed in between.
            self.flight.set(Phase::Vacant(self.cabin.take()));
            return;
        }
        remove(&mut shard, &self.flight);
        drop(shard);
        if self.outcome != SeatOutcome::Landed {
            self.flight.set(Phase::Failed);
        }
    }
}

/// Somebody who waits for a flight.
pub(crate) struct Follower {
    flights: Arc<Flights>,
    flight: Arc<Flight>,
}

impl Follower {
    /// Waits for the end of the flight, or for its seat to become free.
    pub(crate) async fn landing(self) -> Landing {
        loop {
            let changed = self.flight.changed.notified();
            tokio::pin!(changed);
            // Enrolled before looking, so that no change in between is missed.
            changed.as_mut().enable();
            if let Some(landing) = self.look() {
                return landing;
            }
            changed.await;
        }
    }

    fn look(&self) -> Option<Landing> {
        let mut state = lock(&self.flight.state);
        match &mut state.phase {
            Phase::Led => None,
            Phase::Landed(value) => Some(Landing::Landed(Arc::clone(value))),
            Phase::Failed => Some(Landing::Failed),
            Phase::Vacant(cabin) => {
                let cabin = cabin.take();
                state.phase = Phase::Led;
                drop(state);
                let mut seat = Seat::new(&self.flights, Arc::clone(&self.flight));
                seat.cabin = cabin;
                Some(Landing::TakenOver(seat))
            }
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut shard = self.flights.shard(&self.flight.key);
        let mut state = lock(&self.flight.state);
        state.followers = state.followers.saturating_sub(1);
        let vacant = matches!(state.phase, Phase::Vacant(_));
        if state.followers == 0 && vacant {
            // Nobody is left to take the seat.
            let abandoned = std::mem::replace(&mut state.phase, Phase::Failed);
            drop(state);
            remove(&mut shard, &self.flight);
            drop(shard);
            drop(abandoned);
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
