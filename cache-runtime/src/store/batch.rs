//! Reads that wait together travel together.
//!
//! While few are under way a read goes alone, at once. Beyond that it waits for a carrier: a task that takes along whoever waits,
//! in one request. No caller carries another's read, so whoever goes away leaves all others where they are.

mod carrier;
mod cells;
mod company;
mod packed;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use xxhash_rust::xxh3::xxh3_64;

use super::redis::Store;
use super::slots::Slot;
use super::{Read, Scope, Told, Trouble, Watch};
use crate::clock::{self, Instant};
use crate::key::Key;
use carrier::Carrier;
use cells::{Cells, Place};
pub(super) use packed::Packed;

/// Reads under way, each alone, beyond which one waits for a carrier.
const ALONE: usize = 4;

/// Carriers under way while none is full: while the answers of one are used, those of the next are on their way, and the
/// server has the requests of the others to do.
const CARRIERS: usize = 4;

/// The share of those under way that is worth a second request beside theirs.
const WORTH: usize = 4;

/// Reads that a carrier takes, if there are as many: fewer cost more each.
const FEW: usize = 32;

/// The part of those who do not read any more that is forgotten with each request.
const FORGOTTEN: usize = 16;

/// Reads in one request, and about how many bytes in its answer.
const MOST_READS: usize = 256;
const MOST_BYTES: usize = 256 * 1024;

/// An entry from this size on is read alone the next time, so that it holds up no others.
pub(super) const LARGE: usize = 64 * 1024;

/// Keys whose entries are read alone, as stripes.
const STRIPES: usize = 1_024;

/// Those who wait in one runtime.
#[derive(Default)]
pub(super) struct Batches {
    state: Mutex<State>,
    /// Whether there is a carrier, as far as that can be seen without the lock.
    are_carried: AtomicBool,
}

#[derive(Default)]
struct State {
    waiting: Vec<Asked>,
    alone: usize,
    carriers: usize,
    /// How many the carriers have under way.
    carried: usize,
    /// How many read at once lately: of those who were told a moment ago most are about to ask again.
    readers: usize,
    /// Whether the readers of one request are being told, and about to ask again.
    tells: bool,
    /// What an entry was like lately, in bytes.
    usual_size: usize,
    cells: Cells,
}

/// A read that waits or is on its way.
struct Asked {
    key: Key,
    watch: Watch,
    /// From when on the answer is waited for; `None`: he came while others were told, which takes no time that counts, so from
    /// when that ends, or he is taken along.
    since: Option<Instant>,
    /// Where its reader waits; `None`: he was told.
    place: Option<Place>,
}

/// A read of one who asks, from his first turn on, in which he enters.
struct Reading<'a> {
    store: &'a Arc<Store>,
    slot: &'a Arc<Slot>,
    asked: (&'a Key, Watch),
    carried: Option<Carried>,
}

/// How a read goes on: by itself, or having been carried.
enum Way<'a> {
    Alone(Alone<'a>),
    Told(Told),
}

/// One that goes alone, counted as long as it is under way.
struct Alone<'a>(&'a Batches);

/// A read that waits to be carried, or is on its way: no more than the place where it is told what was found. Dropped, nobody
/// waits for that any more.
pub(crate) struct Carried {
    slot: Arc<Slot>,
    place: Option<Place>,
}

impl Store {
    /// Reads an entry, its lease and the generations of its groups, in one round trip, which reads of others may share.
    ///
    /// # Cancellation
    /// The read may go on; nobody else's ends by it.
    pub(crate) async fn look_up(
        self: &Arc<Self>,
        key: &Key,
        watch: Watch,
    ) -> Result<Read, Trouble> {
        let slot = self.connector.reading()?;
        if self.loners.contain(key) {
            return self.look_up_alone(&slot, (key, watch), self.timeout).await;
        }
        let reading = Reading {
            store: self,
            slot: &slot,
            asked: (key, watch),
            carried: None,
        };
        match reading.await {
            Way::Told(Told::Read(read)) => read,
            Way::Alone(_alone) => self.look_up_alone(&slot, (key, watch), self.timeout).await,
            Way::Told(Told::AskAlone { since }) => self.look_up_after(key, watch, since).await,
        }
    }

    /// Joins those who are carried, having done what comes `before` that; `None`: the read is to go the way of [`look_up`],
    /// since none are, or it is to go alone.
    ///
    /// It is small, and no future of its own, where `look_up` is ready for all that may happen.
    ///
    /// [`look_up`]: Self::look_up
    pub(crate) fn join<T>(
        self: &Arc<Self>,
        (key, watch): (&Key, Watch),
        waker: &Waker,
        before: impl FnOnce() -> T,
    ) -> Option<(T, Carried)> {
        let slot = self.connector.reading().ok()?;
        // Relaxed: whoever sees it late goes his usual way.
        if !slot.batches.are_carried.load(Ordering::Relaxed) || self.loners.contain(key) {
            return None;
        }
        let before = before();
        // One that is to go alone after all is counted there.
        let place = slot.batches.enter(&slot, self, (key, watch), waker).ok();
        let place = Some(place?);
        Some((before, Carried { slot, place }))
    }

    /// The read of one who was told to ask for himself.
    pub(crate) async fn look_up_after(
        &self,
        key: &Key,
        watch: Watch,
        since: Instant,
    ) -> Result<Read, Trouble> {
        let slot = self.connector.reading()?;
        let waited = clock::now().saturating_duration_since(since);
        let left = self.timeout.saturating_sub(waited);
        self.look_up_alone(&slot, (key, watch), left).await
    }
}

impl Batches {
    /// Where he waits who has to; else his read goes alone.
    fn enter<'a>(
        &'a self,
        slot: &Arc<Slot>,
        store: &Arc<Store>,
        (key, watch): (&Key, Watch),
        waker: &Waker,
    ) -> Result<Place, Alone<'a>> {
        let mut state = self.lock();
        if state.carriers == 0 && state.alone < ALONE {
            state.alone += 1;
            return Err(Alone(self));
        }
        let place = state.cells.wait(waker.clone());
        let since = (!state.tells).then(clock::now);
        state.waiting.push(Asked {
            key: key.clone(),
            watch,
            since,
            place: Some(place),
        });
        state.count_readers();
        let carriers = state.carriers;
        let sends = carriers < CARRIERS && state.is_worth_another(carriers, state.share());
        state.carriers += usize::from(sends);
        if sends {
            self.note_carriers(&state);
        }
        drop(state);
        if sends {
            Carrier::new(slot, store).start();
        }
        Ok(place)
    }

    fn note_carriers(&self, state: &State) {
        let are_carried = state.carriers > 0;
        self.are_carried.store(are_carried, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// How many reads go in one request: fewer the larger the entries are.
    fn most_reads(&self) -> usize {
        (MOST_BYTES / self.usual_size.max(1)).clamp(ALONE, MOST_READS)
    }

    /// How many one carrier takes: its part of all, so that there is always some to be asked, answered and told.
    fn share(&self) -> usize {
        self.readers.div_ceil(CARRIERS).max(FEW)
    }

    /// Whether those who wait are worth a request beside those of so many other carriers, who take them otherwise: a second one
    /// soon, so that nobody waits for an answer before he is asked for, a further one for `enough`.
    fn is_worth_another(&self, others: usize, enough: usize) -> bool {
        match others {
            0 => true,
            1 => self.waiting.len() * WORTH >= self.carried,
            _ => self.waiting.len() >= enough,
        }
    }

    /// Nobody is told any more: who came meanwhile, and was not taken along, waits from now on.
    fn end_telling(&mut self, now: Instant) {
        self.tells = false;
        let came = self.waiting.iter_mut().rev();
        for asked in came.take_while(|asked| asked.since.is_none()) {
            asked.since = Some(now);
        }
    }

    fn count_readers(&mut self) {
        self.readers = self.readers.max(self.waiting.len() + self.carried);
    }

    /// They become fewer one by one.
    fn forget_readers(&mut self) {
        let all = self.waiting.len() + self.carried;
        self.readers -= (self.readers - all.min(self.readers)).div_ceil(FORGOTTEN);
    }
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        self.0.lock().alone -= 1;
    }
}

impl<'a> Future for Reading<'a> {
    type Output = Way<'a>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Way<'a>> {
        let waker = context.waker();
        if let Some(carried) = &mut self.carried {
            let told = carried.told(waker);
            return told.map_or(Poll::Pending, |told| Poll::Ready(Way::Told(told)));
        }
        let slot = self.slot;
        match slot.batches.enter(slot, self.store, self.asked, waker) {
            Err(alone) => Poll::Ready(Way::Alone(alone)),
            Ok(place) => {
                self.carried = Some(Carried {
                    slot: Arc::clone(slot),
                    place: Some(place),
                });
                Poll::Pending
            }
        }
    }
}

impl Carried {
    /// What was told to him who waits; `None`: nothing yet, and it is he who is to be woken.
    pub(crate) fn told(&mut self, waker: &Waker) -> Option<Told> {
        // Whoever was to be woken before is dropped without the lock.
        let taken = self.slot.batches.lock().cells.take(self.place?, waker);
        let told = taken.ok()?;
        self.place = None;
        Some(told)
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            let left = self.slot.batches.lock().cells.leave(place);
            drop(left);
        }
    }
}

/// Keys that are not read together with others, because that would hold up or fail those.
pub(super) struct Loners {
    any: AtomicBool,
    stripes: Box<[AtomicBool]>,
}

impl Default for Loners {
    fn default() -> Self {
        Self {
            any: AtomicBool::new(false),
            stripes: (0..STRIPES).map(|_| AtomicBool::new(false)).collect(),
        }
    }
}

// Relaxed: each flag stands for itself, and one seen late costs a read in company.
impl Loners {
    fn contain(&self, key: &Key) -> bool {
        self.any.load(Ordering::Relaxed)
            && self
                .stripe(key)
                .is_some_and(|stripe| stripe.load(Ordering::Relaxed))
    }

    pub(super) fn note(&self, key: &Key, alone: bool) {
        if !alone && !self.any.load(Ordering::Relaxed) {
            return;
        }
        if let Some(stripe) = self.stripe(key) {
            stripe.store(alone, Ordering::Relaxed);
        }
        if alone {
            self.any.store(true, Ordering::Relaxed);
        }
    }

    fn stripe(&self, key: &Key) -> Option<&AtomicBool> {
        let stripes = u64::try_from(self.stripes.len()).unwrap_or(1);
        let at = xxh3_64(key.as_str().as_bytes()) % stripes.max(1);
        self.stripes.get(usize::try_from(at).unwrap_or_default())
    }
}

/// Whether a refusal may be that of one key among those that were asked for.
pub(super) fn concerns_one_key(trouble: &Trouble) -> bool {
    match trouble {
        Trouble::Refused(refusal) => refusal.class.scope() == Scope::Key,
        _ => false,
    }
}

impl fmt::Debug for Batches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batches").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
