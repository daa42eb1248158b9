//! Counting without a word between threads: each has a place of its own, which it alone writes.
//!
//! A hit costs so little that one atomic increment would be a tenth of it, and one that threads take from each other most.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Counter, Counters};

/// The counters for which one thread has places.
const PLACES: usize = 32;

/// A counter that is the sum of its threads.
#[derive(Debug, Default)]
pub(super) struct Tallied {
    /// What was counted by threads without a place, or that have gone.
    pub(super) rest: Counter,
    places: Mutex<Vec<Arc<Place>>>,
}

/// What one thread has counted. By itself on its cache lines, which are fetched in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Place(AtomicU64);

impl Tallied {
    pub(super) fn read(&self) -> u64 {
        let places = self.lock();
        let counted = places.iter().map(|place| place.0.load(Ordering::Relaxed));
        counted.sum::<u64>() + self.rest.read()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Place>>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of this thread in some counters.
struct Tally {
    counters: Arc<Counters>,
    place: Arc<Place>,
}

impl Tally {
    fn new(counters: &Arc<Counters>) -> Self {
        let place = Arc::<Place>::default();
        counters.near_hits.lock().push(Arc::clone(&place));
        Self {
            counters: Arc::clone(counters),
            place,
        }
    }

    fn one(&self) {
        let Place(count) = &*self.place;
        // Nobody else writes it.
        count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        let Tallied { rest, .. } = &self.counters.near_hits;
        // Under the lock, so that nobody reads it twice, or not at all.
        let mut places = self.counters.near_hits.lock();
        rest.add(self.place.0.load(Ordering::Relaxed));
        places.retain(|place| !Arc::ptr_eq(place, &self.place));
    }
}

thread_local! {
    static TALLIES: RefCell<[Option<Tally>; PLACES]> = const { RefCell::new([const { None }; PLACES]) };
}

/// Counts one hit at the place of this thread; false where it has none for these counters.
pub(super) fn one(counters: &Arc<Counters>) -> bool {
    // Hardly further apart than they are large, by a number of which division is none.
    const APART: usize = size_of::<Counters>().next_power_of_two();
    let at = Arc::as_ptr(counters).addr() / APART % PLACES;
    let counted = TALLIES.try_with(|tallies| {
        let Ok(mut tallies) = tallies.try_borrow_mut() else {
            return false;
        };
        let Some(tally) = tallies.get_mut(at) else {
            return false;
        };
        match tally {
            Some(tally) if Arc::ptr_eq(&tally.counters, counters) => tally.one(),
            // Others are at home here; those of a cache that is gone are not.
            Some(tally) if Arc::strong_count(&tally.counters) > 1 => return false,
            vacant => vacant.insert(Tally::new(counters)).one(),
        }
        true
    });
    counted.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_threads_count_adds_up_while_they_run_and_when_they_have_gone() {
        const EACH: u64 = 10_000;
        let counters = Arc::<Counters>::default();
        // Enough to meet at one place.
        let others: Vec<_> = (0..2 * PLACES)
            .map(|_| Arc::<Counters>::default())
            .collect();
        std::thread::scope(|scope| {
            let threads = [(); 4].map(|()| {
                scope.spawn(|| {
                    for _ in 0..EACH {
                        counters.near_hit();
                    }
                    for other in &others {
                        other.near_hit();
                        other.near_hit();
                    }
                })
            });
            // To their very end, unlike the scope.
            for thread in threads {
                thread.join().unwrap();
            }
        });
        counters.near_hit();
        assert_eq!(counters.near_hits.read(), 4 * EACH + 1);
        assert!(others.iter().all(|other| other.near_hits.read() == 8));
        let places = |counters: &Arc<Counters>| counters.near_hits.lock().len();
        assert!(places(&counters) <= 1, "those of threads that have gone");
        assert_eq!(others.iter().map(places).sum::<usize>(), 0);
    }

    #[test]
    fn a_thread_keeps_no_place_for_counters_that_are_gone_where_others_need_it() {
        let mut last = None;
        for _ in 0..100 * PLACES {
            let counters = Arc::<Counters>::default();
            counters.near_hit();
            assert_eq!(counters.near_hits.read(), 1);
            last = Some(counters);
        }
        drop(last);
        let kept = TALLIES.with_borrow(|tallies| tallies.iter().flatten().count());
        assert!(kept <= PLACES);
    }
}
