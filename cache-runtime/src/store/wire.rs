//! The bytes of a connection on their way in: an answer of several texts is handed on as one.
//!
//! The client makes a value of each text, with an allocation of its own and a parser that was not made for hundreds of them. So
//! they are handed to it as a set of a single text, which holds them as the server sent them, and which no command that is
//! asked here answers. Whoever asked takes them apart, without copying any: [`texts`].

mod scan;
mod texts;

use std::io::{self, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use scan::{Extent, Scan};
pub(super) use texts::{texts, ungathered};

/// How much of an answer is kept back until all of it is there. What is larger is handed on as it comes.
const MOST: usize = 1024 * 1024;

/// Room for what comes in, to begin with and to come back to.
const ROOM: usize = 64 * 1024;

/// What stands before the length of texts that are handed on as one.
const GATHERED: &[u8] = b"~1\r\n$";

const LINE_END: &[u8] = b"\r\n";

/// A socket, and what has come in over it.
pub(super) struct Wire<S> {
    socket: S,
    /// What has come in and is not handed on stands from `start` to `end`; the rest is room.
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    scan: Scan,
    next: Next,
    /// Nothing more will come in.
    has_ended: bool,
    /// Something came in that is no answer: from there on the client sees everything as it is.
    is_garbage: bool,
}

/// What is to be handed on before anything else is looked at: a head, so many of the bytes, and the end of a line.
#[derive(Default)]
struct Next {
    head: Vec<u8>,
    /// How much of the head has been.
    said: usize,
    bytes: usize,
    line_end: &'static [u8],
}

impl<S> Wire<S> {
    pub(super) fn new(socket: S) -> Self {
        Self {
            socket,
            bytes: vec![0; ROOM],
            start: 0,
            end: 0,
            scan: Scan::default(),
            next: Next::default(),
            has_ended: false,
            is_garbage: false,
        }
    }

    fn there(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    /// Hands on what can be; answers whether that was anything.
    fn hand_on(&mut self, out: &mut ReadBuf<'_>) -> bool {
        let before = out.filled().len();
        while out.remaining() > 0 {
            let head = self.next.head.get(self.next.said..).unwrap_or_default();
            if !head.is_empty() {
                self.next.said += put(head, out);
            } else if self.next.bytes > 0 {
                let there = self.there();
                let put = put(there.get(..self.next.bytes).unwrap_or(there), out);
                self.start += put;
                self.next.bytes -= put;
            } else if !self.next.line_end.is_empty() {
                let put = put(self.next.line_end, out);
                self.next.line_end = self.next.line_end.get(put..).unwrap_or_default();
            } else if !self.decide() {
                break;
            }
        }
        out.filled().len() > before
    }

    /// Decides what is handed on next; answers whether there is anything.
    fn decide(&mut self) -> bool {
        let there = self.there().len();
        if there == 0 {
            return false;
        }
        if self.is_garbage || self.has_ended {
            self.next.bytes = there;
            return true;
        }
        let bytes = self.bytes.get(self.start..self.end).unwrap_or_default();
        match self.scan.go_on(bytes) {
            Extent::Texts { start, end } => {
                self.start += start;
                self.next.gather(end - start);
                self.scan = Scan::default();
            }
            Extent::Whole(length) => {
                self.next.bytes = length;
                self.scan = Scan::default();
            }
            Extent::Part if there < MOST && self.scan.is_kept_back() => return false,
            Extent::Part => self.next.bytes = self.scan.pass(there),
            Extent::Garbage => {
                self.is_garbage = true;
                self.next.bytes = there;
            }
        }
        self.next.bytes > 0
    }

    fn make_room(&mut self) {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            if self.bytes.len() > ROOM {
                self.bytes = vec![0; ROOM];
            }
        } else if self.start > 0 && self.bytes.len() - self.end < ROOM / 2 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.bytes.len() - self.end < ROOM / 2 {
            self.bytes.resize(self.bytes.len() * 2, 0);
        }
    }
}

impl Next {
    fn gather(&mut self, length: usize) {
        self.head.clear();
        self.head.extend_from_slice(GATHERED);
        // Into memory, which does not fail.
        let _ = write!(self.head, "{length}\r\n");
        self.said = 0;
        self.bytes = length;
        self.line_end = LINE_END;
    }
}

/// Puts as much as there is room for; answers how much.
fn put(bytes: &[u8], out: &mut ReadBuf<'_>) -> usize {
    let length = bytes.len().min(out.remaining());
    out.put_slice(bytes.get(..length).unwrap_or_default());
    length
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let wire = &mut *self;
        loop {
            if out.remaining() == 0 || wire.hand_on(out) || wire.has_ended {
                return Poll::Ready(Ok(()));
            }
            wire.make_room();
            let room = wire.bytes.get_mut(wire.end..).unwrap_or_default();
            let mut room = ReadBuf::new(room);
            ready!(Pin::new(&mut wire.socket).poll_read(context, &mut room))?;
            let read = room.filled().len();
            wire.end += read;
            wire.has_ended = read == 0;
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
}

#[cfg(test)]
mod tests;
