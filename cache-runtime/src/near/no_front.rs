//! The front without the feature `fallback`: nothing stands in it.

use std::sync::Arc;

use super::{Asker, Kept, Near};
use crate::key::raw::Raw;
use crate::value::Shared;

impl Near {
    pub(crate) fn hit_by_notes(
        &self,
        _notes: &Raw,
        _early: f64,
        _take: impl FnOnce(&Shared) -> bool,
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

    pub(super) fn put_in_front(&self, _name: (&str, Option<&Raw>), _kept: &Arc<Kept>) {}
}
