//! Running a body: for whom, in whose task, how many at once, and what is returned where it fails.

use std::future::{Future, pending};
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::task::JoinError;
use tracing::Instrument as _;

use super::look::LookToTake;
use super::{Call, Load, Turn};
use crate::advice;
use crate::clock;
use crate::entry::Found;
use crate::flight::Seat;
use crate::limit::{self, Place};
use crate::outcome::Outcome;
use crate::traced::Trace;
use crate::value::{Hands, Shared};

/// What a cached function returns for a value, or what its body returned where there is none.
type Loaded<O> = Result<<O as Outcome>::Value, <O as Outcome>::Returned>;

/// A load that may begin.
struct Ready {
    load: Load,
    place: Place,
}

impl Call {
    /// Returns a cached value, or what the body returns.
    pub(crate) async fn run<O: Outcome, F>(
        self: Box<Self>,
        hands: Hands<O::Value>,
        body: Pin<&mut F>,
    ) -> O::Returned
    where
        F: Future<Output = O::Returned>,
    {
        let load = match self.find(hands).await {
            Ok(value) => return O::join(value),
            Err(load) => load,
        };
        // Boxed, so that a cached function's future is hardly larger than its body's.
        match Box::pin(self.run_here::<O, _>(load, hands, body)).await {
            Ok(value) => O::join(value),
            Err(returned) => returned,
        }
    }

    /// The same, or an expired value where the body fails.
    pub(crate) async fn run_or_stale<O: Outcome, F>(
        self: Box<Self>,
        hands: Hands<O::Value>,
        body: Pin<&mut F>,
    ) -> O::Returned
    where
        F: Future<Output = O::Returned>,
    {
        let load = match self.find(hands).await {
            Ok(value) => return O::join(value),
            Err(load) => load,
        };
        // Boxed, so that a cached function's future is hardly larger than its body's.
        match Box::pin(self.run_here::<O, _>(load, hands, body)).await {
            Ok(value) => O::join(value),
            Err(returned) => self.or_stale::<O>(hands, returned).await,
        }
    }

    /// The same for a body that may outlive its caller: where a value is there to be returned at once, or the body takes
    /// longer than it is waited for, it goes on in a task of its own.
    ///
    /// # Cancellation
    /// A body that goes on in a task of its own goes on.
    pub(crate) async fn run_owned<O, F>(
        self: Box<Self>,
        hands: Hands<O::Value>,
        body: Pin<Box<F>>,
    ) -> O::Returned
    where
        O: Outcome + 'static,
        O::Value: Send,
        O::Returned: Send,
        F: Future<Output = O::Returned> + Send + 'static,
    {
        let load = match self.find(hands).await {
            Ok(value) => return O::join(value),
            Err(load) => load,
        };
        let call: Arc<Self> = Arc::from(self);
        match Box::pin(call.run_anywhere::<O, _>(load, hands, body)).await {
            Ok(value) => O::join(value),
            Err(returned) => call.or_stale::<O>(hands, returned).await,
        }
    }

    async fn run_here<O: Outcome, B>(
        &self,
        load: Load,
        hands: Hands<O::Value>,
        body: B,
    ) -> Loaded<O>
    where
        B: Future<Output = O::Returned>,
    {
        match self.ready(load, hands).await {
            Ok(value) => Ok(value),
            Err(ready) => {
                self.count_miss(&ready.load);
                let loaded = self.run_body::<O, B>(ready, hands, body).await;
                self.note_load(&loaded);
                loaded
            }
        }
    }

    async fn run_anywhere<O, B>(
        self: &Arc<Self>,
        load: Load,
        hands: Hands<O::Value>,
        body: B,
    ) -> Loaded<O>
    where
        O: Outcome + 'static,
        O::Value: Send,
        O::Returned: Send,
        B: Future<Output = O::Returned> + Send + 'static,
    {
        let ready = match self.ready(load, hands).await {
            Ok(value) => return Ok(value),
            Err(ready) => ready,
        };
        let aged = ready.load.aged.as_ref();
        let returnable = aged.filter(|aged| self.terms.return_while_loading(aged.age));
        let at_once =
            returnable.and_then(|aged| Some(((hands.take)(Arc::clone(&aged.value))?, aged.age)));
        let patience = self.patience(aged);
        let runtime = Handle::try_current().ok();
        if at_once.is_none() || runtime.is_none() {
            self.count_miss(&ready.load);
        }
        let call = Arc::clone(self);
        // The span of the caller, so that it can be told on whose behalf it runs.
        let behind = async move { call.run_body::<O, B>(ready, hands, body).await };
        let loaded = match (at_once, patience, runtime) {
            (Some((value, age)), _, Some(runtime)) => {
                self.count(age);
                // What it returns is of no use to anybody but those who wait for its flight.
                drop(runtime.spawn(behind.in_current_span()));
                return Ok(value);
            }
            (None, Some(limit), Some(runtime)) => {
                let mut task = runtime.spawn(behind.in_current_span());
                if let Some(joined) = clock::within(limit, &mut task).await {
                    finished(joined).await
                } else {
                    let instead = self.instead().await;
                    if let Some(value) = instead.and_then(hands.take) {
                        return Ok(value);
                    }
                    finished(task.await).await
                }
            }
            (_, None, _) | (_, _, None) => behind.await,
        };
        self.note_load(&loaded);
        loaded
    }

    /// Finds the value, or what has to be done to load it.
    async fn find<T>(&self, hands: Hands<T>) -> Result<T, Load> {
        let turn = match &self.intent {
            None => {
                let began = self.cache.flights.ticket();
                match LookToTake::new(self, hands).await {
                    Ok(value) => return Ok(value),
                    Err(Found::Value(value)) => Turn::Found(value),
                    Err(found) => self.go_on(began, found).await,
                }
            }
            Some(intent) => self.act(intent).await,
        };
        match turn {
            Turn::Load(load) => Err(load),
            Turn::Found(value) => (hands.take)(value).ok_or_else(|| Load::alone(false)),
        }
    }

    /// Waits until one more body may run, or answers with a value that may be returned instead.
    async fn ready<T>(&self, load: Load, hands: Hands<T>) -> Result<T, Ready> {
        let limits = [self.limit.as_deref(), self.cache.limit.as_ref()];
        if let Some(place) = limit::try_enter(limits) {
            return Err(Ready { load, place });
        }
        let aged = load.aged.as_ref().filter(|aged| {
            self.terms.return_while_loading(aged.age) || self.terms.return_on_error(aged.age)
        });
        if let Some((value, age)) =
            aged.and_then(|aged| Some(((hands.take)(Arc::clone(&aged.value))?, aged.age)))
        {
            self.count(age);
            return Ok(value);
        }
        let place = limit::enter(limits, self.cache.config.max_load_wait).await;
        Err(Ready { load, place })
    }

    /// Runs the body, and stores what it returned, where there is something to store.
    async fn run_body<O: Outcome, B>(
        &self,
        Ready { load, place }: Ready,
        hands: Hands<O::Value>,
        body: B,
    ) -> Loaded<O>
    where
        B: Future<Output = O::Returned>,
    {
        self.counters.loads.one();
        if let (Some(site), false) = (self.site, O::CAN_FAIL) {
            advice::of_what_never_fails(&self.cache, site);
        }
        let began = clock::now();
        // What was returned must not live across the fill: an error that is not `Send` would make the future so.
        let loaded = match O::split(place.run(body).await) {
            Ok(loaded) => loaded,
            Err(returned) => {
                if let Some(seat) = load.seat {
                    seat.fail();
                }
                return Err(returned);
            }
        };
        if let Some(mut seat) = load.seat {
            let value = (hands.share)(&loaded);
            seat.land(Arc::clone(&value));
            self.fill(seat, value, began).await;
        }
        Ok(loaded)
    }

    pub(super) fn count_miss(&self, load: &Load) {
        // Where Redis failed, that is counted as an error already.
        if !load.failed {
            self.counters.misses.one();
        }
    }

    /// What may be returned instead of what a body returned that has failed.
    async fn or_stale<O: Outcome>(
        &self,
        hands: Hands<O::Value>,
        returned: O::Returned,
    ) -> O::Returned {
        let never = self.terms.stale.if_error.is_zero() && self.terms.early <= 0.0;
        if never || self.refreshes() || self.warms() {
            return returned;
        }
        let instead: Option<Shared> = self.instead().await;
        match instead.and_then(hands.take) {
            Some(value) => O::join(value),
            None => {
                self.note(Trace::failed());
                returned
            }
        }
    }
}

impl Load {
    /// For oneself.
    pub(super) fn alone(failed: bool) -> Self {
        Self {
            seat: None,
            aged: None,
            failed,
        }
    }

    /// For everybody who follows.
    pub(super) fn of(seat: Seat) -> Self {
        Self {
            seat: Some(seat),
            ..Self::alone(false)
        }
    }
}

/// What a task returned; its panic is the caller's.
async fn finished<T>(joined: Result<T, JoinError>) -> T {
    match joined {
        Ok(loaded) => loaded,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // Only the end of the runtime cancels it, and that cancels us as well.
            Err(_) => pending().await,
        },
    }
}
