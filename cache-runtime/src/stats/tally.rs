//! Counting without a word between threads: each has a place of its own, which it alone writes.
//!
//! A hit costs so little that one atomic increment would be a tenth of it, and one that threads take from each other most.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Counter, Counters};

/// The counters for which one thread has places.
const PLACES: usize = 32;

/// A counter that is the sum of its threads.
#[derive(Debug)]
pub(super) struct Tallied {
    /// Tells it apart from all others there ever are.
    number: u64,
    /// What was counted by threads without a place, or that have gone.
    pub(super) rest: Counter,
    places: Mutex<Vec<&'static Place>>,
}

/// What one thread has counted. By itself on its cache lines, which are fetched in pairs.
#[derive(Debug)]
#[repr(align(128))]
struct Place(AtomicU64);

/// Places that are not in use. They are never freed, so that a thread need not ask whether its own is still there; there are
/// as many as were in use at one time.
static SPARE: Mutex<Vec<&'static Place>> = Mutex::new(Vec::new());

impl Default for Tallied {
    fn default() -> Self {
        // 0 stands for none.
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            // Relaxed: only that it does not repeat matters.
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            rest: Counter::default(),
            places: Mutex::default(),
        }
    }
}

impl Tallied {
    pub(super) fn read(&self) -> u64 {
        let places = lock(&self.places);
        let counted = places.iter().map(|place| place.0.load(Ordering::Relaxed));
        counted.sum::<u64>() + self.rest.read()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where this thread counts for one number.
struct Here {
    number: Cell<u64>,
    place: Cell<&'static Place>,
}

impl Here {
    /// For none.
    const fn nowhere() -> Self {
        static NOBODYS: Place = Place(AtomicU64::new(0));
        Self {
            number: Cell::new(0),
            place: Cell::new(&NOBODYS),
        }
    }

    fn one(&self) {
        let Place(count) = self.place.get();
        // Nobody else writes it.
        count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }
}

/// The place of this thread in some counters, given back at its end.
struct Tally {
    counters: Arc<Counters>,
    place: &'static Place,
}

impl Tally {
    fn new(counters: &Arc<Counters>) -> Self {
        let vacant = || &*Box::leak(Box::new(Place(AtomicU64::new(0))));
        let place = lock(&SPARE).pop().unwrap_or_else(vacant);
        lock(&counters.near_hits.places).push(place);
        Self {
            counters: Arc::clone(counters),
            place,
        }
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        let Tallied {
            number,
            rest,
            places,
        } = &self.counters.near_hits;
        here(*number, |here| {
            if here.number.get() == *number {
                here.number.set(0);
            }
        });
        // Under the lock, so that nobody reads it twice, or not at all.
        let mut places = lock(places);
        rest.add(self.place.0.swap(0, Ordering::Relaxed));
        places.retain(|place| !std::ptr::eq(*place, self.place));
        drop(places);
        lock(&SPARE).push(self.place);
    }
}

thread_local! {
    /// Without a destructor, so that looking at it is no question of whether it is still there.
    static HERE: [Here; PLACES] = const { [const { Here::nowhere() }; PLACES] };

    static TALLIES: RefCell<[Option<Tally>; PLACES]> = const { RefCell::new([const { None }; PLACES]) };
}

fn at(number: u64) -> usize {
    usize::try_from(number % PLACES as u64).unwrap_or_default()
}

/// Shows where this thread counts for this number, and others.
#[inline]
fn here<T>(number: u64, look: impl FnOnce(&Here) -> T) -> Option<T> {
    HERE.with(|places| places.get(at(number)).map(look))
}

/// Counts one hit at the place of this thread; false where it has none for these counters.
#[inline]
pub(super) fn one(counters: &Arc<Counters>) -> bool {
    let number = counters.near_hits.number;
    let counted = here(number, |here| {
        let own = here.number.get() == number;
        if own {
            here.one();
        }
        own
    });
    counted == Some(true) || take_place(counters)
}

/// Takes a place and counts one hit there; false where there is none.
#[cold]
fn take_place(counters: &Arc<Counters>) -> bool {
    let number = counters.near_hits.number;
    let taken = TALLIES.try_with(|tallies| {
        let mut tallies = tallies.try_borrow_mut().ok()?;
        let slot = tallies.get_mut(at(number))?;
        // Others are at home here; those of a cache that is gone are not.
        let is_home = |tally: &Tally| Arc::strong_count(&tally.counters) > 1;
        if slot.as_ref().is_some_and(is_home) {
            return None;
        }
        // Before the other one is at home: at its end it sees who is.
        *slot = None;
        let Tally { place, .. } = slot.insert(Tally::new(counters));
        here(number, |here| {
            here.number.set(number);
            here.place.set(place);
            here.one();
        })
    });
    taken.ok().flatten().is_some()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

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
        let places = |counters: &Arc<Counters>| lock(&counters.near_hits.places).len();
        assert!(places(&counters) <= 1, "those of threads that have gone");
        assert_eq!(others.iter().map(places).sum::<usize>(), 0);
    }

    #[test]
    fn what_a_thread_counts_at_its_very_end_is_counted_as_well() {
        struct AtTheEnd(Arc<Counters>);

        impl Drop for AtTheEnd {
            fn drop(&mut self) {
                self.0.near_hit();
            }
        }

        thread_local! {
            static LAST: RefCell<Option<AtTheEnd>> = const { RefCell::new(None) };
        }

        let counters = Arc::<Counters>::default();
        let counted = Arc::clone(&counters);
        let thread = std::thread::spawn(move || {
            // Here before its places are, and gone after them.
            LAST.set(Some(AtTheEnd(Arc::clone(&counted))));
            counted.near_hit();
        });
        thread.join().unwrap();
        assert_eq!(counters.near_hits.read(), 2);
    }

    #[test]
    fn a_thread_keeps_no_place_for_counters_that_are_gone_where_others_need_it() {
        let (mut last, mut places) = (None, HashSet::new());
        for _ in 0..100 * PLACES {
            let counters = Arc::<Counters>::default();
            counters.near_hit();
            assert_eq!(counters.near_hits.read(), 1);
            let place: *const Place = lock(&counters.near_hits.places)[0];
            places.insert(place);
            last = Some(counters);
        }
        drop(last);
        let kept = TALLIES.with_borrow(|tallies| tallies.iter().flatten().count());
        assert!(kept <= PLACES);
        // Other tests take some of them as well.
        assert!(places.len() <= 10 * PLACES, "they are used again");
    }
}
