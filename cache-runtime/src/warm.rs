//! Warming: the entries of many calls are loaded, so many at once, where they are not there.
//!
//! The calls are polled by the task that awaits this and by no other, so nothing goes on once it is dropped.

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::iter::Fuse;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use serde::Serialize;

use crate::intent::{Intent, Purpose, Reached};
use crate::log;
use crate::traced::Source;

/// How many calls are under way at once, where nothing is said.
const CONCURRENCY: usize = 16;

/// Loads the entries of many calls, where they are not there: at start, or after something that invalidated them.
///
/// Awaited, it makes the calls, 16 at once unless [`concurrency`](Warm::concurrency) says otherwise, and answers what became
/// of them. Each is a call like any other, and shares the loads of others, with two differences: an expired value is loaded
/// anew whatever the function allows, and where nothing is cached (the cache is disabled or not installed, the call bypasses
/// it, its key cannot be written) the body does not run. A call that comes to no cached function at once is dropped, and logged at ERROR.
/// A body that fails is counted, and the rest goes on.
///
/// The iterator is asked for the next call when there is room for it. Calls of several functions are several warmings, one
/// after another or joined, or boxed futures in one.
///
/// ```
/// # use cache_runtime::cached;
/// #[cached(prefix = "video")]
/// async fn title(id: u64) -> Result<String, std::io::Error> {
///     Ok(format!("Video number {id}"))
/// }
///
/// # async fn example() -> Result<(), std::io::Error> {
/// title(1).await?;
/// let warmed = cache_runtime::warm((1..=100).map(title))
///     .concurrency(8)
///     .on_progress(|warmed| println!("{} of 100", warmed.done()))
///     .await;
/// assert_eq!((warmed.loaded, warmed.already_there, warmed.failed), (99, 1, 0));
/// # Ok(())
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(example()).unwrap();
/// ```
///
/// # Panics
/// Where a body or the callback does, and where the iterator does.
///
/// # Cancellation
/// Dropping this drops the calls that are under way, as if each had been dropped; what was stored stays.
pub fn warm<C>(calls: C) -> Warm<C::IntoIter, fn(&Warmed)>
where
    C: IntoIterator,
    C::Item: Future,
{
    Warm {
        calls: calls.into_iter().fuse(),
        concurrency: CONCURRENCY,
        on_progress: |_| (),
        places: Vec::new(),
        board: Arc::default(),
        warmed: Warmed::default(),
        said: false,
    }
}

/// What became of the calls so far.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Warmed {
    /// Loaded by this, or by somebody else whose load was waited for.
    ///
    /// What could not be stored, because Redis refused it or it was invalidated meanwhile, counts as well: a body was run.
    pub loaded: u64,
    /// There already, and not expired.
    pub already_there: u64,
    /// The body returned an error.
    pub failed: u64,
    /// Not cached at all, so not loaded either.
    pub skipped: u64,
}

impl Warmed {
    /// How many calls are done, in whatever way.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.loaded + self.already_there + self.failed + self.skipped
    }
}

/// What [`warm`] is about to do, or does while it is awaited.
#[must_use = "it does nothing unless it is awaited"]
pub struct Warm<I, P>
where
    I: Iterator,
    I::Item: Future,
{
    calls: Fuse<I>,
    concurrency: usize,
    on_progress: P,
    places: Vec<Place<I::Item>>,
    board: Arc<Board>,
    warmed: Warmed,
    /// Whether it was said that a call comes to no cached function.
    said: bool,
}

/// Where one call after another is made.
struct Place<F> {
    call: Option<Warming<F>>,
    waker: Waker,
}

/// A call under way.
struct Warming<F> {
    call: Pin<Box<F>>,
    intent: Arc<Intent>,
    /// Whether it has come to a cached function.
    reached: bool,
}

/// What became of a call.
enum Fate {
    Loaded,
    AlreadyThere,
    Failed,
    Skipped,
    /// It comes to no cached function.
    Strange,
}

impl<I, P> Warm<I, P>
where
    I: Iterator,
    I::Item: Future,
{
    /// How many calls are under way at once; at least one. Default: 16.
    pub fn concurrency(mut self, calls: usize) -> Self {
        self.concurrency = calls.max(1);
        self
    }

    /// What is told after each call how far it is. It is called in the task that awaits this, and holds up the rest.
    pub fn on_progress<Q: FnMut(&Warmed)>(self, on_progress: Q) -> Warm<I, Q> {
        Warm {
            calls: self.calls,
            concurrency: self.concurrency,
            on_progress,
            places: self.places,
            board: self.board,
            warmed: self.warmed,
            said: self.said,
        }
    }

    /// Begins calls while there is room for them, each to go on when it is next asked who can; answers whether there are any.
    fn begin(&mut self) -> bool {
        let mut begun = false;
        for at in 0..self.concurrency {
            let free = self.places.get(at).is_none_or(|place| place.call.is_none());
            if !free {
                continue;
            }
            let Some(call) = self.calls.next() else {
                break;
            };
            let call = Some(Warming::new(call));
            match self.places.get_mut(at) {
                Some(place) => place.call = call,
                None => self.places.push(Place {
                    call,
                    waker: self.board.bell(at),
                }),
            }
            self.board.lock().places.insert(at);
            begun = true;
        }
        begun
    }

    fn is_done(&self) -> bool {
        self.places.iter().all(|place| place.call.is_none())
    }
}

impl<I, P> Future for Warm<I, P>
where
    I: Iterator,
    I::Item: Future,
    P: FnMut(&Warmed),
{
    type Output = Warmed;

    /// Every call that can go on does so once, and then it is others' turn: what is found in the process is found at once, and
    /// many of these must not keep the thread.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Warmed> {
        let warm = self.get_mut();
        warm.board.listen(context.waker());
        warm.begin();
        for at in warm.board.rung() {
            let Some(fate) = warm.places.get_mut(at).and_then(Place::go_on) else {
                continue;
            };
            if matches!(fate, Fate::Strange) && !warm.said {
                warm.said = true;
                log::reaches_nothing("warm");
            }
            warm.warmed.count(&fate);
            (warm.on_progress)(&warm.warmed);
        }
        if warm.begin() {
            context.waker().wake_by_ref();
        }
        match warm.is_done() {
            true => Poll::Ready(warm.warmed),
            false => Poll::Pending,
        }
    }
}

/// The calls are boxed, and nothing else is pinned.
impl<I, P> Unpin for Warm<I, P>
where
    I: Iterator,
    I::Item: Future,
{
}

impl Warmed {
    fn count(&mut self, fate: &Fate) {
        let counter = match fate {
            Fate::Loaded => &mut self.loaded,
            Fate::AlreadyThere => &mut self.already_there,
            Fate::Failed => &mut self.failed,
            Fate::Skipped | Fate::Strange => &mut self.skipped,
        };
        *counter += 1;
    }
}

impl<F: Future> Place<F> {
    /// What became of the call, once it has ended.
    fn go_on(&mut self) -> Option<Fate> {
        let mut context = Context::from_waker(&self.waker);
        match self.call.as_mut()?.poll(&mut context) {
            Poll::Ready(fate) => {
                self.call = None;
                Some(fate)
            }
            Poll::Pending => None,
        }
    }
}

impl<F: Future> Warming<F> {
    fn new(call: F) -> Self {
        Self {
            call: Box::pin(call),
            intent: Intent::new(Purpose::Warm),
            reached: false,
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Fate> {
        if self.reached {
            return self.call.as_mut().poll(context).map(|_| self.fate());
        }
        let polled = self.intent.poll(self.call.as_mut(), context);
        match (self.intent.reached(), polled) {
            (Reached::Nowhere, _) => Poll::Ready(Fate::Strange),
            (Reached::Nothing | Reached::Unnamed(_) | Reached::NoCache(_), _) => {
                Poll::Ready(Fate::Skipped)
            }
            (Reached::Function | Reached::Entry(_), Poll::Ready(_)) => Poll::Ready(self.fate()),
            (Reached::Function | Reached::Entry(_), Poll::Pending) => {
                self.reached = true;
                Poll::Pending
            }
        }
    }

    fn fate(&self) -> Fate {
        match self.intent.trace() {
            None => Fate::Skipped,
            Some(trace) if trace.failed => Fate::Failed,
            Some(trace) if trace.coalesced => Fate::Loaded,
            Some(trace) => match trace.source {
                Source::Load => Fate::Loaded,
                Source::Near | Source::Redis => Fate::AlreadyThere,
                // Not to a call that warms.
                Source::Stale => Fate::Failed,
            },
        }
    }
}

/// Which calls can go on.
#[derive(Default)]
struct Board(Mutex<Rung>);

#[derive(Default)]
struct Rung {
    places: BTreeSet<usize>,
    waker: Option<Waker>,
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, Rung> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whom to wake when a call can go on.
    fn listen(&self, waker: &Waker) {
        let mut rung = self.lock();
        match &mut rung.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    fn rung(&self) -> BTreeSet<usize> {
        std::mem::take(&mut self.lock().places)
    }

    fn ring(&self, at: usize) {
        let waker = {
            let mut rung = self.lock();
            rung.places.insert(at);
            rung.waker.clone()
        };
        // Outside the lock: whoever is woken may come here.
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn bell(self: &Arc<Self>, at: usize) -> Waker {
        Waker::from(Arc::new(Bell {
            board: Arc::clone(self),
            at,
        }))
    }
}

struct Bell {
    board: Arc<Board>,
    at: usize,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.board.ring(self.at);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.board.ring(self.at);
    }
}

impl<I, P> fmt::Debug for Warm<I, P>
where
    I: Iterator,
    I::Item: Future,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Warm")
            .field("concurrency", &self.concurrency)
            .field("warmed", &self.warmed)
            .finish_non_exhaustive()
    }
}
