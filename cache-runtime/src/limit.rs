//! How many bodies run at once: what stands behind a cache is spared while that is cold, or Redis is away.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::blocking;
use crate::clock;

tokio::task_local! {
    /// The limits that the bodies around this one count under. Whoever waited for a place that one of them holds would wait
    /// for itself.
    static HELD: Arc<[usize]>;
}

/// A number of bodies that may run at once.
#[derive(Debug)]
pub(crate) struct Limit {
    places: Arc<Semaphore>,
}

/// The limits of one call: that of its function, and that of the cache.
pub(crate) type Limits<'a> = [Option<&'a Limit>; 2];

/// A place among the bodies that run, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    permits: Vec<OwnedSemaphorePermit>,
    held: Arc<[usize]>,
}

impl Limit {
    /// At most so many bodies at once.
    pub(crate) fn new(loads: usize) -> Self {
        let loads = loads.min(Semaphore::MAX_PERMITS);
        Self {
            places: Arc::new(Semaphore::new(loads)),
        }
    }

    fn number(&self) -> usize {
        Arc::as_ptr(&self.places).addr()
    }
}

/// A place under all of these limits, if there is one at once.
pub(crate) fn try_enter(limits: Limits<'_>) -> Option<Place> {
    let mut place = Place::outside();
    for limit in place.missing(limits) {
        let permit = Arc::clone(&limit.places).try_acquire_owned().ok()?;
        place.take(limit, permit);
    }
    Some(place)
}

/// A place under all of these limits: as soon as there is one, and after `patience` in any case.
///
/// # Cancellation
/// Whoever is dropped while waiting loses its turn and holds nothing.
pub(crate) async fn enter(limits: Limits<'_>, patience: Duration) -> Place {
    let mut place = Place::outside();
    let _ = clock::within(patience, place.fill(limits)).await;
    place
}

/// The same, blocking the thread.
pub(crate) fn enter_blocking(limits: Limits<'_>, patience: Duration) -> Place {
    let mut place = Place::outside();
    let _ = blocking::within(patience, place.fill(limits));
    place
}

impl Place {
    /// No place, but those of the bodies around this one.
    pub(crate) fn outside() -> Self {
        Self {
            permits: Vec::new(),
            held: HELD.try_with(Arc::clone).unwrap_or_default(),
        }
    }

    fn missing<'a>(&self, limits: Limits<'a>) -> impl Iterator<Item = &'a Limit> + use<'a> {
        let held = Arc::clone(&self.held);
        let limits = limits.into_iter().flatten();
        limits.filter(move |limit| !held.contains(&limit.number()))
    }

    async fn fill(&mut self, limits: Limits<'_>) {
        for limit in self.missing(limits) {
            // A semaphore of ours is never closed.
            if let Ok(permit) = Arc::clone(&limit.places).acquire_owned().await {
                self.take(limit, permit);
            }
        }
    }

    fn take(&mut self, limit: &Limit, permit: OwnedSemaphorePermit) {
        self.permits.push(permit);
        let held = self.held.iter().copied();
        self.held = held.chain([limit.number()]).collect();
    }

    /// Runs a body in this place, and leaves it.
    pub(crate) async fn run<F: Future>(self, body: F) -> F::Output {
        match self.permits.is_empty() {
            true => body.await,
            false => HELD.scope(Arc::clone(&self.held), body).await,
        }
    }

    /// The same for one that is not async.
    pub(crate) fn run_plain<R>(self, body: impl FnOnce() -> R) -> R {
        match self.permits.is_empty() {
            true => body(),
            false => HELD.sync_scope(Arc::clone(&self.held), body),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn beyond_the_limit_one_waits_for_a_place_and_no_longer_than_bidden() {
        let limit = Limit::new(1);
        let limits = [Some(&limit), None];
        let first = enter(limits, PATIENCE).await;
        assert!(try_enter(limits).is_none());

        let second = enter(limits, PATIENCE).await;
        assert!(second.permits.is_empty(), "it goes on without a place");
        drop(first);
        assert!(try_enter(limits).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_inside_a_body_needs_no_second_place() {
        let limit = Limit::new(1);
        let limits = [None, Some(&limit)];
        let outer = enter(limits, PATIENCE).await;
        let inner = outer.run(async { try_enter(limits) }).await;
        assert!(inner.is_some_and(|inner| inner.permits.is_empty()));
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_waiting_leaves_the_place_to_the_next() {
        let limit = Limit::new(1);
        let limits = [Some(&limit), None];
        let first = enter(limits, PATIENCE).await;
        assert!(
            clock::within(PATIENCE / 2, enter(limits, PATIENCE))
                .await
                .is_none(),
            "it still waits"
        );
        drop(first);
        assert!(try_enter(limits).is_some());
    }
}
