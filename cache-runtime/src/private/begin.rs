//! The beginning of a call, up to its hit in process: what is the same for all types.

use std::any::TypeId;
use std::cell::RefCell;
use std::sync::Arc;

use crate::call::{Call as CachedCall, Ttl};
use crate::entry as entries;
use crate::global;
use crate::inner::Inner;
use crate::intent::{self, Intent, Purpose, Reached, Unnamed};
use crate::key::{Key, KeyWriter, Unwritable};
use crate::log;
use crate::near::{self, Asker};
use crate::site::CallSite;
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
    /// Writes the arguments; called once.
    pub(super) write: &'a mut dyn FnMut(&mut KeyWriter<'_>),
    /// Takes the value; false where it is of another type.
    pub(super) take: &'a mut dyn FnMut(&Shared) -> bool,
}

impl Beginning<'_> {
    /// Whether the value is in the process, and taken.
    fn hit(&mut self, cache: &Inner, key: &str, asker: Asker) -> bool {
        let identity = Identity {
            type_id: self.type_id,
            version: self.site.policy().version,
        };
        let take = |kept: &near::Kept| (self.take)(kept.value());
        entries::near(cache, key, (asker, identity), take)
    }
}

/// `None`: the value was taken, or nothing is cached.
///
/// In one piece, and compiled once for all calls: what a hit costs is mostly that it is made of many parts.
pub(super) fn begin_any(beginning: &mut Beginning<'_>) -> Option<Box<CachedCall>> {
    let begun = TEXT.try_with(|text| {
        let mut text = text.try_borrow_mut().ok()?;
        text.clear();
        Some(begin_with(beginning, &mut text))
    });
    match begun {
        Ok(Some(begun)) => begun,
        // A call inside of what writes the arguments of another, or at the end of the thread.
        Ok(None) | Err(_) => begin_with(beginning, &mut String::new()),
    }
}

thread_local! {
    /// Where keys are written, so that a hit allocates none.
    static TEXT: RefCell<String> = const { RefCell::new(String::new()) };
}

fn begin_with(beginning: &mut Beginning<'_>, text: &mut String) -> Option<Box<CachedCall>> {
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
    let early = match purpose {
        Some(Purpose::Refresh) => f64::INFINITY,
        _ => policy.draw(),
    };
    let instance = beginning.instance;
    let written = bound.write(text, cache.hash_key(), instance, beginning.write);
    // While Redis is away a call goes on, because one of them has to find it again.
    let near = asks_near(purpose) && cache.near_terms(policy).allow() && cache.is_settled();
    let found = written.as_ref().is_ok_and(|origin| {
        let asker = Asker {
            early,
            ..Asker::new(*origin, &policy.terms)
        };
        near && beginning.hit(cache, text, asker)
    });
    if found {
        proceed(intent.as_ref());
        bound.counters.near_hit();
        return None;
    }
    let key = match written {
        Ok(origin) => Key::new(text, bound.levels(text), origin),
        Err(problem) => {
            bound.counters.errors.one();
            let unnamed = unnamed(cache, site, &problem);
            return uncached(intent.as_ref(), Reached::Unnamed(unnamed));
        }
    };
    proceed(intent.as_ref());
    Some(Box::new(CachedCall {
        site: Some(site),
        key,
        kind: beginning.kind.in_version(policy.version),
        ttl: Ttl::Fixed(cache.ttl(site.ttl(variable::ttl))),
        ruling: None,
        terms: cache.terms(policy, early),
        counters: Arc::clone(&bound.counters),
        limit: bound.limit.clone(),
        cache: Arc::clone(cache),
        intent,
    }))
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
