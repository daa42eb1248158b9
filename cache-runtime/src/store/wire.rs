//! The bytes of a connection on their way in: an answer of several texts is handed on as one.
//!
//! The client makes a value of each text, with an allocation of its own and a parser that was not made for hundreds of them. So
//! they are handed to it as a set of a single text, which holds them as the server sent them, and which no command that is
//! asked here answers. Whoever asked takes them apart, without copying any: [`texts`].
//!
//! Others may ask over the same connection, beside the client: [`Line`].

mod bell;
mod line;
mod scan;
mod sent;
mod state;
mod texts;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub(super) use line::Line;
use state::State;
pub(super) use texts::{Spans, Texts, texts, texts_beside, ungathered};

/// How much of an answer is kept back until all of it is there. What is larger is handed on as it comes.
const MOST: usize = 1024 * 1024;

/// Room for what comes in, to begin with and to come back to.
const ROOM: usize = 64 * 1024;

/// What stands before the length of texts that are handed on as one.
const GATHERED: &[u8] = b"~1\r\n$";

pub(super) const LINE_END: &[u8] = b"\r\n";

/// A connection, for the client. It ends with this.
pub(super) struct Wire<S>(Line<S>);

impl<S> Wire<S> {
    pub(super) fn new(socket: S) -> Self {
        Self(Line::new(State::new(socket)))
    }

    /// The same connection, for those who ask beside the client.
    pub(super) fn line(&self) -> Line<S> {
        self.0.clone()
    }
}

impl<S> Drop for Wire<S> {
    fn drop(&mut self) {
        drop(self.0.with(State::close));
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (read, before) = self.0.with(|state| {
            // Before it is read: what comes in after that wakes this one.
            let before = state.bell.client_is(context.waker());
            (state.read(out), before)
        });
        drop(before);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[io::IoSlice::new(bytes)])
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.with(|state| state.flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.with(|state| state.shut_down(context))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.with(|state| state.write(context, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.0.with(|state| state.is_write_vectored())
    }
}

#[cfg(test)]
mod tests;
