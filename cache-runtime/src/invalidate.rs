//! One invalidation: what a mutating function ends, before anybody else can read what it replaced.
//!
//! Locally the epochs end before *and* after Redis is told: a reader that fetched between the two is caught by the second.
//! Deleting is always safe, so it happens whatever the body's outcome; where nobody can wait for Redis, it is remembered and replayed.

mod doomed;
mod targets;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::inner::Inner;
use crate::invalidated::Invalidated;
use crate::key::Key;
use crate::store::Trouble;
pub(crate) use doomed::Doomed;
pub use targets::Targets;

/// Under which the invalidations of tags are counted.
pub(crate) const TAGS: &str = "(tags)";
/// Under which those of patterns are.
pub(crate) const PATTERNS: &str = "(patterns)";

/// One mutating function.
#[derive(Debug)]
pub struct InvalidateSite {
    function: &'static str,
    module: &'static str,
    when: When,
    /// `None`: the default one.
    cache: Option<&'static str>,
    /// Whether it was said that a prefix would do.
    said: AtomicBool,
}

/// When a mutating function invalidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Once the body has ended: `Ok`, `Err`, panic or cancellation.
    Always,
    /// Once the body has returned `Ok`.
    Ok,
    /// Before the body, and once it has ended.
    Before,
}

impl InvalidateSite {
    /// A mutating function of that name.
    #[must_use]
    pub const fn new(function: &'static str, module: &'static str, when: When) -> Self {
        Self {
            function,
            module,
            when,
            cache: None,
            said: AtomicBool::new(false),
        }
    }

    /// Names the cache.
    #[must_use]
    pub const fn cache(mut self, name: &'static str) -> Self {
        self.cache = Some(name);
        self
    }

    pub(crate) fn cache_name(&self) -> Option<&'static str> {
        self.cache
    }
}

/// One call of a mutating function.
#[derive(Debug)]
pub struct Invalidation {
    site: &'static InvalidateSite,
    /// One for each cache; none for one that is disabled, or was never installed.
    pending: Vec<Pending>,
}

impl Invalidation {
    /// Decides what a call invalidates. The keys are written before the body runs, because the body may consume the arguments.
    pub(crate) fn of<T>(cache: Option<&Arc<Inner>>, site: &'static InvalidateSite, name: T) -> Self
    where
        T: FnOnce(&mut Targets<'_>),
    {
        let mut targets = Targets::new(cache, site);
        name(&mut targets);
        let enabled = targets.named().filter(|(cache, _)| cache.is_enabled());
        let pending = enabled.map(|(cache, doomed)| Pending::new(&cache, doomed));
        Self {
            site,
            pending: pending.collect(),
        }
    }

    /// Runs the body, and invalidates once it has ended.
    ///
    /// # Cancellation
    /// Dropped while the body runs, this invalidates all the same: in this process at once, in Redis by a task of its own.
    pub async fn run<R, F>(self, succeeded: fn(&R) -> bool, body: Pin<&mut F>) -> R
    where
        F: Future<Output = R>,
    {
        let mut pending = self.pending;
        if self.site.when == When::Before {
            settle_all(&mut pending).await;
        }
        arm_all(&mut pending, self.site.when != When::Ok);
        let returned = body.await;
        if self.site.when == When::Ok && !succeeded(&returned) {
            return returned;
        }
        settle_all(&mut pending).await;
        returned
    }

    /// The same for a function that is not async: in this process at once, in Redis by a task of its own where there is a
    /// runtime, and in any case before this process trusts Redis again.
    pub fn run_plain<R>(self, succeeded: fn(&R) -> bool, body: impl FnOnce() -> R) -> R {
        let mut pending = self.pending;
        if self.site.when == When::Before {
            pending.iter().for_each(Pending::tell_later);
        }
        arm_all(&mut pending, self.site.when != When::Ok);
        let returned = body();
        arm_all(
            &mut pending,
            self.site.when != When::Ok || succeeded(&returned),
        );
        // Dropped, it is done.
        returned
    }
}

fn arm_all(pending: &mut [Pending], armed: bool) {
    for pending in pending {
        pending.armed = armed;
    }
}

async fn settle_all(pending: &mut [Pending]) {
    // All of them, whichever of them is waited for as the caller gives up.
    arm_all(pending, true);
    for pending in pending {
        let _ = pending.settle().await;
    }
}

/// An invalidation that is owed. Dropped while armed, it is done without waiting.
#[derive(Debug)]
pub(crate) struct Pending {
    doomed: Arc<Doomed>,
    cache: Arc<Inner>,
    armed: bool,
}

impl Pending {
    pub(crate) fn new(cache: &Arc<Inner>, doomed: Doomed) -> Self {
        Self {
            doomed: Arc::new(doomed),
            cache: Arc::clone(cache),
            armed: false,
        }
    }

    pub(crate) fn of_entries<'a>(
        cache: &Arc<Inner>,
        keys: impl IntoIterator<Item = &'a Key>,
    ) -> Self {
        let mut doomed = Doomed::default();
        for key in keys {
            doomed.entry(key.as_str().to_owned());
        }
        Self::new(cache, doomed)
    }

    /// Owes it from now on.
    pub(crate) fn arm(&mut self) {
        self.armed = true;
    }

    /// Owes it no more: something newer stands there.
    pub(crate) fn disarm(&mut self) {
        self.armed = false;
    }

    /// Forgets it in this process, and has Redis told without waiting for it.
    fn tell_later(&self) {
        self.doomed.apply_locally(&self.cache);
        if let Some(remote) = &self.cache.remote {
            remote.unlink_matching_later(&self.doomed.patterns);
            remote.unlink_later(&self.doomed.names());
        }
        self.doomed.apply_locally(&self.cache);
    }

    /// Forgets it in this process, before something else is written in its place. Dropped before the [`end`](Self::end) of
    /// that, it is forgotten everywhere.
    pub(crate) fn begin(&mut self) {
        self.armed = true;
        self.doomed.apply_locally(&self.cache);
    }

    /// Forgets it in this process once more, now that something else was written.
    pub(crate) fn end(&mut self) {
        self.doomed.apply_locally(&self.cache);
        self.armed = false;
    }

    /// Forgets these entries everywhere, and answers how many Redis had.
    pub(crate) async fn remove(&mut self) -> Result<u64, Trouble> {
        self.begin();
        let entries: Vec<&str> = self.doomed.entries.iter().map(String::as_str).collect();
        let told = match &self.cache.remote {
            Some(remote) => remote.remove(&entries).await,
            None => Ok(0),
        };
        self.end();
        told
    }

    /// Forgets it everywhere. What Redis did not confirm is remembered, and replayed before Redis is trusted again.
    pub(crate) async fn settle(&mut self) -> Invalidated {
        self.armed = true;
        let (doomed, cache) = (Arc::clone(&self.doomed), Arc::clone(&self.cache));
        // Without its type, which the compiler would have to look through wherever a mutating function is called.
        let telling: Pin<Box<dyn Future<Output = Invalidated> + Send>> =
            Box::pin(async move { doomed.apply(&cache).await });
        let told = telling.await;
        self.armed = false;
        told
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if self.armed {
            self.tell_later();
        }
    }
}
