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
    /// The entry changed under the leader, who looks again, as everybody has to.
    Dissolved,
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

    /// What tells flights apart while they last.
    pub(crate) fn flight(&self) -> usize {
        Arc::as_ptr(&self.flight).addr()
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
            Phase::Dissolved => Some(Landing::Dissolved),
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
