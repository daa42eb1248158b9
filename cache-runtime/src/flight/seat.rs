//! The leader's side of a flight.

use std::sync::Arc;

use super::{Departure, Flight, Flights, Phase, lock, remove};
use crate::clock;
use crate::lease::Permit;
use crate::seen::Seen;
use crate::value::Shared;

/// What a leader hands to its successor: the view it departed with and its leave to fill.
#[derive(Debug)]
pub(crate) struct Cabin {
    pub(crate) seen: Seen,
    pub(crate) permit: Permit,
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
    Dissolved,
}

impl Seat {
    pub(super) fn new(flights: &Arc<Flights>, flight: Arc<Flight>) -> Self {
        Self {
            flights: Arc::clone(flights),
            flight,
            cabin: None,
            outcome: SeatOutcome::Open,
        }
    }

    /// What tells flights apart while they last.
    pub(crate) fn flight(&self) -> usize {
        Arc::as_ptr(&self.flight).addr()
    }

    /// From here on only callers join who saw what the leader saw. To be called before the load begins, or a value is looked for.
    pub(crate) fn depart(&self, seen: Seen) {
        let at = self.flights.ticket();
        lock(&self.flight.state).departure = Some(Departure {
            at,
            when: clock::now(),
            seen,
        });
    }

    /// Puts down what a successor would need.
    pub(crate) fn prepare(&mut self, cabin: Cabin) {
        self.cabin = Some(Box::new(cabin));
    }

    /// Takes over what a dropped leader had. Its lease is kept alive from here: its runtime may be gone, or go.
    pub(super) fn with_cabin(mut self, mut cabin: Option<Box<Cabin>>) -> Self {
        if let Some(Permit::Leased(lease)) = cabin.as_mut().map(|cabin| &mut cabin.permit) {
            lease.keep_alive();
        }
        self.cabin = cabin;
        self
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

    /// Sends all followers back to look again, as their leader does: the entry is another than the one that was seen.
    pub(crate) fn dissolve(mut self) {
        self.outcome = SeatOutcome::Dissolved;
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
        match self.outcome {
            SeatOutcome::Landed => {}
            SeatOutcome::Dissolved => self.flight.set(Phase::Dissolved),
            SeatOutcome::Open | SeatOutcome::Failed => self.flight.set(Phase::Failed),
        }
    }
}
