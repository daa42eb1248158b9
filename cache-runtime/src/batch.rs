//! A call of a batch function: its ids, found one by one, and its body, run with those that nobody has.

mod asked;
mod spare;

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use crate::__private::{Tags, alone, proceed};
use crate::call::{Batch as Calls, Call, Rules, Ttl};
use crate::clock;
use crate::collection::{Collection, Holding};
use crate::global;
use crate::intent::{self, Purpose, Reached, Unnamed};
use crate::key::KeyWriter;
use crate::log;
use crate::outcome::Outcome;
use crate::site::CallSite;
use crate::value::Kind;
use asked::{Asked, Site};
pub use spare::{Sort, Spare, ViaClone, ViaMove};

/// One call of a batch function that was not answered at once. `V` is the value of an id, `T` what its entry holds.
pub struct Batch<Id, O: Outcome, V, T> {
    /// As they were given.
    ids: Vec<Id>,
    /// `None`: the body is run with all of them, and nothing is cached.
    asked: Option<Asked<Id, O::Value, V>>,
    holds: PhantomData<fn() -> T>,
}

type ValueOf<Id, O> = <<O as Outcome>::Value as Collection<Id>>::Value;
type HeldBy<Id, O, H> = <H as Holding<Id, <O as Outcome>::Value>>::Held;

/// What the process answered, or what is to be run.
type Begun<Id, O, H> =
    ControlFlow<<O as Outcome>::Returned, Batch<Id, O, ValueOf<Id, O>, HeldBy<Id, O, H>>>;

/// Begins a call: writes the key of every id, and answers at once where the process has all of them.
pub fn batch<Id, O, H, K>(
    bypass: bool,
    site: &'static CallSite,
    _outcome: O,
    _holding: H,
    ids: &[Id],
    key: K,
) -> Begun<Id, O, H>
where
    Id: Clone,
    O: Outcome,
    O::Value: Collection<Id>,
    H: Holding<Id, O::Value>,
    K: Fn(&mut KeyWriter<'_>, &Id),
{
    let intent = intent::take(true);
    let uncached = |reached: Reached| {
        if let Some(intent) = &intent {
            intent.reach(reached);
        }
        proceed(intent.as_ref());
        ControlFlow::Continue(Batch::of(ids.to_vec(), None))
    };
    let (cache, bypasses_all) = global::current(site.policy().cache);
    let Some(cache) = cache else {
        let none = site.policy().cache.unwrap_or_default();
        return uncached(Reached::NoCache(none));
    };
    let cache = cache.inner();
    let unnamed = |problem: String| {
        Reached::Unnamed(Unnamed {
            problem,
            cache: Arc::clone(cache),
            prefix: site.prefix(),
        })
    };
    match intent.as_deref().map(|intent| intent.purpose) {
        Some(Purpose::Name | Purpose::Peek) => {
            let problem = "it is one of many ids, each of which has an entry of its own";
            return uncached(unnamed(problem.to_owned()));
        }
        _ if bypass || bypasses_all || !cache.is_enabled() => {
            return uncached(Reached::Nothing);
        }
        Some(Purpose::Trace | Purpose::Warm) => {
            intent.iter().for_each(|intent| intent.gather());
        }
        Some(Purpose::Refresh) | None => {}
    }
    let bound = cache.bound(site);
    let begun = Site {
        site,
        cache,
        bound: &bound,
        kind: Kind::of::<H::Held>().in_version(site.policy().version),
        intent: intent.as_ref(),
    };
    let mut text = String::new();
    let asked = match begun.ask::<Id, O::Value, H, K>(&mut text, ids, key) {
        Ok(asked) => asked,
        Err(problem) => {
            bound.counters.errors.one();
            cache.unwritable(&problem, || log::no_key(site.function(), &problem));
            return uncached(unnamed(problem.to_string()));
        }
    };
    proceed(intent.as_ref());
    let ids = ids.to_vec();
    match asked.calls.is_empty() {
        true => ControlFlow::Break(O::join(asked.finish(ids))),
        false => ControlFlow::Continue(Batch::of(ids, Some(asked))),
    }
}

impl<Id, O: Outcome, V, T> Batch<Id, O, V, T> {
    fn of(ids: Vec<Id>, asked: Option<Asked<Id, O::Value, V>>) -> Self {
        let holds = PhantomData;
        Self { ids, asked, holds }
    }

    /// Sets a ttl that was computed for this call. It runs from now on, not from the end of the load.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        let ttl = Ttl::Until(clock::after(clock::now(), ttl));
        self.calls().for_each(|(_, call)| call.ttl = ttl);
        self
    }

    /// Says what the value of an entry is asked before it is kept.
    #[must_use]
    pub fn rules(mut self, name: impl FnOnce(&mut Rules<T>)) -> Self
    where
        T: 'static,
    {
        let mut rules = Rules::new();
        name(&mut rules);
        let ruling = rules.ruling();
        let calls = self.calls();
        calls.for_each(|(_, call)| call.ruling = Some(Arc::clone(&ruling)));
        self
    }

    /// Names the tags of the entry of an id.
    #[must_use]
    pub fn tags(mut self, name: impl Fn(&mut Tags<'_>, &Id)) -> Self {
        let mut untagged = false;
        for (id, call) in self.calls() {
            match Tags::of(&call.cache, |tags| name(tags, id)) {
                Ok(groups) => call.key = call.key.clone().with_tags(Some(groups)),
                Err(problem) => {
                    call.cannot_be_tagged(&problem);
                    untagged = true;
                    break;
                }
            }
        }
        self.asked = self.asked.filter(|_| !untagged);
        self
    }

    fn calls(&mut self) -> impl Iterator<Item = (&Id, &mut Call)> {
        let ids = &self.ids;
        let calls = self.asked.iter_mut().flat_map(|asked| &mut asked.calls);
        calls.filter_map(|(place, _, call)| Some((ids.get(*place)?, call)))
    }

    /// Returns what is cached of the ids, and what the body returns for the others. The body may be run again for what was
    /// to be loaded by somebody else and was not, unless it runs only once.
    ///
    /// # Cancellation
    /// Dropping this drops the body; whoever waits for the same ids takes over.
    pub async fn run<L, B>(mut self, repeats: bool, mut load: L) -> O::Returned
    where
        Id: Clone,
        L: FnMut(Vec<Id>) -> B,
        B: Future<Output = O::Returned>,
    {
        match self.asked.take() {
            // Boxed, so that a cached function's future is hardly larger than its body's.
            Some(asked) => Box::pin(self.run_cached(asked, repeats, load)).await,
            None => alone(load(self.ids)).await,
        }
    }

    async fn run_cached<L, B>(
        self,
        mut asked: Asked<Id, O::Value, V>,
        repeats: bool,
        mut load: L,
    ) -> O::Returned
    where
        Id: Clone,
        L: FnMut(Vec<Id>) -> B,
        B: Future<Output = O::Returned>,
    {
        let asks = std::mem::take(&mut asked.calls);
        let places: Vec<_> = asks.iter().map(|(place, key, _)| (*place, *key)).collect();
        let calls = asks.into_iter().map(|(.., call)| call).collect();
        let mut calls = Calls::new(calls, repeats, asked.grip.lacks);
        loop {
            calls.turn().await;
            let loads = calls.loads();
            let loads = loads.iter().filter_map(|load| places.get(*load).copied());
            let loads: Vec<_> = loads.collect();
            if !loads.is_empty()
                && let Err(returned) = self.load(&mut asked, &mut calls, loads, &mut load).await
            {
                return returned;
            }
            if calls.is_done() {
                break;
            }
            calls.follow().await;
        }
        for (found, (_, key)) in calls.found().zip(places) {
            if let (Some(found), Some(known)) = (found, asked.known.get_mut(key)) {
                *known = (asked.grip.take)(found);
            }
        }
        O::join(asked.finish(self.ids))
    }

    /// Runs the body for some of the ids, and stores what it returned for each.
    ///
    /// # Errors
    /// What the body returned, where that is not a value for each.
    async fn load<L, B>(
        &self,
        asked: &mut Asked<Id, O::Value, V>,
        calls: &mut Calls,
        loads: Vec<(usize, usize)>,
        load: &mut L,
    ) -> Result<(), O::Returned>
    where
        Id: Clone,
        L: FnMut(Vec<Id>) -> B,
        B: Future<Output = O::Returned>,
    {
        let missing = loads.iter().filter_map(|(place, _)| self.ids.get(*place));
        let missing: Vec<Id> = missing.cloned().collect();
        let place = calls.ready().await;
        let began = clock::now();
        // What was returned must not live across the fill: an error that is not `Send` would make the future so.
        let split = O::split(place.run(load(missing.clone())).await);
        calls.note_load(&split);
        let apart = match split {
            Ok(loaded) => (asked.grip.take_apart)(loaded, &missing),
            Err(returned) => {
                calls.fail();
                return Err(returned);
            }
        };
        let values = match apart {
            Ok(values) => values,
            Err(whole) => {
                calls.fail();
                asked.bound.counters.errors.one();
                log::misfits(asked.site.function());
                return Err(O::join(whole));
            }
        };
        let shared = values
            .iter()
            .map(|value| (asked.grip.share)(value.as_ref()));
        let landing = calls.land(shared.collect(), began);
        for ((_, key), value) in loads.into_iter().zip(values) {
            if let Some(known) = asked.known.get_mut(key) {
                *known = Some(value);
            }
        }
        landing.await;
        Ok(())
    }
}

impl<Id, O: Outcome, V, T> fmt::Debug for Batch<Id, O, V, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("ids", &self.ids.len())
            .finish_non_exhaustive()
    }
}
