//! The in-process tier: typed values, found without decoding anything.
//!
//! It stands in front of Redis, where a value answers as long as the connection over which it was read would have told
//! of a change; and alone, where there is no Redis or it is away. An entry remembers the [`Epoch`] from before its load,
//! so what an invalidation has overtaken is dead on arrival. Never sees bytes, and never talks to anybody.

#[cfg_attr(
    not(feature = "redis"),
    expect(dead_code, reason = "only a store that exists tells anything")
)]
pub(crate) mod coherence;
pub(crate) mod epoch;
#[cfg(feature = "fallback")]
mod front;
#[cfg(not(feature = "fallback"))]
#[path = "no_front.rs"]
mod front;
#[cfg(feature = "fallback")]
mod hot;
mod kept;
#[cfg(feature = "fallback")]
mod tier;
#[cfg(not(feature = "fallback"))]
#[path = "none.rs"]
mod tier;

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use crate::clock::{self, Instant};
use crate::key::Key;
use crate::key::pattern::Pattern;
use crate::key::raw::Raw;
use crate::policy::Terms;
use crate::value::{Identity, Shared};
use coherence::{Mark, Marks, Teller, Wakes};
pub(crate) use epoch::{Epoch, Epochs, Places};
pub(crate) use kept::Kept;
use tier::Tier;

/// One value that is to be kept.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) value: Shared,
    pub(crate) identity: Identity,
    /// See `Key::origin`.
    pub(crate) origin: u64,
    /// See `Terms::tagging`.
    pub(crate) tagging: u64,
    pub(crate) source: Source,
    /// How long its load took.
    pub(crate) took: Duration,
    pub(crate) epoch: Epoch,
    /// Where the counters are that the epoch sums up: those of the entry's own groups, whoever asks for it.
    pub(crate) places: Places,
    pub(crate) expires: Instant,
    /// When the value was stored, be it in Redis.
    pub(crate) filled: Instant,
    /// As long as it is of any use: until it expires, and for the window in which expired values are.
    pub(crate) kept_until: Instant,
    /// Estimated bytes of the value.
    pub(crate) bytes: usize,
}

/// Who asks for a value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asker {
    /// See `Key::origin`.
    pub(crate) origin: u64,
    /// See `Terms::tagging`.
    pub(crate) tagging: u64,
    /// See `Terms::early`.
    pub(crate) early: f64,
    /// See `Terms::plain`.
    pub(crate) plain: bool,
}

impl Asker {
    pub(crate) fn new(origin: u64, terms: &Terms) -> Self {
        Self {
            origin,
            tagging: terms.tagging,
            early: terms.early,
            plain: terms.plain,
        }
    }
}

/// What a call has that is to be answered faster the next time.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(
    not(feature = "fallback"),
    expect(dead_code, reason = "nothing stands in front")
)]
pub(crate) struct Caller<'a> {
    pub(crate) notes: &'a Raw,
    /// What a hit takes the value from: of an [`Arc`] what it points to, so that there is one pointer to follow and not two, of
    /// all else the value.
    pub(crate) core: fn(&Shared) -> Shared,
}

/// Where a value in the tier comes from, and thereby how long it may be believed.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// Loaded while there was no Redis.
    Process,
    /// Read from Redis over a connection that tells of changes.
    Told(Arc<Teller>),
    /// Read from a Redis that does not tell: it is kept for a short time only.
    Untold,
    /// Loaded by a function that cannot ask Redis, where there is one: it answers nobody but such functions.
    Plain,
}

/// The state of the tier before a read, as far as it concerns one key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    pub(crate) epoch: Epoch,
    mark: Mark,
}

/// The tier, and what it has heard.
#[derive(Debug)]
pub(crate) struct Near {
    tier: Tier,
    epochs: Epochs,
    marks: Marks,
    wakes: Wakes,
}

impl Near {
    /// Whether there is a tier at all.
    pub(crate) const EXISTS: bool = Tier::EXISTS;

    /// A tier of at most so many bytes and so many entries.
    pub(crate) fn new(memory_limit: u64, max_entries: u64) -> Self {
        Self {
            tier: Tier::new(memory_limit, max_entries),
            epochs: Epochs::new(),
            marks: Marks::new(),
            wakes: Wakes::new(),
        }
    }

    /// Shows the entry under a key, unless it has expired, is to be loaded early, was invalidated, is not vouched for, or is
    /// another function's; answers what `take` does. One that is taken is found faster from then on, by the notes of the call,
    /// where there are any.
    pub(crate) fn hit(
        &self,
        (key, caller): (&str, Option<Caller<'_>>),
        asker: Asker,
        mut take: impl FnMut(&Kept) -> bool,
    ) -> bool {
        if self.hit_in_front(key, asker, &mut take) {
            return true;
        }
        let Some(kept) = self.get(key, asker) else {
            return false;
        };
        let taken = take(&kept);
        if taken {
            self.put_in_front((key, caller), &kept);
        }
        taken
    }

    /// The entry under a key, unless it has expired, is to be loaded early, was invalidated, is not vouched for, or is another
    /// function's.
    pub(crate) fn get(&self, key: &str, asker: Asker) -> Option<Arc<Kept>> {
        let now = clock::nanos(clock::now());
        let kept = self.standing(key, asker, now)?;
        let left = Duration::from_nanos(kept.deadline.saturating_sub(now));
        if left.is_zero() || is_early(kept.took(), left, asker.early) {
            return None;
        }
        kept.hear(self.tier.inserted());
        Some(kept)
    }

    /// The same for one that has come of age, where values are kept for a `window` after they have expired: with how long ago
    /// it expired, zero if it has not.
    pub(crate) fn get_aged(
        &self,
        key: &str,
        asker: Asker,
        window: Duration,
    ) -> Option<(Arc<Kept>, Duration)> {
        let now = clock::nanos(clock::now());
        let kept = self.standing(key, asker, now)?;
        let left = Duration::from_nanos(kept.until.saturating_sub(now));
        (!left.is_zero()).then(|| (kept, window.saturating_sub(left)))
    }

    fn standing(&self, key: &str, asker: Asker, now: u64) -> Option<Arc<Kept>> {
        let kept = self.tier.get(key)?;
        let stands = kept.is_for(asker) && self.stands(&kept, now);
        stands.then_some(kept)
    }

    /// Whether nothing has ended what an entry belongs to, and its connection would have told.
    fn stands(&self, kept: &Kept, now: u64) -> bool {
        let vouched = match kept.source() {
            Source::Told(teller) => teller.vouches(now),
            Source::Process | Source::Untold | Source::Plain => true,
        };
        vouched && self.is_current(kept)
    }

    fn is_current(&self, kept: &Kept) -> bool {
        kept.is_of(self.epochs.at(kept.places()))
    }

    /// Under the lock of its key.
    fn put(&self, key: &str, entry: Entry) {
        if self.tier.insert(key, entry) {
            self.epochs.recheck();
        }
    }

    /// To be taken before the read or load whose value is to be kept.
    pub(crate) fn view(&self, key: &Key) -> View {
        View {
            epoch: self.epochs.now(key.groups()),
            mark: self.marks.now(key.as_str()),
        }
    }

    /// Keeps a value that was loaded in this process. Whether it is still wanted is the caller's to know.
    pub(crate) fn insert(&self, key: &str, entry: Entry) {
        self.marks.heard(key, || self.put(key, entry));
        self.tier.settle();
    }

    /// Puts what `next` makes of the entry under a key in its place, with nothing in between; `None` leaves it as it is.
    pub(crate) fn update<T>(
        &self,
        key: &str,
        asker: Asker,
        next: impl FnOnce(Option<&Entry>) -> (Option<Entry>, T),
    ) -> T {
        let now = clock::now();
        let update = || {
            let kept = self.standing(key, asker, clock::nanos(now));
            let entry = kept.and_then(|kept| kept.entry(self.epochs.at(kept.places())));
            let (next, answer) = next(entry.filter(|entry| now < entry.expires).as_ref());
            if let Some(next) = next {
                self.put(key, next);
            }
            answer
        };
        let answer = self.marks.heard(key, update);
        self.tier.settle();
        answer
    }

    /// Keeps a value of Redis, unless something was heard of its entry since `view`.
    pub(crate) fn insert_unless_told(&self, key: &str, entry: Entry, view: View) {
        let insert = || self.put(key, entry);
        self.marks.unless_heard(key, view.mark, insert);
        self.tier.settle();
    }

    /// This process ends a group: a prefix level or a tag.
    pub(crate) fn end(&self, group: &str) {
        self.epochs.end(group);
        self.wakes.wake(group);
    }

    /// Forgets an entry, also one that is about to be inserted; answers whether one was there and had not expired.
    pub(crate) fn remove(&self, key: &str) -> bool {
        let removed = self.marks.heard(key, || self.tier.remove(key));
        self.wakes.wake(key);
        removed.is_some_and(|kept| !kept.left().is_zero())
    }

    /// Removes the entries whose keys match, also those that are about to be inserted; answers how many had not expired.
    /// Cost: one look at every entry.
    pub(crate) fn clear(&self, pattern: &Pattern) -> u64 {
        // First, so that what is not refused by this stands there to be found.
        self.marks.heard_anything();
        let matching = self.tier.keys(pattern);
        let removed = matching.iter().filter(|key| self.remove(key)).count();
        // What moka has evicted but not yet taken away from the front is found nowhere else.
        self.marks.change_all();
        u64::try_from(removed).unwrap_or(u64::MAX)
    }

    /// What this process has read or loaded so far does not count any more.
    pub(crate) fn end_all(&self) {
        self.epochs.end_all();
    }

    pub(crate) fn clear_all(&self) {
        self.epochs.end_all();
        self.tier.clear_all();
    }

    /// The server tells that an entry changed.
    #[cfg(feature = "redis")]
    pub(crate) fn told_of_entry(&self, entry: &str) {
        self.marks.heard(entry, || self.tier.remove(entry));
        self.wakes.wake(entry);
    }

    /// The server tells that the lease of an entry changed.
    pub(crate) fn told_of_lease(&self, entry: &str) {
        self.wakes.wake(entry);
    }

    /// The server tells that the generation of a group changed.
    pub(crate) fn told_of_group(&self, group: &str) {
        self.epochs.end_told(group);
        self.wakes.wake(group);
    }

    /// The server tells that everything changed.
    #[cfg(feature = "redis")]
    pub(crate) fn told_of_everything(&self) {
        self.epochs.end_all_told();
        self.wake_all();
    }

    /// Wakes whoever waits to be told something.
    #[cfg(feature = "redis")]
    pub(crate) fn wake_all(&self) {
        self.wakes.wake_all();
    }

    /// Completes once something is told of this entry, its lease or its groups after this call; now and then for nothing.
    /// What is told between this call and the first poll counts as well.
    pub(crate) fn told(&self, key: &Key) -> impl Future<Output = ()> {
        let names = std::iter::once(key.as_str()).chain(key.groups());
        let told = names.filter_map(|name| self.wakes.sleep(name));
        let mut told: Vec<_> = told.map(Box::pin).collect();
        poll_fn(move |context| {
            let mut told = told.iter_mut();
            match told.any(|told| told.as_mut().poll(context).is_ready()) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
    }

    pub(crate) fn entries(&self) -> u64 {
        self.tier.entries()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.tier.bytes()
    }
}

/// Whether a value with so much life left, whose load took so long, is to be loaded anew.
pub(crate) fn is_early(took: Duration, left: Duration, early: f64) -> bool {
    early > 0.0 && (early.is_infinite() || took.mul_f64(early) >= left)
}

/// Whether an entry written by one origin may answer another: origin 0 is the user's own text, which belongs to everybody.
pub(crate) fn same_origin(one: u64, other: u64) -> bool {
    one == other || one == 0 || other == 0
}

#[cfg(all(test, feature = "fallback"))]
mod tests;
