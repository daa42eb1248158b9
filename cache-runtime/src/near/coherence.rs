//! What the server tells, and how far it can be believed: the link between a connection and the values that were read over it.
//!
//! A server that tracks tells a connection of every change to what was read over it, in order with its replies. So a value
//! may answer without asking, as long as nothing was told of it, and as long as its connection would have told: it stands,
//! and was heard from a moment ago. A connection that hangs is silent like one on which nothing happens.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use xxhash_rust::xxh3::xxh3_64;

use crate::clock::{self, Instant};

/// How long a connection is believed after it was last heard from: the longest that a value in front of Redis can lag behind.
pub(crate) const MAX_LAG: Duration = Duration::from_nanos(MAX_LAG_NANOS);
const MAX_LAG_NANOS: u64 = 1_000_000_000;

/// Stripes of marks, and of those who sleep.
const STRIPES: u64 = 8_192;
const WAKES: usize = 256;

/// One connection that tells of changes, as the values read over it know it.
#[derive(Debug)]
pub(crate) struct Teller {
    /// When the last request was sent that has been answered, as [`clock::nanos`] counts, or else when this was made:
    /// whatever was told before that answer has been heard.
    proven: AtomicU64,
    ended: AtomicBool,
    /// Whether values were asked for since the last look.
    wanted: AtomicBool,
    /// Wakes whoever keeps the proof young.
    stirred: Notify,
}

impl Teller {
    /// A connection of which nothing is proven yet.
    pub(crate) fn new() -> Self {
        Self {
            proven: AtomicU64::new(clock::nanos(clock::now())),
            ended: AtomicBool::new(false),
            wanted: AtomicBool::new(false),
            stirred: Notify::new(),
        }
    }

    /// A request sent at that moment has been answered.
    pub(crate) fn prove(&self, sent: Instant) {
        let sent = clock::nanos(sent);
        // Release, with the Acquire of `vouches`: who sees the proof sees what was told before it.
        self.proven.fetch_max(sent, Ordering::Release);
    }

    /// The connection is gone: what it would have told is not known any more. Everything read over it is dead.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.stirred.notify_one();
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Whether a value read over this connection may answer at that moment, as [`clock::nanos`] counts.
    pub(crate) fn vouches(&self, now: u64) -> bool {
        // Relaxed: it only decides whether the proof is renewed. Read first, so that hits share the line.
        if !self.wanted.load(Ordering::Relaxed) {
            self.wanted.store(true, Ordering::Relaxed);
            self.stirred.notify_one();
        }
        let lag = now.saturating_sub(self.proven.load(Ordering::Acquire));
        lag < MAX_LAG_NANOS && !self.has_ended()
    }

    /// Whether values were asked for since this was last called.
    pub(crate) fn was_wanted(&self) -> bool {
        self.wanted.swap(false, Ordering::Relaxed)
    }

    /// Waits until values are asked for, or the connection has ended.
    pub(crate) async fn stirred(&self) {
        self.stirred.notified().await;
    }
}

/// The moment before a read, with regard to one entry: a value is only kept if nothing was heard of its entry since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark(u64);

/// Counters of what was heard of entries, striped: entries that share one cost each other a read now and then.
///
/// Each is a lock as well. What is heard and what is inserted exclude each other, so that there is no moment at which a value
/// stands in the tier of which something was heard while it was on its way.
pub(crate) struct Marks {
    heard: Box<[Mutex<u64>]>,
    /// How often an entry of the stripe was removed, or another put in its place: moved under the lock, before that happens.
    changes: Box<[AtomicU64]>,
}

/// Where the counters of one entry are.
pub(crate) type Stripe = u16;

impl Marks {
    pub(crate) fn new() -> Self {
        Self {
            heard: (0..STRIPES).map(|_| Mutex::new(0)).collect(),
            changes: (0..STRIPES).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    pub(crate) fn now(&self, entry: &str) -> Mark {
        Mark(self.lock(stripe(entry)).map_or(0, |heard| *heard))
    }

    /// Something is heard of an entry: it is forgotten, also where it is about to be inserted.
    pub(crate) fn heard<T>(&self, entry: &str, forget: impl FnOnce() -> T) -> T {
        let stripe = stripe(entry);
        let mut heard = self.lock(stripe);
        if let Some(heard) = &mut heard {
            **heard = heard.wrapping_add(1);
        }
        self.change(stripe);
        forget()
    }

    /// Something may have happened to any entry: whatever is about to be inserted is not, while what stands there stays.
    pub(crate) fn heard_anything(&self) {
        for heard in &self.heard {
            let mut heard = lock(heard);
            *heard = heard.wrapping_add(1);
        }
    }

    /// Any entry may have gone: whoever knows one looks whether it still stands there.
    pub(crate) fn change_all(&self) {
        for (heard, change) in self.heard.iter().zip(&self.changes) {
            let _alone = lock(heard);
            change.fetch_add(1, Ordering::Release);
        }
    }

    /// Inserts an entry unless something was heard of it since.
    pub(crate) fn unless_heard(&self, entry: &str, since: Mark, insert: impl FnOnce()) {
        let stripe = stripe(entry);
        let heard = self.lock(stripe);
        if heard.as_deref().is_none_or(|heard| *heard == since.0) {
            self.change(stripe);
            insert();
        }
    }

    /// Does something with an entry while nobody else does.
    #[cfg(feature = "fallback")]
    pub(crate) fn alone<T>(&self, stripe: Stripe, act: impl FnOnce() -> T) -> T {
        let _stripe = self.lock(stripe);
        act()
    }

    /// How often an entry of this stripe was changed.
    #[cfg(feature = "fallback")]
    #[inline]
    pub(crate) fn changes(&self, stripe: Stripe) -> u64 {
        // Acquire, with the Release of `change`: who sees the number sees what led to the change.
        match self.changes.get(usize::from(stripe)) {
            Some(changes) => changes.load(Ordering::Acquire),
            None => 0,
        }
    }

    fn change(&self, stripe: Stripe) {
        if let Some(changes) = self.changes.get(usize::from(stripe)) {
            changes.fetch_add(1, Ordering::Release);
        }
    }

    fn lock(&self, stripe: Stripe) -> Option<MutexGuard<'_, u64>> {
        self.heard.get(usize::from(stripe)).map(lock)
    }
}

/// The stripe of an entry.
pub(crate) fn stripe(entry: &str) -> Stripe {
    Stripe::try_from(xxh3_64(entry.as_bytes()) % STRIPES).unwrap_or_default()
}

fn lock(stripe: &Mutex<u64>) -> MutexGuard<'_, u64> {
    stripe.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where those sleep who wait for another process to fill an entry.
pub(crate) struct Wakes(Box<[Notify]>);

impl Wakes {
    pub(crate) fn new() -> Self {
        Self((0..WAKES).map(|_| Notify::new()).collect())
    }

    /// Completes once something is heard of this entry or group, or one that shares the stripe, after this call.
    pub(crate) fn sleep(&self, name: &str) -> Option<Notified<'_>> {
        self.stripe(name).map(Notify::notified)
    }

    pub(crate) fn wake(&self, name: &str) {
        if let Some(stripe) = self.stripe(name) {
            stripe.notify_waiters();
        }
    }

    pub(crate) fn wake_all(&self) {
        for stripe in &self.0 {
            stripe.notify_waiters();
        }
    }

    fn stripe(&self, name: &str) -> Option<&Notify> {
        let stripes = u64::try_from(self.0.len()).unwrap_or(1);
        let at = xxh3_64(name.as_bytes()) % stripes.max(1);
        self.0.get(usize::try_from(at).unwrap_or_default())
    }
}

impl fmt::Debug for Marks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Marks").finish_non_exhaustive()
    }
}

impl fmt::Debug for Wakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wakes").finish_non_exhaustive()
    }
}
