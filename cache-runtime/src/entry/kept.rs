//! What the process keeps of a value that Redis has answered or stored, or that was loaded without it.

use std::sync::Arc;
use std::time::Duration;

use super::{Query, Times};
use crate::clock;
use crate::near::coherence::Teller;
use crate::near::{self, Entry, Epochs, View};
use crate::value::Shared;

impl Query<'_> {
    /// Keeps in process what Redis has just answered, or stored: of which nothing was heard since `view`,
    /// and of whose changes `teller` will tell. Answers its bytes.
    pub(crate) fn keep(
        self,
        value: &Shared,
        (origin, times): (u64, Times),
        view: View,
        teller: Option<&Arc<Teller>>,
    ) -> usize {
        let left = times.left.min(self.terms.near.bound(teller.is_some()));
        if left.is_zero() {
            return 0;
        }
        let entry = self.near_entry(value, origin, view, Times { left, ..times });
        let source = teller.cloned();
        let source = source.map_or(near::Source::Untold, near::Source::Told);
        let kept_until = clock::after(entry.expires, self.terms.stale.longest());
        let entry = Entry {
            source,
            kept_until,
            ..entry
        };
        let bytes = entry.bytes;
        let near = &self.cache.near;
        near.insert_unless_told(self.key.as_str(), entry, view);
        bytes
    }

    /// A value as the in-process tier keeps it without Redis: where there is one, expired or not, never for longer than the
    /// fallback ttl, because others may invalidate and nobody tells.
    pub(crate) fn near_entry(self, value: &Shared, origin: u64, view: View, times: Times) -> Entry {
        let kept = times.left.saturating_add(self.terms.stale.longest());
        let kept = match &self.cache.remote {
            Some(_) => kept.min(self.cache.config.fallback_ttl),
            None => kept,
        };
        let now = clock::now();
        Entry {
            value: Arc::clone(value),
            identity: self.kind.identity(),
            origin,
            tagging: self.terms.tagging,
            epoch: view.epoch,
            places: Epochs::places(self.key.groups()),
            source: near::Source::Process,
            expires: clock::after(now, times.left),
            filled: clock::before(now, times.age),
            took: times.took,
            kept_until: clock::after(now, kept),
            bytes: (self.kind.weigh)(value),
        }
    }

    /// A value as the in-process tier keeps it for functions that are not async: where there is a Redis, apart.
    pub(crate) fn plain_entry(
        self,
        value: &Shared,
        view: View,
        (life, took): (Duration, Duration),
    ) -> Entry {
        let times = Times::of_a_new_value(life, took);
        let entry = self.near_entry(value, self.key.origin(), view, times);
        if self.cache.remote.is_none() {
            return entry;
        }
        Entry {
            source: near::Source::Plain,
            // It may outlive the fallback ttl, which is not its bound.
            kept_until: entry.expires,
            ..entry
        }
    }
}
