//! One cached call, from key to fill. Read this first.
//!
//! ```text
//! near tier -> store -> single flight -> lease -> load -> fill
//! ```
//!
//! The order hides two traps. *Whom may one follow?* Only a leader that saw what we saw: see [`crate::flight`].
//! *Has somebody just finished?* Between our look-up and our taking the lead the last leader may have filled and left;
//! so the lease is only granted while the entry is the one that was seen, and the near tier is asked again.

mod act;
mod aged;
mod batch;
mod fill;
mod load;
mod look;
mod plain;
mod rules;
mod trace;
mod ttl;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::clock;
use crate::collection::Absent;
use crate::entry::{Aged, Found, Query};
use crate::flight::{Cabin, Follower, Joined, Landing, Seat, Ticket};
use crate::held::Held;
use crate::inner::Inner;
use crate::intent::Intent;
use crate::key::{Key, Unwritable};
use crate::lease::Permit;
use crate::limit::Limit;
use crate::log;
use crate::near::coherence::MAX_LAG;
use crate::patience::Patience;
use crate::policy::{Coalesce, Terms};
use crate::remote::{self, Leave, Remote};
use crate::seen::Seen;
use crate::site::CallSite;
use crate::stats::Counters;
use crate::store::Trouble;
use crate::traced::Trace;
use crate::value::{Kind, Shared};
pub(crate) use batch::Batch;
pub(crate) use rules::Ruling;
pub use rules::{Negative, Rules};
pub(crate) use ttl::Ttl;

/// Times a call goes back because the load it followed failed, before it loads for itself whatever others do.
const MAX_FAILED_FLIGHTS: usize = 2;

/// Times a leader looks again because the entry changed under it, before it loads without leave to fill.
const MAX_CHANGES: usize = 3;

/// One call: which entry of which cache, of what type, kept for how long.
#[derive(Clone)]
pub(crate) struct Call {
    /// `None` for a loader by hand.
    pub(crate) site: Option<&'static CallSite>,
    pub(crate) cache: Held<Arc<Inner>>,
    pub(crate) key: Key,
    pub(crate) kind: Kind,
    pub(crate) ttl: Ttl,
    /// What the value has to say of that.
    pub(crate) ruling: Option<Ruling>,
    pub(crate) terms: Terms,
    pub(crate) counters: Held<Arc<Counters>>,
    /// How many bodies of this function may run at once.
    pub(crate) limit: Option<Arc<Limit>>,
    /// What is to become of it, if not what becomes of any call.
    pub(crate) intent: Option<Arc<Intent>>,
}

/// A future of a part of a call. Boxed, so that a cached function's future is hardly larger than its body's; and without its
/// type, which the compiler would have to look through wherever one cached function calls another.
type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a call has to do.
enum Turn {
    /// Return this value.
    Found(Shared),
    Load(Load),
}

/// What came of following a flight.
enum Followed {
    Value(Shared),
    /// Its leader has left, the seat is ours.
    Lead(Seat),
    Failed,
    /// Look again.
    Nothing,
}

/// A load that is to be done.
struct Load {
    /// `None`: for oneself, and stored nowhere. Else for everybody who asks meanwhile.
    seat: Option<Seat>,
    /// What may be returned instead, under conditions.
    aged: Option<Aged>,
    /// Whether it is Redis that failed, so that nobody knows what there would have been.
    failed: bool,
}

impl Call {
    /// Finds the value, somebody who is loading it, or the seat of the one who loads.
    async fn take_turn(&self) -> Turn {
        let began = self.cache.flights.ticket();
        match self.look().await {
            Found::Value(value) => Turn::Found(value),
            // Boxed, so that a hit has a small future.
            found => self.go_on(began, found).await,
        }
    }

    /// The same for a call that has looked, and found nothing that it simply returns.
    fn go_on(&self, began: Ticket, found: Found) -> Boxed<'_, Turn> {
        Box::pin(self.take_turn_after(began, found))
    }

    /// The same for a call that has looked, having begun with this ticket.
    async fn take_turn_after(&self, began: Ticket, found: Found) -> Turn {
        let flights = &self.cache.flights;
        let identity = self.kind.identity();
        let (mut failures, mut changes) = (0, 0);
        let mut failed = false;
        let mut looked = Some((began, found));
        while failures < MAX_FAILED_FLIGHTS {
            let (began, found) = match looked.take() {
                Some(looked) => looked,
                None => (flights.ticket(), self.look().await),
            };
            let (mut aged, seen) = match found {
                Found::Value(value) => return Turn::Found(value),
                Found::Aged(aged, seen) => (Some(aged), seen),
                Found::Nothing(seen) => (None, seen),
            };
            failed = seen.failed;
            // What was loaded a moment ago failed.
            let failing = |aged: &mut Aged| failures > 0 && self.terms.return_on_error(aged.age);
            if let Some(aged) = aged.take_if(failing) {
                return self.aged(aged);
            }
            let joined = match self.goes_alone(&seen) {
                true => Joined::Lead(flights.lead(&self.key, identity)),
                false => flights.join(&self.key, identity, &seen, began, self.oldest(&seen)),
            };
            let seat = match joined {
                Joined::Lead(seat) => seat,
                joined => {
                    // Somebody else is loading it anew.
                    let meanwhile = |aged: &mut Aged| self.terms.return_while_loading(aged.age);
                    if let Some(aged) = aged.take_if(meanwhile) {
                        return self.aged(aged);
                    }
                    let Joined::Follow(follower) = joined else {
                        break;
                    };
                    match self.follow(follower, aged.as_ref()).await {
                        Followed::Value(value) => return Turn::Found(value),
                        Followed::Lead(seat) if seat.is_prepared() => {
                            return self.load(seat, aged, failed);
                        }
                        Followed::Lead(seat) => seat,
                        Followed::Failed => {
                            failures += 1;
                            continue;
                        }
                        Followed::Nothing => continue,
                    }
                }
            };
            match self.take_off(seat, *seen, aged, changes).await {
                Some(turn) => return turn,
                None => changes += 1,
            }
        }
        Turn::Load(Load::alone(failed))
    }

    /// Waits for the flight, no longer than one waits who has something else to return.
    async fn follow(&self, follower: Follower, aged: Option<&Aged>) -> Followed {
        let landing = match self.patience(aged) {
            Some(limit) => clock::within(limit, follower.landing()).await,
            None => Some(follower.landing().await),
        };
        match landing {
            // A batch found that there is nothing, which is no value of this function.
            Some(Landing::Landed(value)) if value.is::<Absent>() => Followed::Failed,
            Some(Landing::Landed(value)) => {
                self.counters.coalesced.one();
                self.note(Trace::loaded().of_another_call());
                Followed::Value(value)
            }
            Some(Landing::TakenOver(seat)) => Followed::Lead(seat),
            Some(Landing::Failed) => Followed::Failed,
            Some(Landing::Dissolved) => Followed::Nothing,
            None => match self.instead().await {
                Some(value) => Followed::Value(value),
                None => Followed::Nothing,
            },
        }
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
            kind: &self.kind,
            terms: &self.terms,
            counters: &self.counters,
            trace: self.tracing(),
        }
    }

    /// From the lead to the leave to fill; `None`: look again, since the entry is another than the one that was seen.
    /// `aged` is what may be returned where another process is loading, `changes` how often the entry was another.
    async fn take_off(
        &self,
        mut seat: Seat,
        mut seen: Seen,
        mut aged: Option<Aged>,
        changes: usize,
    ) -> Option<Turn> {
        // In a fleet whoever does not get the lease waits, so nobody has to give up.
        if changes >= MAX_CHANGES && self.terms.coalesce != Coalesce::Fleet {
            seat.depart(seen.clone());
            return Some(self.lead(seat, seen, aged, Permit::None));
        }
        let mut patience = Patience::new();
        let began = clock::now();
        loop {
            // Before what is missing is created.
            let overtaken = self.overtakes(&seen);
            let before = self.stamp(&seen);
            let (Some(remote), Some(seen_remote)) = (&self.cache.remote, &mut seen.remote) else {
                return Some(self.take_off_locally(seat, seen, aged));
            };
            if let Err(trouble) = remote.renew(&self.key, seen_remote, self.kept()).await {
                return Some(self.take_off_without_redis(seat, seen, aged, &trouble));
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
                    return Some(self.lead(seat, seen, aged, Permit::Leased(lease)));
                }
                Ok(Leave::Held(holder)) => {
                    let seen = seen.under(holder);
                    seat.depart(seen.clone());
                    if let Some(aged) = aged.take_if(|aged| self.is_waited_enough(aged, began)) {
                        return Some(self.aged(aged));
                    }
                    match told {
                        Some(told) => {
                            let limit = self.patience(aged.as_ref());
                            let longest = limit.unwrap_or(Duration::MAX).min(remote.lease());
                            patience.wait(told, tells, longest).await;
                        }
                        None => return Some(self.lead(seat, seen, aged, Permit::None)),
                    }
                }
                // Nobody could tell any more who may share what this flight loads, so everybody begins anew.
                Ok(Leave::Changed) => {
                    seat.dissolve();
                    return None;
                }
                Err(trouble) => {
                    return Some(self.take_off_without_redis(seat, seen, aged, &trouble));
                }
            }
            // Departed before this look: whoever comes later may only share what it finds if he saw what we saw. Of Redis alone:
            // where that does not answer, we go on as we would have without it.
            (aged, seen) = match self.look_again(before).await {
                Found::Value(value) => {
                    seat.land(Arc::clone(&value));
                    return Some(Turn::Found(value));
                }
                Found::Aged(aged, again) => (Some(aged), *again),
                Found::Nothing(again) => (None, *again),
            };
        }
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

    fn take_off_without_redis(
        &self,
        seat: Seat,
        mut seen: Seen,
        aged: Option<Aged>,
        trouble: &Trouble,
    ) -> Turn {
        // Whether the lease was granted is not known, so nobody may take it for the sign of a load that nothing has overtaken.
        seen.remote = None;
        if trouble.is_failure() {
            self.counters.errors.one();
        }
        self.take_off_locally(seat, seen, aged)
    }

    fn take_off_locally(&self, seat: Seat, seen: Seen, aged: Option<Aged>) -> Turn {
        seat.depart(seen.clone());
        // Whoever led before us may have filled since we looked. Who follows looks for himself: an invalidation that has
        // detached what flew before us, and not yet removed what we find, knows nothing of this flight.
        if let Some(value) = self.query().near() {
            seat.dissolve();
            return Turn::Found(value);
        }
        self.lead(seat, seen, aged, Permit::Local)
    }

    fn lead(&self, mut seat: Seat, seen: Seen, aged: Option<Aged>, permit: Permit) -> Turn {
        let failed = seen.failed;
        seat.prepare(Cabin { seen, permit });
        self.load(seat, aged, failed)
    }

    fn load(&self, seat: Seat, aged: Option<Aged>, failed: bool) -> Turn {
        Turn::Load(Load {
            seat: Some(seat),
            aged,
            failed,
        })
    }

    /// An entry that cannot be invalidated by all of its tags must not be kept.
    pub(crate) fn cannot_be_tagged(&self, problem: &Unwritable) {
        self.counters.errors.one();
        let no_tag = || log::no_tag(self.key.as_str(), problem);
        self.cache.unwritable(problem, no_tag);
    }

    /// How long the entry is to be there, the time included in which it has expired.
    fn kept(&self) -> Duration {
        let left = self.ttl.left(clock::now());
        left.saturating_add(self.terms.stale.longest())
    }
}

#[cfg(test)]
mod tests;
