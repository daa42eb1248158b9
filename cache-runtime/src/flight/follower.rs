//! The side of those who wait for a flight.

use std::sync::Arc;

use super::{Flight, Flights, Phase, Seat, lock, remove};
use crate::value::Shared;

/// What became of a flight one followed.
pub(crate) enum Landing {
    Landed(Shared),
    /// The leader was dropped, the seat is ours.
    TakenOver(Seat),
    Failed,
}

/// Somebody who waits for a flight.
pub(crate) struct Follower {
    flights: Arc<Flights>,
    flight: Arc<Flight>,
}

impl Follower {
    pub(super) fn new(flights: &Arc<Flights>, flight: &Arc<Flight>) -> Self {
        Self {
            flights: Arc::clone(flights),
            flight: Arc::clone(flight),
        }
    }

    /// Waits for the end of the flight, or for its seat to become free.
    pub(crate) async fn landing(self) -> Landing {
        self.flight.watch(|| self.look()).await
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
                let seat = Seat::new(&self.flights, Arc::clone(&self.flight));
                Some(Landing::TakenOver(seat.with_cabin(cabin)))
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

/// A flight whose lease is, or was a moment ago, being asked for.
pub(crate) struct Asking(Arc<Flight>);

impl Asking {
    pub(super) fn new(flight: &Arc<Flight>) -> Self {
        Self(Arc::clone(flight))
    }

    /// Waits for the answer, or for the end of whoever asked.
    pub(crate) async fn answered(self) {
        let asking = || {
            let state = lock(&self.0.state);
            let departure = state.departure.as_ref();
            let asking = departure.is_some_and(|departure| departure.answered.is_none());
            matches!(state.phase, Phase::Led) && asking
        };
        self.0.watch(|| (!asking()).then_some(())).await;
    }
}
