//! What is written over a connection: the client's requests, and in between those of others.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::AsyncWrite;

use super::{Asked, State, Whose};

impl<S: AsyncWrite + Unpin> State<S> {
    /// Writes a request beside the client's, to which so many answers come, the last of interest; answers by what it is
    /// known. `None`: that cannot be done now.
    ///
    /// Where others wait already it is left to the client's task to write it, together with what they ask for who come next.
    pub(in crate::store::wire) fn ask(
        &mut self,
        answers: usize,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Option<u64> {
        if self.is_garbage || self.has_ended || !self.sent.is_between() {
            return None;
        }
        let is_alone = self.request.is_empty() && !self.is_full && self.asked.is_empty();
        let socket = self.socket.as_mut()?;
        write(&mut self.request);
        let mut written = 0;
        if is_alone {
            // Nobody waits until it takes more, so nobody's waker is replaced. An error is the client's to find.
            let mut context = Context::from_waker(Waker::noop());
            if let Poll::Ready(Ok(taken)) = Pin::new(socket).poll_write(&mut context, &self.request)
            {
                written = taken;
            }
        }
        self.request.drain(..written);
        if !self.request.is_empty() {
            self.to_wake.extend(self.bell.of_client());
        }
        self.expect(Whose::Askers, answers);
        self.last += 1;
        self.asked.push(Asked {
            id: self.last,
            left: answers,
            answer: None,
            has_gone: false,
        });
        Some(self.last)
    }

    /// Writes what the client does.
    pub(in crate::store::wire) fn write(
        &mut self,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.write_rest(context))?;
        let socket = self.socket.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        let written = Pin::new(socket).poll_write_vectored(context, slices);
        self.is_full = written.is_pending();
        let written = ready!(written)?;
        let mut left = written;
        for slice in slices {
            let of_it = slice.get(..left.min(slice.len())).unwrap_or_default();
            let requests = self.sent.go_on(of_it);
            self.expect(Whose::Clients, requests);
            left -= of_it.len();
        }
        Poll::Ready(Ok(written))
    }

    /// Writes what is left of a request beside the client's, before anything else.
    fn write_rest(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.request.is_empty() {
            let socket = self.socket.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
            let written = ready!(Pin::new(socket).poll_write(context, &self.request))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.request.drain(..written);
        }
        Poll::Ready(Ok(()))
    }

    pub(in crate::store::wire) fn flush(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.write_rest(context))?;
        match &mut self.socket {
            Some(socket) => Pin::new(socket).poll_flush(context),
            None => Poll::Ready(Ok(())),
        }
    }

    pub(in crate::store::wire) fn shut_down(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Some(socket) => Pin::new(socket).poll_shutdown(context),
            None => Poll::Ready(Ok(())),
        }
    }

    pub(in crate::store::wire) fn is_write_vectored(&self) -> bool {
        let socket = self.socket.as_ref();
        socket.is_some_and(AsyncWrite::is_write_vectored)
    }
}
