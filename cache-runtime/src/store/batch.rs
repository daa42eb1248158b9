//! Reads that wait together travel together.
//!
//! While few are under way a read goes alone, at once. Beyond that it waits for a carrier: a task that takes along whoever waits,
//! in one request. No caller carries another's read, so whoever goes away leaves all others where they are.

mod carrier;
mod packed;

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use xxhash_rust::xxh3::xxh3_64;

use super::redis::Store;
use super::slots::Slot;
use super::{Read, Scope, Trouble, Watch};
use crate::clock::{self, Instant};
use crate::key::Key;
use carrier::Carrier;
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
pub(super) struct Batches(Mutex<State>);

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
    /// Those that nobody uses any more: a read that waits allocates nothing.
    spare: Vec<Arc<Reader>>,
}

/// One who waits, as those see him who carry his read.
struct Reader(Mutex<Answer>);

enum Answer {
    Awaited(Option<Waker>),
    There(Told),
    /// He has gone away, or taken it.
    Done,
}

/// What is told to one who waits.
enum Told {
    Read(Result<Read, Trouble>),
    /// Something was refused to one of those who asked together: each is to ask for himself, within the deadline that began
    /// then.
    AskAlone {
        since: Instant,
    },
}

/// A read that waits or is on its way. If it is lost with the task that carries it, its reader is told so.
struct Asked {
    key: Key,
    watch: Watch,
    /// From when on the answer is waited for.
    since: Instant,
    reader: Option<Arc<Reader>>,
}

/// How a read goes on.
enum Way<'a> {
    Alone(Alone<'a>),
    Along(Waiting<'a>),
}

/// One that goes alone, counted as long as it is under way.
struct Alone<'a>(&'a Batches);

/// One that is carried.
struct Waiting<'a> {
    batches: &'a Batches,
    reader: Option<Arc<Reader>>,
    /// Whether whoever polls next is known to be woken: he does so in the same turn in which he entered.
    will_wake: bool,
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
        let enter = |context: &mut Context<'_>| {
            let asked = (key, watch);
            Poll::Ready(slot.batches.enter(&slot, self, asked, context.waker()))
        };
        let waiting = match poll_fn(enter).await {
            Way::Alone(_alone) => {
                return self.look_up_alone(&slot, (key, watch), self.timeout).await;
            }
            Way::Along(waiting) => waiting,
        };
        match waiting.await {
            Told::Read(read) => read,
            Told::AskAlone { since } => {
                let waited = clock::now().saturating_duration_since(since);
                let left = self.timeout.saturating_sub(waited);
                self.look_up_alone(&slot, (key, watch), left).await
            }
        }
    }
}

impl Batches {
    fn enter<'a>(
        &'a self,
        slot: &Arc<Slot>,
        store: &Arc<Store>,
        (key, watch): (&Key, Watch),
        waker: &Waker,
    ) -> Way<'a> {
        let mut state = self.lock();
        if state.carriers == 0 && state.alone < ALONE {
            state.alone += 1;
            return Way::Alone(Alone(self));
        }
        let mut reader = state.spare.pop().unwrap_or_default();
        if let Some(reader) = Arc::get_mut(&mut reader) {
            *reader = Reader(Mutex::new(Answer::Awaited(Some(waker.clone()))));
        }
        state.waiting.push(Asked {
            key: key.clone(),
            watch,
            since: clock::now(),
            reader: Some(Arc::clone(&reader)),
        });
        state.count_readers();
        let carriers = state.carriers;
        let sends = carriers < CARRIERS && state.is_worth_another(carriers, state.share());
        state.carriers += usize::from(sends);
        drop(state);
        if sends {
            Carrier::new(slot, store).start();
        }
        Way::Along(Waiting {
            batches: self,
            reader: Some(reader),
            will_wake: true,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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

impl Default for Reader {
    fn default() -> Self {
        Self(Mutex::new(Answer::Awaited(None)))
    }
}

impl Reader {
    fn lock(&self) -> MutexGuard<'_, Answer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Asked {
    /// Whether anybody still waits for it: whoever goes away lets go of his record.
    fn is_awaited(&self) -> bool {
        let reader = self.reader.as_ref();
        reader.is_some_and(|reader| Arc::strong_count(reader) > 1)
    }

    fn tell(&mut self, told: Told) {
        let Some(reader) = self.reader.take() else {
            return;
        };
        let mut answer = reader.lock();
        let waker = match &mut *answer {
            Answer::Awaited(waker) => waker.take(),
            Answer::There(_) | Answer::Done => return,
        };
        *answer = Answer::There(told);
        drop(answer);
        // Before he is woken, who gives it back for the next one to use, if nobody else has it.
        drop(reader);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if self.reader.is_some() {
            let lost = "the runtime in which it was asked has ended".to_owned();
            self.tell(Told::Read(Err(Trouble::Unreachable(lost))));
        }
    }
}

impl Future for Waiting<'_> {
    type Output = Told;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Told> {
        if std::mem::take(&mut self.will_wake) {
            return Poll::Pending;
        }
        let Some(reader) = &self.reader else {
            return Poll::Pending;
        };
        let mut answer = reader.lock();
        match &mut *answer {
            Answer::Awaited(Some(waker)) => waker.clone_from(context.waker()),
            Answer::Awaited(waker) => *waker = Some(context.waker().clone()),
            Answer::There(_) => {
                if let Answer::There(told) = std::mem::replace(&mut *answer, Answer::Done) {
                    return Poll::Ready(told);
                }
            }
            Answer::Done => {}
        }
        Poll::Pending
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let Some(mut reader) = self.reader.take() else {
            return;
        };
        if Arc::get_mut(&mut reader).is_none() {
            *reader.lock() = Answer::Done;
        }
        // Another may use it, unless somebody still has it who would tell him what was meant for this one.
        if let Some(own) = Arc::get_mut(&mut reader) {
            *own = Reader::default();
            let mut state = self.batches.lock();
            if state.spare.len() < MOST_READS {
                state.spare.push(reader);
            }
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
