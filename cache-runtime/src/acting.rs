//! Acting on a call itself: given any cached function or method, the call names the entry.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use crate::error::{Error, ErrorKind};
use crate::intent::{Intent, Purpose, Reached, entry_of};
use crate::invalidate::Pending;
use crate::invalidated::{Invalidated, Reach};
use crate::log;
use crate::traced::{Trace, Traced};

/// The key of the entry that a call is about, as [`Cache::get`](crate::Cache::get) and its kin take it: without the cache's
/// key prefix. Also where the cache is disabled, and whether or not there is an entry. The body does not run.
///
/// ```
/// # use cache_runtime::cached;
/// #[cached(prefix = "video")]
/// async fn title(id: u64) -> String {
///     unreachable!("the body does not run")
/// }
///
/// # fn main() -> Result<(), cache_runtime::Error> {
/// assert_eq!(cache_runtime::key_of(title(42))?, "video:title:42");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// A call that does not come to a cached function at once ([`ErrorKind::NotCached`]); an argument that cannot be part of a
/// key ([`ErrorKind::Key`]).
pub fn key_of<F: Future>(call: F) -> Result<String, Error> {
    let entry = entry_of(call)?;
    let (key, root) = (entry.key.as_str(), entry.cache.root());
    let below = key.strip_prefix(root).filter(|_| !root.is_empty());
    let below = below.and_then(|below| below.strip_prefix(':'));
    Ok(below.unwrap_or(key).to_owned())
}

/// Drops the entry that a call is about, everywhere. The body does not run.
///
/// In this process it holds at once. What it achieved beyond is in the answer: where Redis could not be told, it is
/// remembered, and replayed before this process trusts Redis again.
///
/// ```
/// # use cache_runtime::cached;
/// #[cached(prefix = "video")]
/// async fn title(id: u64) -> String {
///     format!("Video number {id}")
/// }
///
/// # async fn example() -> Result<(), cache_runtime::Error> {
/// title(42).await;
/// cache_runtime::invalidate(title(42)).await?;
/// assert_eq!(cache_runtime::peek(title(42)).await, None);
/// # Ok(())
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(example()).unwrap();
/// ```
///
/// # Errors
/// As [`key_of`]; a closed cache.
///
/// # Cancellation
/// Dropped while Redis is told, the entry is dropped all the same.
pub async fn invalidate<F: Future>(call: F) -> Result<Invalidated, Error> {
    let entry = entry_of(call)?;
    if entry.cache.closed.load(Ordering::Relaxed) {
        return Err(Error::new(ErrorKind::Closed, "the cache is closed"));
    }
    if !entry.cache.is_enabled() {
        let reason = "the cache is disabled".to_owned();
        return Ok(Invalidated::unconfirmed(Reach::Nowhere, 0, reason));
    }
    entry.counters.invalidations.one();
    let mut pending = Pending::of_entries(&entry.cache, [&entry.key]);
    Ok(pending.settle().await)
}

/// What a call would return without running its body: what the process or Redis has, or `None`. An expired value counts
/// where the call would return it while another is loaded. It is a read like any other, so what Redis has is kept in
/// process. Nothing is loaded, and no load that is under way is waited for.
///
/// `None` also where the cache is disabled, Redis does not answer and the process has nothing, or an argument cannot be part
/// of a key or a tag. A call that does not come to a cached function at once is `None`, and logged at ERROR.
///
/// ```
/// # use cache_runtime::cached;
/// #[cached(prefix = "video")]
/// async fn title(id: u64) -> Result<String, std::io::Error> {
///     Ok(format!("Video number {id}"))
/// }
///
/// # async fn example() -> Result<(), std::io::Error> {
/// assert!(cache_runtime::peek(title(42)).await.is_none());
/// title(42).await?;
/// let there = cache_runtime::peek(title(42)).await;
/// assert_eq!(there.transpose()?.as_deref(), Some("Video number 42"));
/// # Ok(())
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(example()).unwrap();
/// ```
///
/// # Cancellation
/// Dropping this leaves nothing behind.
pub async fn peek<F: Future>(call: F) -> Option<F::Output> {
    let intent = Intent::new(Purpose::Peek);
    let mut call = pin!(call);
    // At once it comes to a cached function, or it is another kind of call, whose own work is not to be done.
    let mut reached = false;
    poll_fn(|context| {
        let polled = intent.poll(call.as_mut(), context);
        match (intent.reached(), polled) {
            (Reached::Nowhere, _) if !reached => {
                log::reaches_nothing("peek");
                Poll::Ready(None)
            }
            (Reached::Nothing | Reached::Unnamed(_) | Reached::NoCache(_), _) => Poll::Ready(None),
            (_, Poll::Ready(returned)) => Poll::Ready(Some(returned)),
            (_, Poll::Pending) => {
                reached = true;
                Poll::Pending
            }
        }
    })
    .await
}

/// Runs a call's body whatever is cached, stores what it returned in place of that, and returns it.
///
/// It is a load like any other: it shares one that is under way where `coalesce` says so, and what is invalidated meanwhile
/// it does not store. What it could not store does not leave the old entry behind. Where the body returns an error, that is
/// returned, never a stale value, and the old entry stays.
/// Where the cache is disabled the body runs, as in any call. A call that comes to no cached function is run as it is, and
/// logged at ERROR.
///
/// ```
/// # use std::sync::atomic::{AtomicU64, Ordering};
/// # use cache_runtime::cached;
/// #[cached(prefix = "sales")]
/// async fn count() -> u64 {
///     # static COUNT: AtomicU64 = AtomicU64::new(0);
///     COUNT.fetch_add(1, Ordering::Relaxed)
/// }
///
/// # async fn example() {
/// assert_eq!(count().await, 0);
/// assert_eq!(cache_runtime::refresh(count()).await, 1);
/// assert_eq!(count().await, 1);
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(example());
/// ```
///
/// # Cancellation
/// Dropping this drops the body, and the old entry stays; whoever waits for the same load takes over.
pub async fn refresh<F: Future>(call: F) -> F::Output {
    run("refresh", &Intent::new(Purpose::Refresh), call).await
}

/// What a call returns, with where it came from and how old it is. It is a call like any other, and runs its body where any
/// other would.
///
/// What is found is told of the first cached function that the call comes to, not of those inside its body. Where the body
/// returns an error, the source is [`Source::Load`](crate::Source::Load), as it is where nothing is cached. A call that comes to no cached function
/// is run as it is, and logged at ERROR.
///
/// ```
/// # use cache_runtime::cached;
/// use cache_runtime::{Source, traced};
///
/// #[cached(prefix = "video")]
/// async fn title(id: u64) -> String {
///     format!("Video number {id}")
/// }
///
/// # async fn example() {
/// let first = traced(title(42)).await;
/// assert_eq!((first.source, first.age.as_secs()), (Source::Load, 0));
/// let second = traced(title(42)).await;
/// assert_eq!(second.source, Source::Near);
/// assert_eq!(second.value, "Video number 42");
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(example());
/// ```
///
/// # Cancellation
/// As that of the call.
pub async fn traced<F: Future>(call: F) -> Traced<F::Output> {
    let intent = Intent::new(Purpose::Trace);
    let value = run("traced", &intent, call).await;
    let trace = intent.trace().unwrap_or(Trace::loaded());
    Traced {
        value,
        source: trace.source,
        age: trace.age,
        coalesced: trace.coalesced,
    }
}

/// Runs a call, the first cached function of which finds the intent.
async fn run<F: Future>(what: &str, intent: &Arc<Intent>, call: F) -> F::Output {
    let mut call = pin!(call);
    let mut reached = false;
    let returned = poll_fn(|context| {
        if reached {
            return call.as_mut().poll(context);
        }
        let polled = intent.poll(call.as_mut(), context);
        reached = !matches!(intent.reached(), Reached::Nowhere);
        polled
    })
    .await;
    if !reached {
        log::reaches_nothing(what);
    }
    returned
}
