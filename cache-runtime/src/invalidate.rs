//! One invalidation: what a mutating function ends, before anybody else can read what it replaced.
//!
//! Locally the epochs end before *and* after Redis is told: a reader that fetched between the two is caught by the second.
//! Deleting is always safe, so it happens whatever the body's outcome; where nobody can wait for Redis, it is remembered and replayed.

mod doomed;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::inner::Inner;
use crate::intent::{self, NoEntry, Unnamed};
use crate::invalidated::Invalidated;
use crate::key::pattern::{Pattern, PatternWriter};
use crate::key::{self, Key, KeyWriter, Unwritable};
use crate::log;
use crate::store::Trouble;
pub(crate) use doomed::Doomed;

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
            said: AtomicBool::new(false),
        }
    }
}

/// Names what one call of a mutating function invalidates.
#[derive(Debug)]
pub struct Targets<'a> {
    cache: &'a Arc<Inner>,
    site: &'static InvalidateSite,
    doomed: Doomed,
    /// What is to be forgotten in other caches.
    elsewhere: Vec<(Arc<Inner>, Doomed)>,
}

impl Targets<'_> {
    /// Everything under a prefix.
    pub fn prefix(&mut self, prefix: &str) {
        if !self.cache.is_enabled() {
            return;
        }
        self.cache.counters(prefix).invalidations.one();
        self.doomed.level(key::below(self.cache.root(), prefix));
    }

    /// One entry, by the template of the function that reads it.
    pub fn entry(&mut self, prefix: &str, write: impl FnOnce(&mut KeyWriter<'_>)) {
        if !self.cache.is_enabled() {
            return;
        }
        let mut text = key::below(self.cache.root(), prefix);
        text.push(':');
        let mut writer = KeyWriter::new(&mut text, self.cache.hash_key());
        write(&mut writer);
        match writer.finish() {
            Ok(()) => {
                self.cache.counters(prefix).invalidations.one();
                self.doomed.entry(text);
            }
            Err(problem) => {
                // Without its key the entry cannot be named, but everything around it can.
                self.unwritable(&problem);
                self.prefix(prefix);
            }
        }
    }

    /// Every entry with a tag.
    pub fn tag(&mut self, write: impl FnOnce(&mut KeyWriter<'_>)) {
        if !self.cache.is_enabled() {
            return;
        }
        let mut text = String::new();
        let mut writer = KeyWriter::new(&mut text, self.cache.hash_key());
        write(&mut writer);
        match writer.finish() {
            Ok(()) => {
                self.cache.counters(TAGS).invalidations.one();
                self.doomed.tag(key::tag(self.cache.root(), &text));
            }
            Err(problem) => {
                // Without its text the tag cannot be named, but everything can.
                self.unwritable(&problem);
                self.doomed.everything(self.cache.root());
            }
        }
    }

    /// Every entry whose key matches a pattern.
    pub fn pattern(&mut self, write: impl FnOnce(&mut PatternWriter<'_>)) {
        if !self.cache.is_enabled() {
            return;
        }
        let mut writer = PatternWriter::new(self.cache.root(), self.cache.hash_key());
        write(&mut writer);
        let (patterns, problem) = writer.finish();
        if let Some(problem) = problem {
            self.unwritable(&problem);
        }
        self.cache.counters(PATTERNS).invalidations.one();
        for pattern in patterns {
            self.advise(&pattern);
            self.doomed.pattern(Pattern::new(&pattern));
        }
    }

    /// Says that a prefix would do, where it would.
    fn advise(&self, pattern: &str) {
        let root = key::below(self.cache.root(), "");
        let own = pattern.strip_prefix(&root).unwrap_or(pattern);
        let prefix = own.strip_suffix(":*").unwrap_or_default();
        let is_one = !prefix.is_empty() && !prefix.contains([':', '*', '?', '[', '\\']);
        // Relaxed: the flag stands for itself.
        if is_one && !self.site.said.swap(true, Ordering::Relaxed) {
            let function = format!("{}::{}", self.site.module, self.site.function);
            log::prefix_would_do(&function, own, prefix);
        }
    }

    /// The entry that a call is about.
    pub fn call<F: Future>(&mut self, call: F) {
        match intent::entry_of(call) {
            Ok(entry) if !entry.cache.is_enabled() => {}
            Ok(entry) => {
                entry.counters.invalidations.one();
                let key = entry.key.as_str().to_owned();
                self.doomed_in(&entry.cache).entry(key);
            }
            // Without its key the entry cannot be named, but everything around it can.
            Err(NoEntry::Unnamed(Unnamed { cache, prefix, .. })) => {
                cache.counters(&prefix).invalidations.one();
                let level = key::below(cache.root(), &prefix);
                self.doomed_in(&cache).level(level);
            }
            Err(NoEntry::NotCached) => log::reaches_nothing(self.site.function),
        }
    }

    fn doomed_in(&mut self, cache: &Arc<Inner>) -> &mut Doomed {
        if Arc::ptr_eq(self.cache, cache) {
            return &mut self.doomed;
        }
        self.elsewhere.push((Arc::clone(cache), Doomed::default()));
        let last = self.elsewhere.last_mut();
        last.map_or(&mut self.doomed, |(_, doomed)| doomed)
    }

    fn unwritable(&self, problem: &Unwritable) {
        let no_key = || log::no_key(self.site.function, problem);
        self.cache.unwritable(problem, no_key);
    }
}

/// One call of a mutating function.
#[derive(Debug)]
pub struct Invalidation {
    site: &'static InvalidateSite,
    /// One for each cache; none for one that is disabled.
    pending: Vec<Pending>,
}

impl Invalidation {
    /// Decides what a call invalidates. The keys are written before the body runs, because the body may consume the arguments.
    pub(crate) fn of<T>(cache: &Arc<Inner>, site: &'static InvalidateSite, name: T) -> Self
    where
        T: FnOnce(&mut Targets<'_>),
    {
        let mut targets = Targets {
            cache,
            site,
            doomed: Doomed::default(),
            elsewhere: Vec::new(),
        };
        name(&mut targets);
        let (here, elsewhere) = (targets.doomed, targets.elsewhere);
        let all = std::iter::once((Arc::clone(cache), here)).chain(elsewhere);
        let enabled = all.filter(|(cache, _)| cache.is_enabled());
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
            self.doomed.apply_locally(&self.cache);
            if let Some(remote) = &self.cache.remote {
                remote.unlink_matching_later(&self.doomed.patterns);
                remote.unlink_later(&self.doomed.names());
            }
            self.doomed.apply_locally(&self.cache);
        }
    }
}
