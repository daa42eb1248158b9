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
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{self, Instant};
use crate::entry::{self, Found, Parcel, Query};
use crate::flight::{Cabin, Joined, Landing, Seat};
use crate::inner::Inner;
use crate::key::Key;
use crate::lease::Permit;
use crate::log;
use crate::near::coherence::{MAX_LAG, Teller};
use crate::outcome::Outcome;
use crate::patience::Patience;
use crate::policy::{Coalesce, Terms};
use crate::remote::{self, Leave, Remote};
use crate::seen::Seen;
use crate::stats::Counters;
use crate::store::{Filled, Trouble};
use crate::value::{Hands, Kind, Shared};

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
    pub(crate) terms: Terms,
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
    pub(crate) async fn run<O: Outcome, F>(
        self: Box<Self>,
        hands: Hands<O::Value>,
        load: Pin<&mut F>,
    ) -> O::Returned
    where
        F: Future<Output = O::Returned>,
    {
        // Boxed, so that a cached function's future is hardly larger than its body's.
        let mut seat = match Box::pin(self.turn()).await {
            Turn::Found(value) => match (hands.take)(&value) {
                Some(value) => return O::join(value),
                None => return load.await,
            },
            Turn::Alone => return load.await,
            Turn::Lead(seat) => seat,
        };
        let began = clock::now();
        // What was returned must not live across the fill: an error that is not `Send` would make the future so.
        let loaded = match O::split(load.await) {
            Ok(loaded) => loaded,
            Err(returned) => {
                seat.fail();
                return returned;
            }
        };
        let value = (hands.share)(&loaded);
        seat.land(Arc::clone(&value));
        Box::pin(self.fill(seat, value, began)).await;
        O::join(loaded)
    }

    /// Finds the value, somebody who is loading it, or the seat of the one who loads.
    async fn turn(&self) -> Turn {
        let flights = &self.cache.flights;
        let mut failed = 0;
        while failed < MAX_FAILED_FLIGHTS {
            let began = flights.ticket();
            let (stale, seen) = match self.query().fetch().await {
                Found::Value(value) => return Turn::Found(value),
                Found::Stale(value, seen) => (Some(value), seen),
                Found::Nothing(seen) => (None, seen),
            };
            let type_id = (self.kind.type_id)();
            if self.goes_alone(&seen) {
                let seat = flights.lead(&self.key, type_id);
                return self.take_off(seat, seen, stale).await;
            }
            match (
                flights.join(&self.key, type_id, &seen, began, self.oldest(&seen)),
                stale,
            ) {
                (Joined::Lead(seat), stale) => return self.take_off(seat, seen, stale).await,
                // Somebody else is loading it anew.
                (_, Some(stale)) => return self.stale(stale),
                (Joined::Follow(follower), None) => match follower.landing().await {
                    Landing::Landed(value) => {
                        self.counters.coalesced.one();
                        return Turn::Found(value);
                    }
                    Landing::TakenOver(seat) if seat.is_prepared() => {
                        return self.counted_lead(seat);
                    }
                    Landing::TakenOver(seat) => return self.take_off(seat, seen, None).await,
                    Landing::Failed => failed += 1,
                },
                (Joined::Apart, None) => break,
            }
        }
        self.counters.misses.one();
        self.counters.loads.one();
        Turn::Alone
    }

    /// Whether nobody's load may be shared: because that is asked for; or because Redis did not answer, and so cannot have
    /// told of an invalidation by another process, and this function is never to return what one has ended.
    fn goes_alone(&self, seen: &Seen) -> bool {
        let blind = self.cache.remote.is_some() && seen.remote.is_none();
        self.terms.coalesce == Coalesce::Off || (blind && !self.terms.near.allow())
    }

    /// How long ago a load may have begun that this call may share; `None`: any that its view allows.
    fn oldest(&self, seen: &Seen) -> Option<Duration> {
        // Redis has not told of what other processes invalidate, and the process alone cannot know it.
        let blind = self.cache.remote.is_some() && seen.remote.is_none();
        blind.then_some(MAX_LAG)
    }

    pub(crate) fn query(&self) -> Query<'_> {
        Query {
            cache: &self.cache,
            key: &self.key,
            kind: self.kind,
            terms: self.terms,
            counters: &self.counters,
        }
    }

    /// From the lead to the leave to fill. `stale` is what may be returned where another process is loading.
    async fn take_off(&self, mut seat: Seat, mut seen: Seen, mut stale: Option<Shared>) -> Turn {
        let mut patience = Patience::new();
        let mut changes = 0;
        while changes < MAX_CHANGES {
            let (Some(remote), Some(seen_remote)) = (&self.cache.remote, &mut seen.remote) else {
                return self.take_off_locally(seat, seen);
            };
            let overtaken = seen_remote.overtaken();
            if let Err(trouble) = remote.renew(&self.key, seen_remote, self.kept()).await {
                return self.take_off_without_redis(seat, seen, &trouble);
            }
            let tells = seen_remote.teller.is_some();
            let token = remote::new_token();
            // From before the request, so that no fill between its answer and our waiting is missed.
            let waits = self.terms.coalesce == Coalesce::Fleet;
            let told = waits.then(|| self.cache.near.told(&self.key));
            // The flight stands until the answer: the body begins after it, so whoever asks meanwhile may come along,
            // also one that looked before the lease was there to be seen.
            match self.ask_leave(remote, &seen, token, overtaken).await {
                Ok(Leave::Granted(mut lease)) => {
                    lease.keep_alive();
                    let seen = seen.under(token);
                    seat.depart(seen.clone());
                    return self.lead(seat, seen, Permit::Leased(lease));
                }
                Ok(Leave::Held(holder)) => {
                    let seen = seen.under(holder);
                    seat.depart(seen.clone());
                    match (stale.take(), told) {
                        (Some(stale), _) => return self.stale(stale),
                        (None, Some(told)) => patience.wait(told, tells, remote.lease()).await,
                        (None, None) => return self.lead(seat, seen, Permit::None),
                    }
                }
                Ok(Leave::Changed) => {
                    changes += 1;
                    seat.depart(seen.clone());
                }
                Err(trouble) => return self.take_off_without_redis(seat, seen, &trouble),
            }
            // Departed before this look: whoever comes later may only share what it finds if he saw what we saw.
            (stale, seen) = match self.query().fetch().await {
                Found::Value(value) => {
                    seat.land(Arc::clone(&value));
                    return Turn::Found(value);
                }
                Found::Stale(value, again) => (Some(value), again),
                Found::Nothing(again) => (None, again),
            };
        }
        self.lead(seat, seen, Permit::None)
    }

    /// An expired value, while somebody loads a new one.
    fn stale(&self, value: Shared) -> Turn {
        self.counters.stale_served.one();
        Turn::Found(value)
    }

    async fn ask_leave(
        &self,
        remote: &Arc<Remote>,
        seen: &Seen,
        token: u64,
        overtaken: Option<u64>,
    ) -> Result<Leave, Trouble> {
        let stamp = seen.remote.as_ref().map(|seen| seen.stamp.as_slice());
        remote
            .acquire(&self.key, stamp.unwrap_or_default(), token, overtaken)
            .await
    }

    fn take_off_without_redis(&self, seat: Seat, mut seen: Seen, trouble: &Trouble) -> Turn {
        // Whether the lease was granted is not known, so nobody may take it for the sign of a load that nothing has overtaken.
        seen.remote = None;
        if *trouble != Trouble::Open {
            self.counters.errors.one();
        }
        self.take_off_locally(seat, seen)
    }

    fn take_off_locally(&self, mut seat: Seat, seen: Seen) -> Turn {
        seat.depart(seen.clone());
        // Whoever led before us may have filled since we looked.
        if let Some(value) = self.query().near() {
            seat.land(Arc::clone(&value));
            return Turn::Found(value);
        }
        self.lead(seat, seen, Permit::Local)
    }

    fn lead(&self, mut seat: Seat, seen: Seen, permit: Permit) -> Turn {
        seat.prepare(Cabin { seen, permit });
        self.counted_lead(seat)
    }

    fn counted_lead(&self, seat: Seat) -> Turn {
        self.counters.misses.one();
        self.counters.loads.one();
        Turn::Lead(seat)
    }

    /// How long the entry is to be there, the time included in which it has expired.
    fn kept(&self) -> Duration {
        let left = self.ttl.left(clock::now());
        left.saturating_add(self.terms.stale)
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
            Permit::None => {}
            Permit::Local => self.keep(&seat, &seen, &value, ttl),
            Permit::Leased(lease) => {
                let Some(remote) = &self.cache.remote else {
                    return;
                };
                let parcel = Parcel {
                    key: &self.key,
                    kind: self.kind,
                    value: &value,
                    ttl,
                    took: now.saturating_duration_since(began),
                };
                let packed = entry::generations(&seen).map(|seen| parcel.pack(&self.cache, seen));
                let Some(Ok(bytes)) = packed else {
                    self.counters.errors.one();
                    return;
                };
                let kept = ttl.saturating_add(self.terms.stale);
                let remote_seen = seen.remote.as_ref();
                let generations = remote_seen.map_or(&[][..], |seen| &seen.generations);
                match remote
                    .fill(&self.key, lease, generations, &bytes, kept)
                    .await
                {
                    Ok(Filled::Stored(teller)) => self.keep_stored(&seen, &value, ttl, teller),
                    Ok(Filled::Overtaken) => self.refused(),
                    Err(_) => self.counters.errors.one(),
                }
            }
        }
    }

    /// Keeps in process what was stored in Redis, if one connection tells of changes to all that it depends on.
    fn keep_stored(&self, seen: &Seen, value: &Shared, ttl: Duration, teller: Option<Arc<Teller>>) {
        let saw = seen.remote.as_ref().and_then(|seen| seen.teller.as_ref());
        let same = match (saw, &teller) {
            (Some(saw), Some(teller)) => Arc::ptr_eq(saw, teller),
            (None, None) => true,
            _ => false,
        };
        if same {
            let entry = (self.key.origin(), ttl);
            self.query().keep(value, entry, seen.near, teller);
        }
    }

    /// Keeps a value in process, where that is the tier in use.
    fn keep(&self, seat: &Seat, seen: &Seen, value: &Shared, ttl: Duration) {
        let Some(ttl) = self.cache.local_ttl(ttl, self.terms) else {
            return;
        };
        let entry = self
            .query()
            .near_entry(value, self.key.origin(), seen.near, ttl);
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
