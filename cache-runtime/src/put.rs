//! Write-through: what a mutating function returns becomes the entry of a cached one.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::call::Call;
use crate::clock;
use crate::intent::{self, NoEntry, Unnamed};
use crate::invalidate::{Doomed, Pending};
use crate::key;
use crate::log;
use crate::many;
use crate::outcome::{Outcome, Returns};
use crate::stats::Counters;
use crate::value::{Hands, Shared, Value};

/// One writing function.
#[derive(Debug)]
pub struct PutSite {
    function: &'static str,
}

impl PutSite {
    /// A writing function of that name.
    #[must_use]
    pub const fn new(function: &'static str) -> Self {
        Self { function }
    }
}

/// A value of the type that an entry holds.
#[diagnostic::on_unimplemented(
    message = "this function returns `{Self}`, but the entry holds `{T}`",
    label = "this would become the entry",
    note = "what is compared is the `Ok` of a `Result`; return what the function of `entry` returns, or use `#[cache_invalidate(entry = ..)]`"
)]
pub trait HoldsThe<T> {}

#[diagnostic::do_not_recommend]
impl<T> HoldsThe<T> for T {}

/// An entry that a call names, or why it does not.
#[derive(Debug)]
pub struct Entry(Result<Box<Call>, NoEntry>);

/// The entry that a call names, and what stands for what the call returns.
pub fn entry<F: Future>(call: F) -> (Entry, Returns<F::Output>) {
    (Entry(intent::entry_of(call)), Returns::HERE)
}

/// One call of a writing function.
pub struct Put<O: Outcome> {
    /// What is written; `None` where it cannot be.
    entry: Option<Box<Call>>,
    /// What is forgotten unless it is written; `None` where the cache is disabled.
    old: Option<Pending>,
    /// How long the entry lives; `None`: as long as what its own function stores.
    ttl: Option<Duration>,
    hands: Hands<O::Value>,
}

impl<O: Outcome> std::fmt::Debug for Put<O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Put")
            .field("old", &self.old)
            .finish_non_exhaustive()
    }
}

/// Begins a call of a writing function: decides which entry it writes.
pub fn put<E, O>(site: &'static PutSite, entry: Entry, _read: E, _returned: O) -> Put<O>
where
    E: Outcome,
    O: Outcome,
    O::Value: Value + HoldsThe<E::Value>,
{
    let mut put = Put {
        entry: None,
        old: None,
        ttl: None,
        hands: Hands::new(),
    };
    match entry.0 {
        Ok(entry) if entry.cache.is_enabled() => {
            put.old = Some(Pending::of_entries(&entry.cache, [&entry.key]));
            // Whoever invalidates by a tag that could not be written would not reach it.
            let reached = entry.terms.tagging == 0 || entry.key.tags().next().is_some();
            put.entry = reached.then_some(entry);
        }
        // Where nothing can be kept, nothing is to be forgotten.
        Ok(_) | Err(NoEntry::NoCache(_)) => {}
        // Without its key the entry cannot be named, but everything around it can.
        Err(NoEntry::Unnamed(Unnamed { cache, prefix, .. })) => {
            let mut doomed = Doomed::default();
            doomed.level(key::below(cache.root(), &prefix));
            put.old = Some(Pending::new(&cache, doomed));
        }
        Err(NoEntry::NotCached) => log::reaches_nothing(site.function),
    }
    put
}

impl<O: Outcome> Put<O> {
    /// Sets how long the entry lives.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Runs the body, and stores what it returned. Where there is nothing to store, or it cannot be stored, the old entry is
    /// forgotten.
    ///
    /// # Cancellation
    /// Dropped while the body runs or the value is stored, this forgets the old entry all the same.
    pub async fn run<F>(self, body: Pin<&mut F>) -> O::Returned
    where
        F: Future<Output = O::Returned>,
    {
        let Some(mut old) = self.old else {
            return body.await;
        };
        old.arm();
        match (O::split(body.await), self.entry) {
            (Ok(value), Some(entry)) => {
                let shared = (self.hands.share)(&value);
                // Without their type, which the compiler would have to look through wherever this is called.
                let stored: Pin<Box<dyn Future<Output = bool> + Send>> =
                    Box::pin(store(entry, shared, self.ttl));
                match stored.await {
                    true => old.disarm(),
                    false => drop(old.settle().await),
                }
                O::join(value)
            }
            (Ok(value), None) => {
                let _ = old.settle().await;
                O::join(value)
            }
            (Err(returned), _) => {
                let _ = old.settle().await;
                returned
            }
        }
    }
}

/// Writes an entry in both tiers; answers whether it stands.
async fn store(entry: Box<Call>, value: Shared, ttl: Option<Duration>) -> bool {
    let own = entry.ttl_of(&value, clock::now());
    let ttl = entry.cache.ttl(Some(ttl.unwrap_or(own)));
    // The function of the entry may not want to keep this value.
    if own.is_zero() || ttl.is_zero() {
        return false;
    }
    let (cache, terms) = (&entry.cache, entry.terms);
    let values = [(entry.key.clone(), value)];
    let stored = many::put_on_terms(cache, &values, entry.kind, ttl, terms).await;
    if stored.is_err() {
        entry.counters.errors.one();
        return false;
    }
    if cache.remote.is_some() && terms.near.allow() {
        // In front of Redis stands what was read there, so that it tells of changes. This is nobody's hit.
        let mut query = entry.query();
        let counters = Arc::new(Counters::default());
        query.counters = &counters;
        let _ = query.fetch().await;
    }
    true
}
