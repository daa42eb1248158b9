//! Many calls that one body loads. Each has its own entry, flight and lease, as if it were alone; what they ask of Redis
//! travels together.
//!
//! A batch leads some flights and follows others, so two of them may wait for each other. Neither does: *what a batch leads
//! it loads before it waits for anybody*. What then has failed elsewhere it loads with another run of its body. Where the
//! body can run only once, it is not run before nobody else is loading any of the rest, and until then the batch leads nothing.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::{Boxed, Call, Load, MAX_FAILED_FLIGHTS, Turn};
use crate::clock::Instant;
use crate::collection::Absent;
use crate::entry::{Found, fetch_many};
use crate::flight::{Joined, Landing, Seat};
use crate::limit::{self, Place};
use crate::seen::Seen;
use crate::together::{Part, together};
use crate::traced::Trace;
use crate::value::Shared;

/// Calls that ask for leave to fill, or fill, at once: what one body loads may be any number.
const AT_ONCE: usize = 256;

/// The calls of one batch that the process could not answer.
pub(crate) struct Batch {
    members: Vec<Member>,
    /// Whether the body can be run more than once.
    repeats: bool,
    /// Whether an id may have no value.
    lacks: bool,
    /// How often somebody was followed whose load failed.
    failures: usize,
}

/// One call of a batch.
struct Member {
    call: Call,
    stage: Stage,
    /// How often its entry was another than the one that was seen.
    changes: usize,
}

/// How far a call has come.
enum Stage {
    /// It is to be looked up.
    Asked,
    Leads(Seat, Seen),
    Follows(Pin<Box<dyn Future<Output = Landing> + Send>>),
    /// It is to be loaded.
    Loads(Load),
    Has(Shared),
    /// The body has spoken.
    Done,
}

impl Batch {
    /// Calls of different keys in one cache.
    pub(crate) fn new(calls: Vec<Call>, repeats: bool, lacks: bool) -> Self {
        let members = calls.into_iter().map(|call| Member {
            call,
            stage: Stage::Asked,
            changes: 0,
        });
        Self {
            members: members.collect(),
            repeats,
            lacks,
            failures: 0,
        }
    }

    /// Brings every call to its value, to the flight that it follows, or to where it is to be loaded.
    pub(crate) fn turn(&mut self) -> Boxed<'_, ()> {
        Box::pin(async {
            while self.any(|stage| matches!(stage, Stage::Asked)) {
                self.look_up_and_join().await;
                if !self.repeats && self.any(|stage| matches!(stage, Stage::Follows(_))) {
                    self.follow_first().await;
                    continue;
                }
                self.take_off().await;
            }
        })
    }

    fn any(&self, is_there: impl Fn(&Stage) -> bool) -> bool {
        self.members.iter().any(|member| is_there(&member.stage))
    }

    async fn look_up_and_join(&mut self) {
        let Some(first) = self.members.first() else {
            return;
        };
        let began = first.call.cache.flights.ticket();
        let asked = self.members.iter_mut();
        let mut asked: Vec<_> = asked
            .filter(|member| matches!(member.stage, Stage::Asked))
            .collect();
        // In an order that all batches have: where one stops at a flight that it has to follow, none of them has what another needs.
        asked.sort_by(|one, other| one.call.key.as_str().cmp(other.call.key.as_str()));
        let queries: Vec<_> = asked.iter().map(|member| member.call.query()).collect();
        let found = fetch_many(&queries).await;
        let gives_up = self.failures >= MAX_FAILED_FLIGHTS;
        let mut follows = false;
        for (member, found) in asked.into_iter().zip(found) {
            let call = &member.call;
            let seen = match found {
                Found::Value(value) => {
                    member.stage = Stage::Has(value);
                    continue;
                }
                // Nobody keeps values past their expiry for a batch.
                Found::Aged(_, seen) | Found::Nothing(seen) => seen,
            };
            if follows && !self.repeats {
                continue;
            }
            let (flights, identity) = (&call.cache.flights, call.kind.identity());
            let joined = match call.goes_alone(&seen) {
                _ if gives_up => Joined::Apart,
                true => Joined::Lead(flights.lead(&call.key, identity)),
                false => flights.join(&call.key, identity, &seen, began, call.oldest(&seen)),
            };
            member.stage = match joined {
                Joined::Lead(seat) => Stage::Leads(seat, *seen),
                Joined::Follow(follower) => {
                    follows = true;
                    Stage::Follows(Box::pin(follower.landing()))
                }
                Joined::Apart => Stage::Loads(Load::alone(seen.failed)),
            };
        }
    }

    /// Waits for those that others load, and leads nothing meanwhile.
    async fn follow_first(&mut self) {
        for member in &mut self.members {
            let holds = match &member.stage {
                Stage::Leads(..) => true,
                Stage::Loads(load) => load.seat.is_some(),
                Stage::Asked | Stage::Follows(_) | Stage::Has(_) | Stage::Done => false,
            };
            if holds {
                member.stage = Stage::Asked;
            }
        }
        self.follow().await;
    }

    /// From the leads to the leaves to fill, for all of them at once.
    async fn take_off(&mut self) {
        let leading = self.members.iter_mut();
        let mut leading: Vec<_> = leading
            .filter(|member| matches!(member.stage, Stage::Leads(..)))
            .collect();
        for some in leading.chunks_mut(AT_ONCE) {
            let parts = some
                .iter_mut()
                .map(|member| -> Part<'_> { Box::pin(member.take_off()) });
            together(parts.collect()).await;
        }
    }

    /// The calls that are to be loaded, by their places.
    pub(crate) fn loads(&self) -> Vec<usize> {
        let members = self.members.iter().enumerate();
        let loads = members.filter(|(_, member)| matches!(member.stage, Stage::Loads(_)));
        loads.map(|(place, _)| place).collect()
    }

    /// Counts what is to be loaded, and waits until one more body may run.
    pub(crate) async fn ready(&mut self) -> Place {
        for member in &self.members {
            if let Stage::Loads(load) = &member.stage {
                member.call.count_miss(load);
            }
        }
        let Some(Member { call, .. }) = self.members.first_mut() else {
            return Place::outside();
        };
        call.counters.loads.one();
        let limits = [call.limit.as_deref(), call.cache.limit.as_ref()];
        match limit::try_enter(limits) {
            Some(place) => place,
            None => limit::enter(limits, call.cache.config.max_load_wait).await,
        }
    }

    /// Notes what the body returned, for whoever asks.
    pub(crate) fn note_load<T, E>(&self, loaded: &Result<T, E>) {
        if let Some(Member { call, .. }) = self.members.first() {
            call.note_load(loaded);
        }
    }

    /// The body has failed: whoever waits for what it was to load looks again.
    pub(crate) fn fail(&mut self) {
        for member in &mut self.members {
            if let Some(Load {
                seat: Some(seat), ..
            }) = member.load()
            {
                seat.fail();
            }
        }
    }

    /// What the body has returned for those that were to be loaded, in their order: given to whoever waits for it, and then
    /// stored.
    pub(crate) fn land(&mut self, values: Vec<Option<Shared>>, began: Instant) -> Boxed<'_, ()> {
        let loading = self.members.iter_mut();
        let loading = loading.filter_map(|member| {
            let load = member.load()?;
            Some((&member.call, load))
        });
        let parts = loading.zip(values).filter_map(|((call, load), value)| {
            let mut seat = load.seat?;
            let Some(value) = value else {
                seat.land(Arc::new(Absent));
                let part: Part<'_> = Box::pin(async {
                    drop(seat);
                    call.forget_the_old().await;
                });
                return Some(part);
            };
            seat.land(Arc::clone(&value));
            Some(call.fill(seat, value, began))
        });
        let mut parts: Vec<_> = parts.collect();
        Box::pin(async move {
            while !parts.is_empty() {
                let rest = parts.split_off(parts.len().min(AT_ONCE));
                together(std::mem::replace(&mut parts, rest)).await;
            }
        })
    }

    /// Waits for what others load: until all of it is there, or some of it is this batch's to load.
    pub(crate) async fn follow(&mut self) {
        let mut failed = false;
        poll_fn(|context| {
            let (mut waits, mut loads) = (false, false);
            for member in &mut self.members {
                waits |= member.follow(context, self.repeats, self.lacks, &mut failed);
                loads |= matches!(member.stage, Stage::Loads(_));
            }
            match waits && !(loads && self.repeats) {
                true => Poll::Pending,
                false => Poll::Ready(()),
            }
        })
        .await;
        self.failures += usize::from(failed);
    }

    /// Whether no call waits for anything.
    pub(crate) fn is_done(&self) -> bool {
        !self.any(|stage| !matches!(stage, Stage::Has(_) | Stage::Done))
    }

    /// What was found of every call whose value the body was not asked for.
    pub(crate) fn found(&self) -> impl Iterator<Item = Option<&Shared>> {
        self.members.iter().map(|member| match &member.stage {
            Stage::Has(value) => Some(value),
            _ => None,
        })
    }
}

impl Member {
    async fn take_off(&mut self) {
        let Stage::Leads(seat, seen) = std::mem::replace(&mut self.stage, Stage::Asked) else {
            return;
        };
        match self.call.take_off(seat, seen, None, self.changes).await {
            Some(Turn::Load(load)) => self.stage = Stage::Loads(load),
            Some(Turn::Found(value)) => self.stage = Stage::Has(value),
            None => self.changes += 1,
        }
    }

    /// The load that this call is to be done by, once.
    fn load(&mut self) -> Option<Load> {
        match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Loads(load) => Some(load),
            stage => {
                self.stage = stage;
                None
            }
        }
    }

    /// Looks whether the flight that this call follows has ended; answers whether it waits on.
    fn follow(
        &mut self,
        context: &mut Context<'_>,
        repeats: bool,
        lacks: bool,
        failed: &mut bool,
    ) -> bool {
        let Stage::Follows(landing) = &mut self.stage else {
            return false;
        };
        let Poll::Ready(landing) = landing.as_mut().poll(context) else {
            return true;
        };
        self.stage = match landing {
            Landing::Landed(value) if lacks || !value.is::<Absent>() => {
                self.call.counters.coalesced.one();
                self.call.note(Trace::loaded().of_another_call());
                Stage::Has(value)
            }
            // Its lease is not given back for nothing. A body that runs once is not run before the others have ended.
            Landing::TakenOver(seat) if repeats && seat.is_prepared() => {
                Stage::Loads(Load::of(seat))
            }
            Landing::TakenOver(_) | Landing::Dissolved => Stage::Asked,
            Landing::Landed(_) | Landing::Failed => {
                *failed = true;
                Stage::Asked
            }
        };
        false
    }
}
