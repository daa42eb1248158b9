//! The front without the feature `fallback`: nothing stands in it.

use std::sync::Arc;

use super::{Asker, Caller, Kept, Near};
use crate::key::raw::Notes;
use crate::value::Shared;

impl Near {
    pub(crate) fn hit_by_notes(
        &self,
        _hash: u64,
        _early: f64,
        _take: &mut dyn FnMut(&Notes, &Shared) -> bool,
    ) -> bool {
        false
    }

    pub(super) fn hit_in_front(
        &self,
        _key: &str,
        _asker: Asker,
        _take: impl FnOnce(&Kept) -> bool,
    ) -> bool {
        false
    }

    pub(super) fn put_in_front(&self, _name: (&str, Option<Caller<'_>>), _kept: &Arc<Kept>) {}
}
