//! A call of a function that is not async: in the process alone, and waiting by blocking the thread.
//!
//! It cannot ask Redis, and nobody tells it of what other processes invalidate. So where there is a Redis, what it loads is
//! kept for the time for which a value is that nobody tells of, and only plain functions are given it.
//! Its flights are its own as well: the leader of an async one may need the very thread that would be blocked.

use std::sync::Arc;

use super::fill::Loaded;
use super::{Call, MAX_FAILED_FLIGHTS};
use crate::blocking::{self, Leading, Waiting};
use crate::clock;
use crate::flight::{Cabin, Joined, Landing, Seat};
use crate::lease::Permit;
use crate::limit;
use crate::outcome::Outcome;
use crate::policy::Coalesce;
use crate::seen::Seen;
use crate::value::{Hands, Shared};

/// What a call has to do.
pub(super) enum Turn {
    /// Return this value.
    Found(Shared),
    /// Run the body, for everybody who asks meanwhile.
    Lead(Lead),
    /// Run the body, for oneself.
    Alone,
}

/// The lead of a flight. The fields are dropped in this order, so that a successor is not taken for this thread.
pub(super) struct Lead {
    leading: Leading,
    seat: Seat,
}

impl Lead {
    fn new(seat: Seat) -> Self {
        Self {
            leading: Leading::new(seat.flight()),
            seat,
        }
    }
}

impl Call {
    /// Returns a cached value, or what the body returns.
    pub(crate) fn run_plain<O: Outcome>(
        &self,
        hands: Hands<O::Value>,
        body: impl FnOnce() -> O::Returned,
    ) -> O::Returned {
        let lead = match self.take_plain_turn() {
            Turn::Found(value) => match (hands.take)(value) {
                Some(value) => return O::join(value),
                None => None,
            },
            Turn::Lead(lead) => Some(lead),
            Turn::Alone => None,
        };
        self.counters.misses.one();
        let limits = [self.limit.as_deref(), self.cache.limit.as_ref()];
        let place = limit::try_enter(limits)
            .unwrap_or_else(|| limit::enter_blocking(limits, self.cache.config.max_load_wait));
        self.counters.loads.one();
        let began = clock::now();
        let loaded = match O::split(place.run_plain(body)) {
            Ok(loaded) => loaded,
            Err(returned) => {
                if let Some(Lead { leading, seat }) = lead {
                    drop(leading);
                    seat.fail();
                }
                return returned;
            }
        };
        if let Some(mut lead) = lead {
            let value = (hands.share)(&loaded);
            lead.seat.land(Arc::clone(&value));
            let now = clock::now();
            let loaded = Loaded {
                value: &value,
                ttl: self.ttl_of(&value, now),
                took: now.saturating_duration_since(began),
            };
            self.advise(&loaded);
            self.keep_plain(lead, &loaded);
        }
        O::join(loaded)
    }

    fn take_plain_turn(&self) -> Turn {
        // Nothing may be kept, and so nothing shared.
        if !self.terms.near.allow() {
            return Turn::Alone;
        }
        let flights = &self.cache.plain_flights;
        let identity = self.kind.identity();
        let mut failures = 0;
        while failures < MAX_FAILED_FLIGHTS {
            let began = flights.ticket();
            let seen = Seen {
                near: self.cache.near.view(&self.key),
                remote: None,
                failed: false,
            };
            if let Some(value) = self.query().near() {
                return Turn::Found(value);
            }
            let joined = match self.terms.coalesce {
                Coalesce::Off => Joined::Lead(flights.lead(&self.key, identity)),
                _ => flights.join(&self.key, identity, &seen, began, None),
            };
            let follower = match joined {
                Joined::Lead(seat) => return self.take_plain_lead(seat, seen),
                Joined::Follow(follower) => follower,
                Joined::Apart => break,
            };
            let Some(_waiting) = Waiting::begin(follower.flight()) else {
                break;
            };
            match blocking::wait(follower.landing()) {
                Landing::Landed(value) => {
                    self.counters.coalesced.one();
                    return Turn::Found(value);
                }
                Landing::TakenOver(seat) => return Turn::Lead(Lead::new(seat)),
                Landing::Failed => failures += 1,
                Landing::Dissolved => {}
            }
        }
        Turn::Alone
    }

    pub(super) fn take_plain_lead(&self, mut seat: Seat, seen: Seen) -> Turn {
        seat.depart(seen.clone());
        // Whoever led before us may have filled since we looked. Who follows looks for himself, as in a call that can wait.
        if let Some(value) = self.query().near() {
            seat.dissolve();
            return Turn::Found(value);
        }
        seat.prepare(Cabin {
            seen,
            permit: Permit::Local,
        });
        Turn::Lead(Lead::new(seat))
    }

    fn keep_plain(&self, lead: Lead, loaded: &Loaded<'_>) {
        let Lead { leading, mut seat } = lead;
        drop(leading);
        let Some(Cabin { seen, .. }) = seat.take_cabin() else {
            return;
        };
        let life = loaded.ttl.min(self.cache.plain_bound(self.terms));
        if life.is_zero() {
            return;
        }
        let query = self.query();
        let entry = query.plain_entry(loaded.value, seen.near, (life, loaded.took));
        self.advise_on_size(entry.bytes);
        let near = &self.cache.near;
        if !seat.while_current(|| near.insert(self.key.as_str(), entry)) {
            self.refused();
        }
    }
}
