//! What one invalidation ends in one cache, and how: in the process, in Redis, or owed.

use std::sync::Arc;

use crate::config::Durability;
use crate::inner::Inner;
use crate::invalidated::{Invalidated, Reach};
use crate::key;
use crate::key::pattern::Pattern;

/// What is to be forgotten, in one cache.
#[derive(Debug, Default)]
pub(crate) struct Doomed {
    /// Levels of keys and tags: everything in them.
    groups: Vec<String>,
    pub(super) entries: Vec<String>,
    /// Entries by their keys.
    pub(super) patterns: Vec<Pattern>,
}

impl Doomed {
    pub(crate) fn level(&mut self, level: String) {
        // An entry that is named like the level itself is under it as well.
        self.entries.push(level.clone());
        self.groups.push(level);
    }

    pub(crate) fn tag(&mut self, tag: String) {
        self.groups.push(tag);
    }

    pub(crate) fn entry(&mut self, entry: String) {
        self.entries.push(entry);
    }

    pub(crate) fn pattern(&mut self, pattern: Pattern) {
        self.patterns.push(pattern);
    }

    /// Everything in the cache.
    pub(crate) fn everything(&mut self, root: &str) {
        self.groups.push(root.to_owned());
    }

    /// What Redis has to delete by name.
    pub(super) fn names(&self) -> Vec<String> {
        let generations = self.groups.iter().map(|group| key::generation_name(group));
        let leases = self.entries.iter().map(|entry| key::lease_name(entry));
        generations
            .chain(leases)
            .chain(self.entries.iter().cloned())
            .collect()
    }

    /// Forgets it in this process.
    pub(super) fn apply_locally(&self, cache: &Inner) {
        for group in &self.groups {
            cache.near.end(group);
        }
        for entry in &self.entries {
            // The flight first: once it is detached, it can no longer fill behind the removal.
            cache.detach(entry);
            cache.near.remove(entry);
        }
        for pattern in &self.patterns {
            cache.detach_matching(pattern);
            cache.near.clear(pattern);
        }
    }

    /// Forgets it everywhere.
    pub(super) async fn apply(&self, cache: &Arc<Inner>) -> Invalidated {
        self.apply_locally(cache);
        let Some(remote) = &cache.remote else {
            return Invalidated::confirmed(Reach::Process, 0);
        };
        // First, so that replicas are asked for it as well.
        let swept = remote.unlink_matching(&self.patterns).await;
        let told = swept.and(remote.unlink(&self.names()).await);
        self.apply_locally(cache);
        match (told, cache.config.durability) {
            (Ok(confirmed), Durability::Replicas(wanted)) if confirmed < Some(wanted) => {
                let confirmed = confirmed.unwrap_or_default();
                let reason = format!("{confirmed} of {wanted} replicas confirmed it in time");
                Invalidated::unconfirmed(Reach::Redis, confirmed, reason)
            }
            (Ok(confirmed), _) => {
                Invalidated::confirmed(Reach::Redis, confirmed.unwrap_or_default())
            }
            (Err(trouble), _) => {
                Invalidated::unconfirmed(Reach::Remembered, 0, trouble.to_string())
            }
        }
    }
}
