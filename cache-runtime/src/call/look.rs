//! A look at what there is, for a call that nobody acts on.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::{Boxed, Call};
use crate::entry::Found;
use crate::near::View;
use crate::store::Carried;

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

impl<'a> Look<'a> {
    pub(super) fn new(call: &'a Call) -> Self {
        let at = At::Start;
        Self { call, at }
    }
}

impl Future for Look<'_> {
    type Output = Found;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Found> {
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
                    match call.query().hear(told, view) {
                        Ok(found) => return Poll::Ready(found),
                        Err(rest) => self.at = At::Elsewhere(rest),
                    }
                }
                At::Elsewhere(looking) => return looking.as_mut().poll(context),
            }
        }
    }
}
