//! What a hit asks of an entry that stands in front of moka.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::coherence::{self, Stripe};
use super::hot::{Asked, Front, Noted};
use super::{Asker, Caller, Kept, Near, is_early};
use crate::clock;
use crate::key::raw::Notes;
use crate::value::Shared;

impl Near {
    /// Shows the value that a call with notes of this hash has taken before, with those notes, unless it has expired, is to be
    /// loaded early, was invalidated, or is not vouched for; answers what `take` does.
    #[inline(always)]
    pub(crate) fn hit_by_notes(
        &self,
        hash: u64,
        early: f64,
        take: &mut dyn FnMut(&Notes, &Shared) -> bool,
    ) -> bool {
        let hot = self.tier.front();
        let guard = hot.guard();
        match hot.find(hash, &guard) {
            Some(Noted {
                notes,
                stripe,
                front,
                value,
                kept,
                ..
            }) => self.answers((front, kept), *stripe, early) && take(notes, value),
            None => false,
        }
    }

    /// The same of an entry that was asked for by its key before.
    pub(super) fn hit_in_front(
        &self,
        key: &str,
        asker: Asker,
        take: impl FnOnce(&Kept) -> bool,
    ) -> bool {
        self.tier.hot(Asked::Key(key), |front, kept, stripe| {
            kept.is_for(asker) && self.answers((front, kept), stripe, asker.early) && take(kept)
        })
    }

    /// Puts an entry in front that was taken by a call with these notes, or else for its key.
    pub(super) fn put_in_front(&self, (key, caller): (&str, Option<Caller<'_>>), kept: &Arc<Kept>) {
        let stripe = coherence::stripe(key);
        let changes = self.marks.changes(stripe);
        let notes = caller.map(|caller| caller.notes);
        if let Some(asked) = self.tier.place((key, notes), kept, changes) {
            let value = match caller {
                Some(caller) => (caller.core)(kept.value()),
                None => Arc::clone(kept.value()),
            };
            // Whoever removes the entry or puts another in its place waits, so that this one does not come after that.
            self.marks.alone(stripe, || {
                let changes = self.marks.changes(stripe);
                self.tier.heat((asked, key), kept, changes, value);
            });
        }
    }

    /// Whether an entry may answer for certain, by a clock that may be ahead; and without moka, which has it and has heard of
    /// it.
    #[inline(always)]
    fn answers(&self, (front, kept): (&Front, &Kept), stripe: Stripe, early: f64) -> bool {
        let latest = clock::latest();
        latest < front.deadline
            // Whatever was done to its key, or to one that shares the stripe: moka has to be asked again.
            && front.unchanged == self.marks.changes(stripe)
            && match &front.teller {
                None => true,
                Some(teller) => teller.vouches(latest),
            }
            && self.still_stands(front, kept)
            && (early <= 0.0 || {
                let left = Duration::from_nanos(front.deadline - latest);
                !is_early(kept.took(), left, early)
            })
    }

    /// Whether nothing has ended what an entry belongs to, and moka has heard of it.
    #[inline(always)]
    fn still_stands(&self, front: &Front, kept: &Kept) -> bool {
        // Before the sums: what ends from here on moves it again.
        let moves = self.epochs.moves();
        // Relaxed: whoever knows of an end reads another number of moves than any that was noted before it.
        front.checked.load(Ordering::Relaxed) == moves || self.check(front, kept, moves)
    }

    #[cold]
    fn check(&self, front: &Front, kept: &Kept, moves: u64) -> bool {
        let stands = self.is_current(kept) && self.tier.is_heard(kept.heard());
        if stands {
            front.checked.store(moves, Ordering::Relaxed);
        }
        stands
    }
}
