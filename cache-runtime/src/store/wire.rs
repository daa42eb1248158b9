//! The bytes of a connection on their way in: an answer of several texts is handed on as one.
//!
//! The client makes a value of each text, with an allocation of its own and a parser that was not made for hundreds of them. So
//! they are handed to it as a set of a single text, which holds them as the server sent them, and which no command that is
//! asked here answers. Whoever asked takes them apart, without copying any: [`texts`].

use std::io::{self, Write as _};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use redis::{ErrorKind, RedisResult, Value};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Bytes;

/// From how many texts on they are handed on as one: what one look-up asks for, at the least.
const MANY: u64 = 3;

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

/// What an element begins with.
const KINDS: &[u8] = b"$_*+-:>%~|,#(!=";

/// How far an answer reaches, as far as that is known: it goes on where it stopped.
struct Scan {
    /// Where the next element begins, which may not have come in yet.
    at: usize,
    /// Elements that are still to come.
    left: u64,
    kind: Answer,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    Unknown,
    /// An array of texts so far, which begin there.
    Texts {
        start: usize,
    },
    Other,
}

enum Extent {
    /// All of it is there, and it is many texts, which stand here.
    Texts {
        start: usize,
        end: usize,
    },
    /// All of it is there, and so long.
    Whole(usize),
    Part,
    Garbage,
}

impl Default for Scan {
    fn default() -> Self {
        Self {
            at: 0,
            left: 1,
            kind: Answer::Unknown,
        }
    }
}

impl Scan {
    fn go_on(&mut self, bytes: &[u8]) -> Extent {
        while self.left > 0 {
            let rest = bytes.get(self.at..).unwrap_or_default();
            if rest.first().is_some_and(|kind| !KINDS.contains(kind)) {
                return Extent::Garbage;
            }
            let Some(element) = Element::first(rest) else {
                return Extent::Part;
            };
            let Some(number) = element.number() else {
                return Extent::Garbage;
            };
            self.at = self.at.saturating_add(element.line);
            self.left -= 1;
            self.kind = match (self.kind, element.kind) {
                (Answer::Unknown, b'*') if number >= MANY => Answer::Texts { start: self.at },
                (Answer::Texts { start }, b'$' | b'_') => Answer::Texts { start },
                _ => Answer::Other,
            };
            match element.kind {
                b'*' | b'~' | b'>' => self.left = self.left.saturating_add(number),
                b'%' => self.left = self.left.saturating_add(number.saturating_mul(2)),
                // What it is said of comes after it.
                b'|' => {
                    let further = number.saturating_mul(2).saturating_add(1);
                    self.left = self.left.saturating_add(further);
                }
                b'$' | b'!' | b'=' if !element.is_null() => {
                    let length = usize::try_from(number).unwrap_or(usize::MAX);
                    self.at = self
                        .at
                        .saturating_add(length)
                        .saturating_add(LINE_END.len());
                }
                _ => {}
            }
        }
        match self.kind {
            _ if self.at > bytes.len() => Extent::Part,
            Answer::Texts { start } => Extent::Texts {
                start,
                end: self.at,
            },
            Answer::Unknown | Answer::Other => Extent::Whole(self.at),
        }
    }

    /// Whether it may turn out to be many texts.
    fn is_kept_back(&self) -> bool {
        self.kind != Answer::Other
    }

    /// Lets go of what has come in before all of it is there; answers how much that is.
    fn pass(&mut self, there: usize) -> usize {
        self.kind = Answer::Other;
        // A line is kept back until it is whole.
        let known = self.at.min(there);
        self.at -= known;
        known
    }
}

/// The first line of an element.
struct Element<'a> {
    kind: u8,
    text: &'a [u8],
    /// How long the line is, with its end.
    line: usize,
}

impl<'a> Element<'a> {
    fn first(bytes: &'a [u8]) -> Option<Self> {
        let end = bytes.windows(2).position(|two| two == LINE_END)?;
        let (kind, text) = bytes.get(..end)?.split_first()?;
        Some(Self {
            kind: *kind,
            text,
            line: end + LINE_END.len(),
        })
    }

    fn is_null(&self) -> bool {
        self.text.first() == Some(&b'-')
    }

    /// How many elements or bytes follow, 0 where none do; `None`: the line does not say.
    fn number(&self) -> Option<u64> {
        let counts = matches!(
            self.kind,
            b'$' | b'!' | b'=' | b'*' | b'~' | b'>' | b'%' | b'|'
        );
        if !counts || self.is_null() {
            return Some(0);
        }
        let (first, rest) = self.text.split_first()?;
        std::iter::once(first)
            .chain(rest)
            .try_fold(0_u64, |number, digit| {
                let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
                number.checked_mul(10)?.checked_add(digit.into())
            })
    }
}

/// The texts of an answer that is an array of them, however it was handed on.
pub(super) fn texts(answer: Value) -> RedisResult<Vec<Option<Bytes>>> {
    match gathered(answer) {
        Ok(all) => {
            let all = Arc::new(all);
            let found = Texts { all: &all, at: 0 };
            found
                .map(|found| Ok(found?.map(|(start, end)| Bytes::part(&all, start, end))))
                .collect()
        }
        Err(answer) => {
            let found: Vec<Option<Vec<u8>>> = redis::from_redis_value(answer.extract_error()?)?;
            Ok(found
                .into_iter()
                .map(|text| text.map(Bytes::from))
                .collect())
        }
    }
}

/// An answer as the server gave it, or those to several commands.
pub(super) fn ungathered(answer: Value) -> RedisResult<Value> {
    let all = match gathered(answer) {
        Ok(all) => all,
        Err(Value::Array(answers)) => {
            let answers = answers.into_iter().map(ungathered);
            return answers.collect::<RedisResult<_>>().map(Value::Array);
        }
        Err(answer) => return Ok(answer),
    };
    let found = Texts { all: &all, at: 0 };
    let values = found.map(|found| {
        Ok(match found? {
            Some((start, end)) => {
                Value::BulkString(all.get(start..end).unwrap_or_default().to_vec())
            }
            None => Value::Nil,
        })
    });
    values.collect::<RedisResult<_>>().map(Value::Array)
}

/// What was handed on as one, or any other answer as it is.
fn gathered(answer: Value) -> Result<Vec<u8>, Value> {
    match answer {
        Value::Set(mut values) if values.len() == 1 => match values.pop() {
            Some(Value::BulkString(all)) => Ok(all),
            other => Err(Value::Set(other.into_iter().collect())),
        },
        answer => Err(answer),
    }
}

/// Where each of the texts stands that were handed on as one; `None`: it is missing.
struct Texts<'a> {
    all: &'a [u8],
    at: usize,
}

impl Iterator for Texts<'_> {
    type Item = RedisResult<Option<(usize, usize)>>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.all.get(self.at..).filter(|rest| !rest.is_empty())?;
        let Some((element, number)) = Element::first(rest)
            .and_then(|element| element.number().map(|number| (element, number)))
        else {
            self.at = self.all.len();
            return Some(Err((ErrorKind::Parse, "texts that are none").into()));
        };
        let start = self.at + element.line;
        if element.kind == b'_' || element.is_null() {
            self.at = start;
            return Some(Ok(None));
        }
        let end = start.saturating_add(usize::try_from(number).unwrap_or(usize::MAX));
        self.at = end.saturating_add(LINE_END.len());
        Some(Ok(Some((start, end))))
    }
}

#[cfg(test)]
mod tests;
