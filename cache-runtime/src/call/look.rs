//! A look at what there is, for a call that nobody acts on.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::{Boxed, Call};
use crate::entry::Found;
use crate::near::View;
use crate::store::Carried;
use crate::value::{Hands, Place};

/// What [`Call::look`] finds.
///
/// Where many look at once it is small, and all there is of a hit: a place among those whose reads travel together. Part of
/// every cached function's future, it boxes whatever else a look may take.
pub(super) struct Look<'a> {
    call: &'a Call,
    at: At<'a>,
}

enum At<'a> {
    Start,
    Carried(View, Carried),
    /// The same where nothing is kept in process, which takes no view.
    Distant(Carried),
    Elsewhere(Boxed<'a, Found>),
}

/// The same by one who takes the value, where nobody else is to have it, without its being shared.
pub(super) struct LookToTake<'a, T> {
    look: Look<'a>,
    place: fn(&mut Option<T>) -> Place<'_>,
}

impl<'a, T> LookToTake<'a, T> {
    pub(super) fn new(call: &'a Call, hands: Hands<T>) -> Self {
        let at = At::Start;
        Self {
            look: Look { call, at },
            place: hands.place,
        }
    }
}

impl<T> Future for LookToTake<'_, T> {
    type Output = Result<T, Found>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T, Found>> {
        loop {
            // Not part of the future, which would be larger by it.
            let mut value = None;
            let place = (self.place)(&mut value);
            let found = ready!(self.look.poll(context, place));
            match (value, found) {
                (Some(value), _) => return Poll::Ready(Ok(value)),
                (None, Some(found)) => return Poll::Ready(Err(found)),
                (None, None) => self.look.at = At::Elsewhere(Box::pin(self.look.call.look())),
            }
        }
    }
}

impl Look<'_> {
    /// What is found; `None`: the value is in its place.
    fn poll(&mut self, context: &mut Context<'_>, place: Place<'_>) -> Poll<Option<Found>> {
        let call = self.call;
        loop {
            match &mut self.at {
                At::Start => match call.query().join(context.waker()) {
                    Some((view, carried)) => {
                        self.at = match view {
                            Some(view) => At::Carried(view, carried),
                            None => At::Distant(carried),
                        };
                        return Poll::Pending;
                    }
                    None => self.at = At::Elsewhere(Box::pin(call.look())),
                },
                At::Carried(_, carried) | At::Distant(carried) => {
                    let Some(told) = carried.told(context.waker()) else {
                        return Poll::Pending;
                    };
                    let view = match &self.at {
                        At::Carried(view, _) => Some(*view),
                        At::Distant(_) | At::Start | At::Elsewhere(_) => None,
                    };
                    match call.query().hear(told, view, place) {
                        Ok(found) => return Poll::Ready(found),
                        Err(rest) => self.at = At::Elsewhere(rest),
                    }
                }
                At::Elsewhere(looking) => return looking.as_mut().poll(context).map(Some),
            }
        }
    }
}
