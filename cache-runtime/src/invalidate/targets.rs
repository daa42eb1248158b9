//! What one call of a mutating function names to be forgotten, and where.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Doomed, InvalidateSite, PATTERNS, TAGS};
use crate::inner::Inner;
use crate::intent::{self, NamesAnEntry, NoEntry, Unnamed};
use crate::key::pattern::{Pattern, PatternWriter};
use crate::key::{self, KeyWriter, Unwritable};
use crate::log;

/// Names what one call of a mutating function invalidates.
#[derive(Debug)]
pub struct Targets<'a> {
    /// `None`: it was never installed.
    cache: Option<&'a Arc<Inner>>,
    site: &'static InvalidateSite,
    doomed: Doomed,
    /// What is to be forgotten in other caches.
    elsewhere: Vec<(Arc<Inner>, Doomed)>,
}

impl<'a> Targets<'a> {
    pub(super) fn new(cache: Option<&'a Arc<Inner>>, site: &'static InvalidateSite) -> Self {
        Self {
            cache,
            site,
            doomed: Doomed::default(),
            elsewhere: Vec::new(),
        }
    }

    /// What was named, by the cache that has it.
    pub(super) fn named(self) -> impl Iterator<Item = (Arc<Inner>, Doomed)> {
        let here = self.cache.map(|cache| (Arc::clone(cache), self.doomed));
        here.into_iter().chain(self.elsewhere)
    }

    /// The cache of this function, if there is one.
    fn enabled(&self) -> Option<&'a Arc<Inner>> {
        self.cache.filter(|cache| cache.is_enabled())
    }

    /// Everything under a prefix.
    pub fn prefix(&mut self, prefix: &str) {
        let Some(cache) = self.enabled() else {
            return;
        };
        cache.counters(prefix).invalidations.one();
        self.doomed.level(key::below(cache.root(), prefix));
    }

    /// One entry, by the template of the function that reads it.
    pub fn entry(&mut self, prefix: &str, write: impl FnOnce(&mut KeyWriter<'_>)) {
        let Some(cache) = self.enabled() else {
            return;
        };
        let mut text = key::below(cache.root(), prefix);
        text.push(':');
        let mut writer = KeyWriter::new(&mut text, cache.hash_key());
        write(&mut writer);
        match writer.finish() {
            Ok(()) => {
                cache.counters(prefix).invalidations.one();
                self.doomed.entry(text);
            }
            Err(problem) => {
                // Without its key the entry cannot be named, but everything around it can.
                self.unwritable(cache, &problem);
                self.prefix(prefix);
            }
        }
    }

    /// Every entry with a tag.
    pub fn tag(&mut self, write: impl FnOnce(&mut KeyWriter<'_>)) {
        let Some(cache) = self.enabled() else {
            return;
        };
        let mut text = String::new();
        let mut writer = KeyWriter::new(&mut text, cache.hash_key());
        write(&mut writer);
        match writer.finish() {
            Ok(()) => {
                cache.counters(TAGS).invalidations.one();
                self.doomed.tag(key::tag(cache.root(), &text));
            }
            Err(problem) => {
                // Without its text the tag cannot be named, but everything can.
                self.unwritable(cache, &problem);
                self.doomed.everything(cache.root());
            }
        }
    }

    /// Every entry whose key matches a pattern.
    pub fn pattern(&mut self, write: impl FnOnce(&mut PatternWriter<'_>)) {
        let Some(cache) = self.enabled() else {
            return;
        };
        let mut writer = PatternWriter::new(cache.root(), cache.hash_key());
        write(&mut writer);
        let (patterns, problem) = writer.finish();
        if let Some(problem) = problem {
            self.unwritable(cache, &problem);
        }
        cache.counters(PATTERNS).invalidations.one();
        for pattern in patterns {
            self.advise(cache, &pattern);
            self.doomed.pattern(Pattern::new(&pattern));
        }
    }

    /// Says that a prefix would do, where it would.
    fn advise(&self, cache: &Inner, pattern: &str) {
        let root = key::below(cache.root(), "");
        let own = pattern.strip_prefix(&root).unwrap_or(pattern);
        let prefix = own.strip_suffix(":*").unwrap_or_default();
        let is_one = !prefix.is_empty() && !prefix.contains([':', '*', '?', '[', '\\']);
        // Relaxed: the flag stands for itself.
        if is_one && !self.site.said.swap(true, Ordering::Relaxed) {
            let function = format!("{}::{}", self.site.module, self.site.function);
            log::prefix_would_do(&function, own, prefix);
        }
    }

    /// The entry that a call is about, in the cache of its function.
    pub fn call<T>(&mut self, call: impl NamesAnEntry<T>) {
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
            // Where nothing can be kept, nothing is to be forgotten.
            Err(NoEntry::NoCache(_)) => {}
            Err(NoEntry::NotCached) => log::reaches_nothing(self.site.function),
        }
    }

    fn doomed_in(&mut self, cache: &Arc<Inner>) -> &mut Doomed {
        if self.cache.is_some_and(|own| Arc::ptr_eq(own, cache)) {
            return &mut self.doomed;
        }
        self.elsewhere.push((Arc::clone(cache), Doomed::default()));
        let last = self.elsewhere.last_mut();
        last.map_or(&mut self.doomed, |(_, doomed)| doomed)
    }

    fn unwritable(&self, cache: &Inner, problem: &Unwritable) {
        let no_key = || log::no_key(self.site.function, problem);
        cache.unwritable(problem, no_key);
    }
}
