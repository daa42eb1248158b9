//! The tier without the feature `fallback`: it holds nothing.

use std::sync::Arc;

use super::{Entry, Kept};
use crate::key::pattern::Pattern;

#[derive(Debug)]
pub(crate) struct Tier;

impl Tier {
    /// Whether there is a tier at all.
    pub(crate) const EXISTS: bool = false;

    pub(crate) fn new(_memory_limit: u64, _max_entries: u64) -> Self {
        Self
    }

    pub(crate) fn get(&self, _key: &str) -> Option<Arc<Kept>> {
        None
    }

    pub(crate) fn insert(&self, _key: &str, _entry: Entry) -> bool {
        false
    }

    pub(crate) fn settle(&self) {}

    pub(crate) fn inserted(&self) -> u64 {
        0
    }

    pub(crate) fn remove(&self, _key: &str) -> Option<Arc<Kept>> {
        None
    }

    pub(crate) fn keys(&self, _pattern: &Pattern) -> Vec<Box<str>> {
        Vec::new()
    }

    pub(crate) fn clear_all(&self) {}

    pub(crate) fn entries(&self) -> u64 {
        0
    }

    pub(crate) fn bytes(&self) -> u64 {
        0
    }
}
