//! One cached call, from key to fill. Read this first.
//!
//! ```text
//! near tier -> store -> single flight -> lease -> load -> fill
//! ```
//!
//! The order hides two traps. *Whom may one follow?* Only a leader that saw what we saw: see [`crate::flight`].
//! *Has somebody just finished?* Between our look-up and our taking the lead the last leader may have filled and left;
//! so the lease is only granted while the entry is the one that was seen, and the near tier is asked again.

use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{self, Instant};
use crate::entry::{self, Found};
use crate::flight::{Cabin, Joined, Landing, Seat};
use crate::inner::Inner;
use crate::key::Key;
use crate::lease::Permit;
use crate::log;
use crate::near::Entry;
use crate::outcome::Outcome;
use crate::remote::{self, Leave};
use crate::seen::{Seen, SeenRemote};
use crate::stats::Counters;
use crate::value::{self, Kind, Shared};

/// Times a call goes back because the load it followed failed, before it loads for itself whatever others do.
const MAX_FAILED_FLIGHTS: usize = 2;

/// Times a leader looks again because the entry changed under it, before it loads without leave to fill.
const MAX_CHANGES: usize = 3;

/// One call: which entry of which cache, of what type, kept for how long.
pub(crate) struct Call {
    pub(crate) cache: Arc<Inner>,
    pub(crate) key: Key,
    pub(crate) kind: Kind,
    pub(crate) ttl: Ttl,
    pub(crate) counters: Arc<Counters>,
}

/// How long the entry lives.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ttl {
    /// From the fill on.
    Fixed(Duration),
    /// Until then, since it was computed for this call.
    Until(Instant),
}

/// What a call has to do.
enum Turn {
    /// Return this value.
    Found(Shared),
    /// Load, for everybody who asks meanwhile.
    Lead(Seat),
    /// Load for oneself.
    Alone,
}

impl Call {
    /// Runs the call: returns a cached value, or what `load` returns.
    pub(crate) async fn run<O: Outcome, F>(self, load: Pin<&mut F>) -> O::Returned
    where
        F: Future<Output = O::Returned>,
    {
        // Boxed, so that a cached function's future is hardly larger than its body's.
        let mut seat = match Box::pin(self.turn()).await {
            Turn::Found(value) => match value::take::<O::Value>(&value) {
                Some(value) => return O::join(value),
                None => return load.await,
            },
            Turn::Alone => return load.await,
            Turn::Lead(seat) => seat,
        };
        let began = clock::now();
        match O::split(load.await) {
            Ok(loaded) => {
                let value: Shared = Arc::new(loaded.clone());
                seat.land(Arc::clone(&value));
                Box::pin(self.fill(seat, value, began)).await;
                O::join(loaded)
            }
            Err(returned) => {
                seat.fail();
                returned
            }
        }
    }

    /// Finds the value, somebody who is loading it, or the seat of the one who loads.
    async fn turn(&self) -> Turn {
        let flights = &self.cache.flights;
        for _ in 0..MAX_FAILED_FLIGHTS {
            let began = flights.ticket();
            let seen = match self.look_up().await {
                Found::Value(value) => return Turn::Found(value),
                Found::Nothing(seen) => seen,
            };
            match flights.join(&self.key, (self.kind.type_id)(), &seen, began) {
                Joined::Lead(seat) => return self.take_off(seat, seen).await,
                Joined::Follow(follower) => match follower.landing().await {
                    Landing::Landed(value) => {
                        self.counters.coalesced.one();
                        return Turn::Found(value);
                    }
                    Landing::TakenOver(seat) if seat.is_prepared() => return self.lead(seat),
                    Landing::TakenOver(seat) => return self.take_off(seat, seen).await,
                    Landing::Failed => {}
                },
                Joined::Apart => break,
            }
        }
        self.counters.misses.one();
        self.counters.loads.one();
        Turn::Alone
    }

    async fn look_up(&self) -> Found {
        entry::look_up(&self.cache, &self.key, self.kind, &self.counters).await
    }

    /// From the lead to the leave to fill.
    async fn take_off(&self, mut seat: Seat, mut seen: Seen) -> Turn {
        for _ in 0..MAX_CHANGES {
            let token = remote::new_token();
            seat.depart(departing(&seen, token));
            let Some(seen_remote) = &mut seen.remote else {
                return self.take_off_locally(seat, seen);
            };
            let permit = match self.ask_leave(seen_remote, token).await {
                ControlFlow::Break(permit) => permit,
                ControlFlow::Continue(()) => match self.look_up().await {
                    Found::Value(value) => {
                        seat.land(Arc::clone(&value));
                        return Turn::Found(value);
                    }
                    Found::Nothing(again) => {
                        seen = again;
                        continue;
                    }
                },
            };
            if let Permit::Held(holder) = permit {
                seat.runs_under(holder);
            }
            seat.prepare(Cabin { seen, permit });
            return self.lead(seat);
        }
        let permit = Permit::None;
        seat.prepare(Cabin { seen, permit });
        self.lead(seat)
    }

    /// Continues where the entry changed since it was seen.
    async fn ask_leave(&self, seen: &mut SeenRemote, token: u64) -> ControlFlow<Permit> {
        let Some(remote) = &self.cache.remote else {
            return ControlFlow::Break(Permit::None);
        };
        let ttl = self.ttl.left(clock::now());
        match remote.acquire(&self.key, seen, token, ttl).await {
            Ok(Leave::Granted(lease)) => ControlFlow::Break(Permit::Leased(lease)),
            Ok(Leave::Held(holder)) => ControlFlow::Break(Permit::Held(holder)),
            Ok(Leave::Changed) => ControlFlow::Continue(()),
            Err(_) => {
                self.counters.errors.one();
                ControlFlow::Break(Permit::Local)
            }
        }
    }

    fn take_off_locally(&self, mut seat: Seat, seen: Seen) -> Turn {
        // Whoever led before us may have filled since we looked.
        if let Some(value) = entry::near(&self.cache, &self.key, self.kind) {
            self.counters.near_hits.one();
            seat.land(Arc::clone(&value));
            return Turn::Found(value);
        }
        let permit = Permit::Local;
        seat.prepare(Cabin { seen, permit });
        self.lead(seat)
    }

    fn lead(&self, seat: Seat) -> Turn {
        self.counters.misses.one();
        self.counters.loads.one();
        Turn::Lead(seat)
    }

    /// Stores what was loaded, where the leader's permit allows it.
    async fn fill(&self, mut seat: Seat, value: Shared, began: Instant) {
        let now = clock::now();
        let ttl = self.ttl.left(now);
        let Some(Cabin { seen, permit }) = seat.take_cabin() else {
            return;
        };
        if ttl.is_zero() {
            return;
        }
        match permit {
            Permit::None | Permit::Held(_) => {}
            Permit::Local => self.keep(&seat, &seen, value, ttl),
            Permit::Leased(lease) => {
                let Some(remote) = &self.cache.remote else {
                    return;
                };
                let took = now.saturating_duration_since(began);
                let packed =
                    entry::pack(&self.cache, &self.key, self.kind, &seen, &value, ttl, took);
                let Some(bytes) = packed else {
                    self.counters.errors.one();
                    return;
                };
                match remote.fill(&self.key, lease, &bytes, ttl).await {
                    Ok(true) => {}
                    Ok(false) => self.refused(),
                    Err(_) => self.counters.errors.one(),
                }
            }
        }
    }

    /// Keeps a value in process, where that is the tier in use.
    fn keep(&self, seat: &Seat, seen: &Seen, value: Shared, ttl: Duration) {
        let Some(ttl) = self.cache.local_ttl(ttl) else {
            return;
        };
        let entry = Entry {
            bytes: (self.kind.weigh)(&value),
            type_id: (self.kind.type_id)(),
            origin: self.key.origin(),
            epoch: seen.epoch,
            expires: clock::after(clock::now(), ttl),
            value,
        };
        let near = &self.cache.near;
        if !seat.while_current(|| near.insert(self.key.shared(), entry)) {
            self.refused();
        }
    }

    fn refused(&self) {
        self.counters.refused_fills.one();
        log::fill_refused(self.key.as_str());
    }
}

impl Ttl {
    fn left(self, now: Instant) -> Duration {
        match self {
            Self::Fixed(ttl) => ttl,
            Self::Until(end) => end.saturating_duration_since(now),
        }
    }
}

/// What a leader that is about to ask for this lease will have seen.
fn departing(seen: &Seen, token: u64) -> Seen {
    let mut departing = seen.clone();
    if let Some(remote) = &mut departing.remote {
        remote.lease = Some(token);
    }
    departing
}
