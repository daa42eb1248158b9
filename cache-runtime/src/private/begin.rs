//! The beginning of a call, up to its hit in process: what is the same for all types.

use std::any::TypeId;
use std::sync::Arc;

use crate::cache::Cache;
use crate::call::{Call as CachedCall, Ttl};
use crate::entry as entries;
use crate::global;
use crate::held::Held;
use crate::inner::Inner;
use crate::intent::{self, Intent, Purpose, Reached, Unnamed};
use crate::key::raw::{Check, Notes, Raw};
use crate::key::{Key, KeyWriter, Unwritable, give_back, spare};
use crate::log;
use crate::near::{self, Asker, Caller};
use crate::site::{Bound, CallSite, Instance};
use crate::value::{Identity, Kind, Shared};
use crate::variable;

/// A call that begins, whatever its types.
pub(super) struct Beginning<'a> {
    pub(super) bypass: bool,
    pub(super) site: &'static CallSite,
    /// Names the instantiation of the function.
    pub(super) instance: &'static str,
    pub(super) kind: &'static Kind,
    pub(super) type_id: TypeId,
    /// Writes the arguments.
    pub(super) write: &'a dyn Fn(&mut KeyWriter<'_>),
    /// See [`Caller::core`].
    pub(super) core: fn(&Shared) -> Shared,
    /// Takes the value, or its core; false where it is of another type.
    pub(super) take: &'a mut dyn FnMut(&Shared) -> bool,
}

/// What is known of a call that has a key.
struct Begun<'a> {
    cache: &'a Arc<Inner>,
    bound: &'a Arc<Bound>,
    /// The same where they are there for ever, so that a call which goes on need not count them.
    forever: Option<Forever>,
    intent: Option<Arc<Intent>>,
    /// See `Terms::early`.
    early: f64,
    /// Whether what the process has is an answer.
    near: bool,
}

/// A cache and a function's part in it that are never gone.
#[derive(Clone, Copy)]
struct Forever(&'static Arc<Inner>, &'static Arc<Bound>);

/// What most calls find: the cache and the instantiation that the function met first, and nothing to be known of them but
/// what is cached. Theirs is the shortest way. None of them draws whether it is to load early: a number for that would be kept
/// over all the steps of every hit.
///
/// It is one pointer, which stays in a register. What is returned in pieces is read again at once and together, and that
/// takes longer than to look it up again.
#[derive(Clone, Copy)]
pub(super) struct Usual(&'static Instance);

impl Usual {
    /// `None`: there is more to be known of this call, or the process has nothing.
    pub(super) fn of(site: &'static CallSite, name: &'static str, type_id: TypeId) -> Option<Self> {
        if intent::is_here() {
            return None;
        }
        let cache = global::usual(site.policy().cache)?.inner();
        let bound = site.first_bound(cache.number)?;
        let instance = bound.known_instance(name, type_id)?;
        // While Redis is away a call goes on, because one of them has to find it again.
        let is_usual = bound.is_usual && cache.is_enabled() && cache.is_settled();
        (is_usual && instance.is_numbered()).then_some(Self(instance))
    }

    /// What the hash of the notes begins with.
    #[inline(always)]
    pub(super) fn seed(self) -> u64 {
        self.0.seed
    }

    /// What is to be compared of the notes that stand under a hash, if they are of this function.
    #[inline(always)]
    pub(super) fn check(self, notes: &Notes) -> Option<Check<'_>> {
        Check::new(notes, self.0.number)
    }

    /// Shows what stands under notes of this hash, if it is an answer; answers what `take` does.
    pub(super) fn hit(
        self,
        site: &'static CallSite,
        hash: u64,
        take: &mut dyn FnMut(&Notes, &Shared) -> bool,
    ) -> bool {
        let Some(cache) = global::usual(site.policy().cache) else {
            return false;
        };
        let hit = cache.inner().near.hit_by_notes(hash, 0.0, take);
        if hit {
            self.0.counters.near_hit();
        }
        hit
    }

    /// Goes on where nothing was an answer.
    #[cold]
    pub(super) fn miss(self, beginning: &mut Beginning<'_>) -> Option<Box<CachedCall>> {
        let policy = beginning.site.policy();
        let cache = global::usual(policy.cache).map(Cache::inner);
        let bound = cache.and_then(|cache| beginning.site.first_bound(cache.number));
        let (Some(cache), Some(bound)) = (cache, bound) else {
            return begin_any(beginning);
        };
        let mut raw = self.0.raw();
        if !KeyWriter::note_all(&mut raw, beginning.write) {
            return begin_any(beginning);
        }
        let begun = Begun {
            cache,
            bound,
            forever: Some(Forever(cache, bound)),
            intent: None,
            early: 0.0,
            near: true,
        };
        begin_noted(beginning, begun, &raw, self.0)
    }
}

/// `None`: the value was taken, or nothing is cached.
///
/// Compiled once for all calls; and a hit allocates nothing, nor writes the text of its key.
#[cold]
pub(super) fn begin_any(beginning: &mut Beginning<'_>) -> Option<Box<CachedCall>> {
    let site = beginning.site;
    let is_usual = !beginning.bypass && !intent::is_here();
    if is_usual
        && let Some(cache) = global::usual(site.policy().cache)
        && let Some(bound) = site.first_bound(cache.inner().number)
    {
        return match bound.near || !cache.inner().is_enabled() {
            true => begin_bound(beginning, cache.inner(), bound),
            false => begin_distant(beginning, cache.inner(), bound),
        };
    }
    if is_usual {
        return begin_elsewhere(beginning);
    }
    begin_unusual(beginning)
}

/// In another cache than the first one of the process, which may be that of a scope.
#[inline(never)]
fn begin_elsewhere(beginning: &mut Beginning<'_>) -> Option<Box<CachedCall>> {
    let site = beginning.site;
    let (Some(cache), false) = global::current(site.policy().cache) else {
        return begin_unusual(beginning);
    };
    let cache = cache.inner();
    match site.first_bound(cache.number) {
        Some(bound) => begin_bound(beginning, cache, bound),
        None => begin_bound(beginning, cache, &cache.bound(site)),
    }
}

fn begin_bound(
    beginning: &mut Beginning<'_>,
    cache: &Arc<Inner>,
    bound: &Arc<Bound>,
) -> Option<Box<CachedCall>> {
    let first = bound.instance(beginning.instance, beginning.type_id);
    let (Some(instance), true) = (first, cache.is_enabled() && bound.near) else {
        return begin_unusual(beginning);
    };
    if !instance.is_numbered() {
        return begin_unusual(beginning);
    }
    let mut raw = instance.raw();
    let mut text = String::new();
    let opening = instance.opening();
    let mut writer = KeyWriter::noting(&mut raw, opening, &mut text, cache.hash_key());
    (beginning.write)(&mut writer);
    let early = beginning.site.policy().draw();
    // While Redis is away a call goes on, because one of them has to find it again.
    let near = cache.is_settled();
    if let Some(raw) = writer.notes()
        && near
    {
        let mut take =
            |notes: &Notes, value: &Shared| notes == raw.notes() && (beginning.take)(value);
        if cache.near.hit_by_notes(raw.hash(), early, &mut take) {
            bound.counters.near_hit();
            return None;
        }
    }
    let (noted, written) = writer.finish_noting();
    let begun = Begun {
        cache,
        bound,
        forever: None,
        intent: None,
        early,
        near,
    };
    if noted {
        return begin_noted(beginning, begun, &raw, instance);
    }
    let call = begin_with(
        beginning,
        begun,
        (&text, None),
        written.map(|()| instance.origin),
    );
    give_back(text);
    call
}

/// Of a function that keeps nothing in the process.
fn begin_distant(
    beginning: &mut Beginning<'_>,
    cache: &'static Arc<Inner>,
    bound: &'static Arc<Bound>,
) -> Option<Box<CachedCall>> {
    let begun = Begun {
        cache,
        bound,
        forever: Some(Forever(cache, bound)),
        intent: None,
        early: beginning.site.policy().draw(),
        near: false,
    };
    begin_written(beginning, begun)
}

/// Of what was noted there is nothing in front.
#[cold]
fn begin_noted(
    beginning: &mut Beginning<'_>,
    begun: Begun<'_>,
    raw: &Raw,
    instance: &Instance,
) -> Option<Box<CachedCall>> {
    let mut text = spare();
    let mut writer = KeyWriter::new(&mut text, begun.cache.hash_key());
    writer.write_noted(raw, instance.opening());
    let written = writer.finish().map(|()| instance.origin);
    let call = begin_with(beginning, begun, (&text, Some(raw)), written);
    give_back(text);
    call
}

/// A call of which more is to be known than what is cached, or whose function has several instantiations.
#[cold]
fn begin_unusual(beginning: &mut Beginning<'_>) -> Option<Box<CachedCall>> {
    let site = beginning.site;
    let policy = site.policy();
    let intent = intent::take(!policy.terms.plain);
    let (cache, bypasses_all) = global::current(policy.cache);
    let bypass = beginning.bypass || bypasses_all;
    let Some(cache) = cache else {
        let none = policy.cache.unwrap_or_default();
        return uncached(intent.as_ref(), Reached::NoCache(none));
    };
    let cache = cache.inner();
    // An entry has a name also where it is not used.
    let purpose = intent.as_deref().map(|intent| intent.purpose);
    if (bypass || !cache.is_enabled()) && purpose != Some(Purpose::Name) {
        return uncached(intent.as_ref(), Reached::Nothing);
    }
    let bound = cache.bound(site);
    let begun = Begun {
        cache,
        bound: &bound,
        forever: None,
        intent,
        early: match purpose {
            Some(Purpose::Refresh) => f64::INFINITY,
            _ => policy.draw(),
        },
        near: asks_near(purpose) && bound.near && cache.is_settled(),
    };
    begin_written(beginning, begun)
}

/// Writes the key at once.
fn begin_written(beginning: &mut Beginning<'_>, begun: Begun<'_>) -> Option<Box<CachedCall>> {
    let (hash_key, mut text) = (begun.cache.hash_key(), spare());
    let instance = (beginning.instance, beginning.type_id);
    let written = (begun.bound).write(&mut text, hash_key, instance, beginning.write);
    let call = begin_with(beginning, begun, (&text, None), written);
    give_back(text);
    call
}

/// Begins a call whose key is written, or cannot be.
fn begin_with(
    beginning: &mut Beginning<'_>,
    begun: Begun<'_>,
    (text, raw): (&str, Option<&Raw>),
    written: Result<u64, Unwritable>,
) -> Option<Box<CachedCall>> {
    let Begun {
        cache,
        bound,
        forever,
        intent,
        early,
        near,
    } = begun;
    let site = beginning.site;
    let policy = site.policy();
    let origin = match written {
        Ok(origin) => origin,
        Err(problem) => {
            bound.counters.errors.one();
            let unnamed = unnamed(cache, site, &problem);
            return uncached(intent.as_ref(), Reached::Unnamed(unnamed));
        }
    };
    let asker = Asker {
        early,
        ..Asker::new(origin, &policy.terms)
    };
    let identity = Identity {
        type_id: beginning.type_id,
        version: policy.version,
    };
    let take = |kept: &near::Kept| (beginning.take)(kept.value());
    let core = beginning.core;
    let caller = raw.map(|notes| Caller { notes, core });
    let found = near && entries::near(cache, (text, caller), (asker, identity), take);
    proceed(intent.as_ref());
    if found {
        bound.counters.near_hit();
        return None;
    }
    let (held, counters) = match forever {
        Some(Forever(cache, bound)) => (Held::Forever(cache), Held::Forever(&bound.counters)),
        None => (
            Held::Own(Arc::clone(cache)),
            Held::Own(Arc::clone(&bound.counters)),
        ),
    };
    // It is large: made where it is to be, it is not copied there.
    let call = Box::new_uninit();
    Some(Box::write(
        call,
        CachedCall {
            site: Some(site),
            key: Key::new(text, bound.levels(text), origin),
            kind: cache.known(bound, beginning.kind.in_version(policy.version)),
            ttl: Ttl::Fixed(cache.ttl(site.ttl(variable::ttl))),
            ruling: None,
            terms: cache.terms(policy, early),
            counters,
            limit: bound.limit.clone(),
            cache: held,
            intent,
        },
    ))
}

/// Says why a call has no key.
fn unnamed(cache: &Arc<Inner>, site: &CallSite, problem: &Unwritable) -> Unnamed {
    cache.unwritable(problem, || log::no_key(site.function(), problem));
    Unnamed::new(problem.to_string(), cache, site.prefix())
}

/// Whether what the process has is an answer.
pub(crate) fn asks_near(purpose: Option<Purpose>) -> bool {
    matches!(purpose, None | Some(Purpose::Peek))
}

/// Gives back what was taken from the thread, where the calls after this one are to find it as well.
pub(crate) fn proceed(intent: Option<&Arc<Intent>>) {
    let Some(intent) = intent else {
        return;
    };
    intent.reach(Reached::Function);
    if intent.stays() {
        intent::put(Arc::clone(intent));
    }
}

/// Goes on without a cache, as far as a call is to go on.
fn uncached(intent: Option<&Arc<Intent>>, reached: Reached) -> Option<Box<CachedCall>> {
    if let Some(intent) = intent {
        intent.reach(reached);
    }
    proceed(intent);
    None
}

#[cfg(all(test, feature = "fallback"))]
mod tests;
