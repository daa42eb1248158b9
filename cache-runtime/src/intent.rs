//! What is to become of a call that its caller acts on: [`peek`](crate::peek) and its kin.
//!
//! An intent is in force while its owner polls the call. The first cached function that is reached finds it where it
//! finds the text of its key, so a call without one pays nothing, and obeys it in place of running its body.

use std::cell::RefCell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::call::Call;
use crate::error::{Error, ErrorKind};
use crate::inner::Inner;
use crate::traced::Trace;

/// What is to become of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// It says which entry it is about, and waits to be dropped.
    Name,
    /// It returns what is cached, or waits to be dropped.
    Peek,
    /// It loads, whatever is cached.
    Refresh,
    /// It goes on as ever, and notes where its value comes from.
    Trace,
    /// The same, and no expired value is one; where nothing is cached it waits to be dropped.
    Warm,
}

/// What is to become of one call, and what did.
pub(crate) struct Intent {
    pub(crate) purpose: Purpose,
    outcome: Mutex<Reached>,
    /// Where the value came from, as far as that is known.
    trace: Mutex<Option<Trace>>,
    /// Whether it is put together of several.
    gathers: AtomicBool,
}

/// How far a call has come.
pub(crate) enum Reached {
    /// To no cached function.
    Nowhere,
    /// To one that goes on.
    Function,
    /// To the entry that it names.
    Entry(Box<Call>),
    /// To the end of what there is: nothing is cached.
    Nothing,
    /// To a function that cannot name its entry.
    Unnamed(Unnamed),
    /// To a function whose cache, of that name, was never installed.
    NoCache(&'static str),
}

/// An entry that has no name.
#[derive(Debug)]
pub(crate) struct Unnamed {
    /// Why.
    pub(crate) problem: String,
    /// Where it would stand.
    pub(crate) cache: Arc<Inner>,
    pub(crate) prefix: String,
}

impl Unnamed {
    pub(crate) fn new(problem: String, cache: &Arc<Inner>, prefix: String) -> Self {
        Self {
            problem,
            cache: Arc::clone(cache),
            prefix,
        }
    }
}

/// Whether any call was ever acted on, so that programs that never do so need not look.
static EVER: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// In force while its owner polls a call.
    static HERE: RefCell<Option<Arc<Intent>>> = const { RefCell::new(None) };
}

/// Whether there is one on this thread.
#[inline]
pub(crate) fn is_here() -> bool {
    // Relaxed: whoever is inside of a call that is acted on has seen it set, or is not inside of one.
    EVER.load(Ordering::Relaxed) && holds()
}

/// Takes the intent from this thread, for a function that can `obey` it: one that is not async can neither wait, nor return
/// anything without its body.
pub(crate) fn take(obey: bool) -> Option<Arc<Intent>> {
    HERE.with_borrow_mut(|here| here.take_if(|_| obey))
}

/// Gives it back.
pub(crate) fn put(intent: Arc<Intent>) {
    HERE.set(Some(intent));
}

/// Whether no body may run on behalf of what is polled on this thread.
#[cold]
pub(crate) fn holds() -> bool {
    HERE.with_borrow(Option::is_some)
}

/// Runs a body of which no intent is meant.
pub(crate) fn aside<R>(body: impl FnOnce() -> R) -> R {
    let _before = Before(HERE.take());
    body()
}

impl Intent {
    pub(crate) fn new(purpose: Purpose) -> Arc<Self> {
        Arc::new(Self {
            purpose,
            outcome: Mutex::new(Reached::Nowhere),
            trace: Mutex::new(None),
            gathers: AtomicBool::new(false),
        })
    }

    /// Whether the calls after the first one are to find it as well: those inside a body that runs are not meant, and
    /// where none may run there is none that is.
    pub(crate) fn stays(&self) -> bool {
        match self.purpose {
            Purpose::Name | Purpose::Peek => true,
            Purpose::Refresh | Purpose::Trace => false,
            Purpose::Warm => {
                let outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
                matches!(
                    *outcome,
                    Reached::Nothing | Reached::Unnamed(_) | Reached::NoCache(_)
                )
            }
        }
    }

    /// Whether it is asked where the value comes from.
    pub(crate) fn traces(&self) -> bool {
        matches!(self.purpose, Purpose::Trace | Purpose::Warm)
    }

    /// Notes where the value comes from, unless another one is returned; or a part of it, where they are gathered.
    pub(crate) fn note(&self, trace: Trace) {
        let mut noted = self.trace.lock().unwrap_or_else(PoisonError::into_inner);
        let parts = noted.filter(|_| self.gathers.load(Ordering::Relaxed));
        *noted = Some(parts.map_or(trace, |parts| parts.and(trace)));
    }

    /// From now on the value is one of many parts.
    pub(crate) fn gather(&self) {
        self.gathers.store(true, Ordering::Relaxed);
    }

    /// Corrects what was noted.
    pub(crate) fn amend(&self, correct: impl FnOnce(&mut Trace)) {
        let mut trace = self.trace.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(trace) = &mut *trace {
            correct(trace);
        }
    }

    /// Where the value came from; `None` where no cache was touched.
    pub(crate) fn trace(&self) -> Option<Trace> {
        *self.trace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes how far the call has come. The first entry counts, and what is certain is not taken back.
    pub(crate) fn reach(&self, reached: Reached) {
        let mut outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*outcome, Reached::Nowhere | Reached::Function) {
            *outcome = reached;
        }
    }

    /// How far the call has come, once.
    pub(crate) fn reached(&self) -> Reached {
        let mut outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        match *outcome {
            Reached::Function => Reached::Function,
            _ => std::mem::replace(&mut *outcome, Reached::Nowhere),
        }
    }

    /// Polls a call while this is in force.
    pub(crate) fn poll<F: Future>(
        self: &Arc<Self>,
        call: Pin<&mut F>,
        context: &mut Context<'_>,
    ) -> Poll<F::Output> {
        EVER.store(true, Ordering::Relaxed);
        let own = Some(Arc::clone(self));
        let _before = Before(HERE.replace(own));
        call.poll(context)
    }
}

/// What was in force before, and is again once this is dropped.
struct Before(Option<Arc<Intent>>);

impl Drop for Before {
    fn drop(&mut self) {
        HERE.set(self.0.take());
    }
}

/// Why a call names no entry.
#[derive(Debug)]
pub(crate) enum NoEntry {
    /// It reaches no cached function.
    NotCached,
    Unnamed(Unnamed),
    /// The cache of that name was never installed.
    NoCache(&'static str),
}

/// A call that may name an entry, and what it returns. The type of that is a parameter, so that what is no call is one error.
#[diagnostic::on_unimplemented(
    message = "`entry` takes a call of a cached `async` function, but this is a `{Self}`",
    label = "this is no future",
    note = "the entry of a function that is not `async` is named by its `key`: `#[cache_invalidate(prefix = \"user\", key = \"{{id}}\")]`"
)]
pub trait NamesAnEntry<T>: Future<Output = T> {}

#[diagnostic::do_not_recommend]
impl<T, F: Future<Output = T>> NamesAnEntry<T> for F {}

/// The entry that a call is about. The call is polled once, and its body does not run.
pub(crate) fn entry_of<F: Future>(call: F) -> Result<Box<Call>, NoEntry> {
    let intent = Intent::new(Purpose::Name);
    let call = pin!(call);
    let _ = intent.poll(call, &mut Context::from_waker(Waker::noop()));
    match intent.reached() {
        Reached::Entry(entry) => Ok(entry),
        Reached::Unnamed(unnamed) => Err(NoEntry::Unnamed(unnamed)),
        Reached::NoCache(name) => Err(NoEntry::NoCache(name)),
        Reached::Nowhere | Reached::Function | Reached::Nothing => Err(NoEntry::NotCached),
    }
}

impl From<NoEntry> for Error {
    fn from(none: NoEntry) -> Self {
        match none {
            NoEntry::NotCached => Self::new(
                ErrorKind::NotCached,
                "the call reaches no cached function at once; give it the future of an annotated one, not awaited",
            ),
            NoEntry::NoCache(name) => Self::new(
                ErrorKind::NotCached,
                format!("there is no cache `{name}`; install it before the first call"),
            ),
            NoEntry::Unnamed(Unnamed {
                problem, prefix, ..
            }) => {
                let problem =
                    format!("an argument of `{prefix}` cannot be part of a key: {problem}");
                Self::new(ErrorKind::Key, problem)
            }
        }
    }
}
