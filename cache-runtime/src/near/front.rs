//! What a hit asks of an entry that stands in front of moka.

use std::sync::Arc;
use std::time::Duration;

use super::coherence::{self, Stripe};
use super::hot::Front;
use super::{Asker, Kept, Near, is_early};
use crate::clock;
use crate::key::raw::Raw;
use crate::value::Shared;

impl Near {
    /// Shows the value that a call with the same notes has taken before, unless it has expired, is to be loaded early, was
    /// invalidated, or is not vouched for; answers what `take` does.
    #[inline]
    pub(crate) fn hit_by_notes(
        &self,
        notes: &Raw,
        early: f64,
        take: impl FnOnce(&Shared) -> bool,
    ) -> bool {
        self.tier.noted(notes, |front, stripe| {
            self.answers(front, stripe, early) && take(front.kept.value())
        })
    }

    /// The same of an entry that was asked for by its key before.
    pub(super) fn hit_in_front(
        &self,
        key: &str,
        asker: Asker,
        take: impl FnOnce(&Kept) -> bool,
    ) -> bool {
        self.tier.hot(key, |front, stripe| {
            front.kept.is_for(asker)
                && self.answers(front, stripe, asker.early)
                && take(&front.kept)
        })
    }

    /// Puts an entry in front that was taken by a call with these notes, or else for its key.
    pub(super) fn put_in_front(&self, (key, notes): (&str, Option<&Raw>), kept: &Arc<Kept>) {
        let stripe = coherence::stripe(key);
        let changes = self.marks.changes(stripe);
        if let Some(asked) = self.tier.place((key, notes), kept, changes) {
            // Whoever removes the entry or puts another in its place waits, so that this one does not come after that.
            self.marks.alone(stripe, || {
                let changes = self.marks.changes(stripe);
                self.tier.heat(asked, key, kept, changes);
            });
        }
    }

    /// Whether an entry may answer for certain, by a clock that may be ahead; and without moka, which has it and has heard of
    /// it.
    #[inline]
    fn answers(&self, front: &Front, stripe: Stripe, early: f64) -> bool {
        let kept = &*front.kept;
        let latest = clock::latest();
        latest < kept.deadline
            // Whatever was done to its key, or to one that shares the stripe: moka has to be asked again.
            && front.unchanged == self.marks.changes(stripe)
            && self.tier.is_heard(kept.heard())
            && self.stands(kept, latest)
            && (early <= 0.0 || {
                let left = Duration::from_nanos(kept.deadline - latest);
                !is_early(kept.took(), left, early)
            })
    }
}
