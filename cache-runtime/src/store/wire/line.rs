//! Asking beside the client: whoever asks writes the request, and reads the answer himself. No task is woken for that.
//!
//! All of it goes over the connection of the client, so the server answers in the order in which was asked, and tells of
//! changes in between. What has come in before an answer is the client's to take first.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite};

use super::state::{Answer, State};

/// A connection, for those who ask beside the client.
pub(in crate::store) struct Line<S>(Arc<Mutex<State<S>>>);

/// A question that was asked.
///
/// # Cancellation
/// Dropped, its answer goes to nobody.
pub(in crate::store) struct Asking<'a, S> {
    line: &'a Line<S>,
    id: u64,
    is_new: bool,
    is_over: bool,
}

impl<S> Line<S> {
    pub(super) fn new(state: State<S>) -> Self {
        Self(Arc::new(Mutex::new(state)))
    }

    /// Whoever is to be woken by that is, once it is over.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut State<S>) -> T) -> T {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let done = act(&mut state);
        let to_wake = state.take_those_to_wake();
        drop(state);
        for waker in to_wake {
            waker.wake();
        }
        done
    }
}

impl<S: AsyncWrite + Unpin> Line<S> {
    /// Asks what `write` writes, to which there are so many answers, the last of interest. `None`: that cannot be done now,
    /// because the client is writing, or the socket takes no more.
    pub(in crate::store) fn ask(
        &self,
        answers: usize,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Option<Asking<'_, S>> {
        let id = self.with(|state| state.ask(answers, write))?;
        Some(Asking {
            line: self,
            id,
            is_new: true,
            is_over: false,
        })
    }
}

impl<S: AsyncRead + Unpin> Future for Asking<'_, S> {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answer> {
        let id = self.id;
        let is_new = std::mem::take(&mut self.is_new);
        let (answer, before) = self.line.with(|state| {
            if let Some(answer) = state.take_answer(id) {
                return (Some(answer), None);
            }
            let before = state.bell.asker_is(id, context.waker());
            // Nothing can have come in yet where the socket will wake.
            if !(is_new && state.bell.is_set()) {
                state.read_for(id);
            }
            (state.take_answer(id), before)
        });
        drop(before);
        match answer {
            Some(answer) => {
                self.is_over = true;
                Poll::Ready(answer)
            }
            None => Poll::Pending,
        }
    }
}

impl<S> Drop for Asking<'_, S> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let (bell, waker) = self.line.with(|state| {
            state.give_up(self.id);
            (Arc::clone(&state.bell), state.bell.forget(self.id))
        });
        drop(waker);
        bell.pass_on();
    }
}

impl<S> Clone for Line<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[cfg(test)]
mod tests;
