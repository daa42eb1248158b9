//! The only names an expansion may use. Not part of the public surface.

#[path = "private/begin.rs"]
mod begin;

use std::any::{TypeId, type_name};
use std::future::{Future, pending};
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::call::{Call as CachedCall, Ttl};
use crate::clock;
use crate::global;
use crate::inner::Inner;
use crate::intent::{self, Reached};
use crate::key::{self, Unwritable};
use crate::value::{Hands, Kind, Value};

use begin::{Beginning, Usual, begin_any};
pub(crate) use begin::{asks_near, proceed};

pub use crate::batch::{Batch, Sort, Spare, ViaClone, ViaMove, batch};
pub use crate::call::{Negative, Rules};
pub use crate::collection::{HoldsOption, HoldsValue};
pub use crate::invalidate::{InvalidateSite, Invalidation, Targets, When};
pub use crate::key::pattern::PatternWriter;
pub use crate::key::{KeyPart, KeyWriter};
pub use crate::outcome::{
    Held, Outcome, Returns, SucceedsAlways, SucceedsIfOk, ViaArc, ViaResult, ViaResultOfArc,
    ViaValue,
};
pub use crate::policy::{BuiltIn, Coalesce, Compression, Policy};
pub use crate::put::{Entry, HoldsThe, Put, PutSite, entry, put};
pub use crate::site::CallSite;

/// One call of an annotated function that was not answered at once.
pub struct Call<O: Outcome> {
    /// `None`: the body is run, and nothing is cached. Boxed, so that a cached function's future is hardly larger than its body's.
    call: Option<(Box<CachedCall>, Hands<O::Value>)>,
}

/// Writes the tags of one call.
#[derive(Debug)]
pub struct Tags<'a> {
    cache: &'a Inner,
    groups: Vec<Box<str>>,
    problem: Option<Unwritable>,
}

impl<'a> Tags<'a> {
    /// The groups that `name` says.
    pub(crate) fn of(
        cache: &'a Inner,
        name: impl FnOnce(&mut Self),
    ) -> Result<Arc<[Box<str>]>, Unwritable> {
        let mut tags = Tags {
            cache,
            groups: Vec::new(),
            problem: None,
        };
        name(&mut tags);
        match tags.problem {
            Some(problem) => Err(problem),
            None => Ok(tags.groups.into()),
        }
    }

    /// The next tag.
    pub fn tag(&mut self, write: impl FnOnce(&mut KeyWriter<'_>)) {
        let mut text = String::new();
        let mut writer = KeyWriter::new(&mut text, self.cache.hash_key());
        write(&mut writer);
        match writer.finish() {
            Ok(()) => {
                let group = key::tag(self.cache.root(), &text).into();
                // Two templates may come to the same text.
                if !self.groups.contains(&group) {
                    self.groups.push(group);
                }
            }
            Err(problem) => {
                self.problem.get_or_insert(problem);
            }
        }
    }
}

impl<O: Outcome> std::fmt::Debug for Call<O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let key = self.call.as_ref().map(|(call, _)| &call.key);
        f.debug_struct("Call")
            .field("key", &key)
            .finish_non_exhaustive()
    }
}

/// Begins a call: writes its key, and answers at once what the process has. Nothing is awaited here, and on a hit nothing allocated.
#[inline]
pub fn begin<O, K>(
    site: &'static CallSite,
    outcome: O,
    arguments: K,
) -> ControlFlow<O::Returned, Call<O>>
where
    O: Outcome,
    O::Value: Value,
    K: Fn(&mut KeyWriter<'_>),
{
    begin_unless(false, site, outcome, arguments)
}

/// The same, unless this call is to touch no cache.
pub fn begin_unless<O, K>(
    bypass: bool,
    site: &'static CallSite,
    _outcome: O,
    arguments: K,
) -> ControlFlow<O::Returned, Call<O>>
where
    O: Outcome,
    O::Value: Value,
    K: Fn(&mut KeyWriter<'_>),
{
    let usual = match bypass {
        true => None,
        false => Usual::of(site, type_name::<K>(), TypeId::of::<O::Value>()),
    };
    let Some(usual) = usual else {
        return begin_slowly::<O, K>(bypass, site, None, &arguments);
    };
    let Some(hash) = KeyWriter::hash_all(usual.seed(), &arguments) else {
        return begin_slowly::<O, K>(bypass, site, None, &arguments);
    };
    let mut found = None;
    usual.hit(site, hash, &mut |notes, value| {
        if let Some(noted) = usual.check(notes)
            && KeyWriter::are_noted(noted, &arguments)
        {
            O::Held::take(value, &mut found);
        }
        found.is_some()
    });
    match found {
        Some(value) => ControlFlow::Break(O::join(value)),
        None => begin_slowly::<O, K>(bypass, site, Some(usual), &arguments),
    }
}

/// The same for a call that did not find its value at once, if it was the usual one.
#[cold]
fn begin_slowly<O, K>(
    bypass: bool,
    site: &'static CallSite,
    usual: Option<Usual>,
    arguments: &K,
) -> ControlFlow<O::Returned, Call<O>>
where
    O: Outcome,
    O::Value: Value,
    K: Fn(&mut KeyWriter<'_>),
{
    let mut found = None;
    let mut beginning = Beginning {
        bypass,
        site,
        instance: type_name::<K>(),
        kind: const { &Kind::of::<O::Value>() },
        type_id: TypeId::of::<O::Value>(),
        write: arguments,
        core: O::Held::core,
        take: &mut |value| {
            O::Held::take(value, &mut found);
            found.is_some()
        },
    };
    let begun = match usual {
        Some(usual) => usual.miss(&mut beginning),
        None => begin_any(&mut beginning),
    };
    match found {
        Some(value) => ControlFlow::Break(O::join(value)),
        None => ControlFlow::Continue(Call {
            call: begun.map(|call| (call, Hands::new())),
        }),
    }
}

/// Begins a call of a mutating function: decides what it invalidates.
pub fn invalidate<T>(site: &'static InvalidateSite, name: T) -> Invalidation
where
    T: FnOnce(&mut Targets<'_>),
{
    let (cache, _) = global::current(site.cache_name());
    Invalidation::of(cache.as_ref().map(|cache| cache.inner()), site, name)
}

/// Runs a body for which nothing is cached, unless none may run.
pub(crate) async fn alone<F: Future>(body: F) -> F::Output {
    if intent::holds() {
        return pending().await;
    }
    body.await
}

impl<O: Outcome> Call<O> {
    /// Sets a ttl that was computed for this call. It runs from now on, not from the end of the load.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        if let Some((call, _)) = &mut self.call {
            call.ttl = Ttl::Until(clock::after(clock::now(), ttl));
        }
        self
    }

    /// Says what the value is asked before it is kept.
    #[must_use]
    pub fn rules(mut self, name: impl FnOnce(&mut Rules<O::Value>)) -> Self
    where
        O::Value: 'static,
    {
        if let Some((call, _)) = &mut self.call {
            let mut rules = Rules::new();
            name(&mut rules);
            call.ruling = Some(rules.ruling());
        }
        self
    }

    /// Names the tags of the entry.
    #[must_use]
    pub fn tags<T>(mut self, name: T) -> Self
    where
        T: FnOnce(&mut Tags<'_>),
    {
        let Some((mut call, hands)) = self.call.take() else {
            return self;
        };
        let groups = match Tags::of(&call.cache, name) {
            Ok(groups) => groups,
            Err(_) if call.is_named_only() => {
                // Its name has no tags in it.
                self.call = Some((call, hands));
                return self;
            }
            Err(problem) => {
                call.cannot_be_tagged(&problem);
                if let Some(intent) = &call.intent {
                    intent.reach(Reached::Nothing);
                }
                return self;
            }
        };
        call.key = call.key.clone().with_tags(Some(groups));
        self.call = Some((call, hands));
        self
    }

    /// Returns a cached value, or what the body returns.
    ///
    /// # Cancellation
    /// Dropping this drops the body; whoever waits for the same key takes over.
    pub async fn run<F>(self, body: Pin<&mut F>) -> O::Returned
    where
        F: Future<Output = O::Returned>,
    {
        match self.call {
            Some((call, hands)) => call.run::<O, F>(hands, body).await,
            None => alone(body).await,
        }
    }

    /// The same for a function that is not async: it blocks its thread where it waits.
    pub fn run_plain(self, body: impl FnOnce() -> O::Returned) -> O::Returned {
        // Whoever acts on the call around this one does not mean what the body waits for.
        intent::aside(|| match self.call {
            Some((call, hands)) => call.run_plain::<O>(hands, body),
            None => body(),
        })
    }

    /// The same, or an expired value where the body fails. What it returns is held meanwhile, so the future is `Send` only
    /// where that is.
    pub async fn run_or_stale<F>(self, body: Pin<&mut F>) -> O::Returned
    where
        F: Future<Output = O::Returned>,
    {
        match self.call {
            Some((call, hands)) => call.run_or_stale::<O, F>(hands, body).await,
            None => alone(body).await,
        }
    }

    /// The same for a body that may outlive its caller, in a task of its own.
    ///
    /// # Cancellation
    /// A body that goes on in a task of its own goes on.
    pub fn run_owned<F>(self, body: F) -> impl Future<Output = O::Returned> + use<O, F>
    where
        O: 'static,
        O::Value: Send,
        O::Returned: Send,
        F: Future<Output = O::Returned> + Send + 'static,
    {
        // Boxed before there is a future of ours, so that it is no part of that.
        let body = Box::pin(global::inside(body));
        async move {
            match self.call {
                Some((call, hands)) => call.run_owned::<O, _>(hands, body).await,
                None => alone(body).await,
            }
        }
    }
}
