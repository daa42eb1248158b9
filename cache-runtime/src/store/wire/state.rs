//! A connection: its socket, what has come in over it, and whose the answers are.

mod askers;
mod writing;

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, ReadBuf};

use super::bell::Bell;
use super::scan::{Extent, Scan};
use super::sent::Sent;
use super::{GATHERED, LINE_END, MOST, ROOM};
pub(in crate::store) use askers::Answer;
use askers::Asked;

/// What a push begins with, which answers nothing.
const PUSH: u8 = b'>';

pub(super) struct State<S> {
    /// `None`: the client has let go of it.
    socket: Option<S>,
    /// What has come in and is not handed on stands from `start` to `end`; the rest is room.
    pub(super) bytes: Vec<u8>,
    start: usize,
    pub(super) end: usize,
    scan: Scan,
    /// Whose it is that the scan has come upon.
    whose: Option<Whose>,
    next: Next,
    /// The client was handed something, and has not come back: it may not have heard yet what it was told.
    is_hearing: bool,
    /// Nothing more will come in.
    has_ended: bool,
    /// Why, if that was told and the client does not know it yet.
    failure: Option<io::Error>,
    /// Something came in that is no answer: from there on the client sees everything as it is.
    is_garbage: bool,
    /// Who is to get the answers that are still to come, in their order.
    expected: VecDeque<(Whose, usize)>,
    asked: Vec<Asked>,
    last: u64,
    /// Which of them reads.
    reader: Option<u64>,
    sent: Sent,
    /// Whether the client waits until the socket takes more.
    is_full: bool,
    /// What was asked beside the client and is not written yet, which comes before anything of the client's.
    request: Vec<u8>,
    pub(super) bell: Arc<Bell>,
    /// That of the bell.
    waker: Waker,
    /// Who is to be woken once nobody holds this.
    to_wake: Vec<Waker>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    Clients,
    /// Of one who asked beside the client.
    Askers,
    /// A push, or what nobody has asked for, which is the client's to see.
    Nobodys,
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

impl<S> State<S> {
    pub(super) fn new(socket: S) -> Self {
        let bell = Arc::<Bell>::default();
        Self {
            socket: Some(socket),
            bytes: vec![0; ROOM],
            start: 0,
            end: 0,
            scan: Scan::default(),
            whose: None,
            next: Next::default(),
            is_hearing: false,
            has_ended: false,
            failure: None,
            is_garbage: false,
            expected: VecDeque::new(),
            asked: Vec::new(),
            last: 0,
            reader: None,
            sent: Sent::default(),
            is_full: false,
            request: Vec::new(),
            waker: Waker::from(Arc::clone(&bell)),
            bell,
            to_wake: Vec::new(),
        }
    }

    pub(super) fn take_those_to_wake(&mut self) -> Vec<Waker> {
        mem::take(&mut self.to_wake)
    }

    fn there(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    /// Hands on what can be; answers whether that was anything.
    pub(super) fn hand_on(&mut self, out: &mut ReadBuf<'_>) -> bool {
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
            } else {
                self.is_hearing |= out.filled().len() > before;
                if !self.decide() {
                    break;
                }
            }
        }
        let is_any = out.filled().len() > before;
        self.is_hearing |= is_any;
        is_any
    }

    /// Decides what is handed on next; answers whether there is anything. What stands before it, and is not the client's, is
    /// given to whoever asked for it.
    fn decide(&mut self) -> bool {
        loop {
            let Some(&first) = self.there().first() else {
                return false;
            };
            if self.is_garbage || self.has_ended {
                self.next.bytes = self.end - self.start;
                return true;
            }
            let whose = match self.whose {
                Some(whose) => whose,
                None => self.whose_begins_with(first),
            };
            self.whose = Some(whose);
            if whose == Whose::Askers && self.is_hearing {
                return false;
            }
            let bytes = self.bytes.get(self.start..self.end).unwrap_or_default();
            let there = bytes.len();
            match (self.scan.go_on(bytes), whose) {
                (Extent::Texts { start, end }, Whose::Askers) => {
                    let texts = bytes.get(start..end).unwrap_or_default().to_vec();
                    self.start += end;
                    self.answer(Answer::Texts(texts));
                }
                (Extent::Whole(length), Whose::Askers) => {
                    let other = bytes.get(..length).unwrap_or_default().to_vec();
                    self.start += length;
                    self.answer(Answer::Other(other));
                }
                (Extent::Texts { start, end }, Whose::Clients | Whose::Nobodys) => {
                    self.start += start;
                    self.next.gather(end - start);
                    self.has_come(whose);
                    return true;
                }
                (Extent::Whole(length), Whose::Clients | Whose::Nobodys) => {
                    self.next.bytes = length;
                    self.has_come(whose);
                    return length > 0;
                }
                (Extent::Part, Whose::Askers) => return false,
                (Extent::Part, _) if there < MOST && self.scan.is_kept_back() => return false,
                (Extent::Part, _) => {
                    self.next.bytes = self.scan.pass(there);
                    return self.next.bytes > 0;
                }
                (Extent::Garbage, _) => {
                    self.is_garbage = true;
                    self.lose_all(io::ErrorKind::InvalidData);
                }
            }
        }
    }

    fn whose_begins_with(&self, first: u8) -> Whose {
        match self.expected.front() {
            Some((whose, _)) if first != PUSH => *whose,
            _ => Whose::Nobodys,
        }
    }

    /// All of an answer has come in, or of a push.
    fn has_come(&mut self, whose: Whose) {
        self.scan = Scan::default();
        self.whose = None;
        if whose == Whose::Nobodys {
            return;
        }
        if let Some((_, count)) = self.expected.front_mut() {
            *count -= 1;
            if *count == 0 {
                self.expected.pop_front();
            }
        }
        if whose == Whose::Clients && !self.is_expected_by_client() {
            self.bell.client_waits(false);
        }
    }

    fn is_expected_by_client(&self) -> bool {
        self.expected
            .iter()
            .any(|(whose, _)| *whose == Whose::Clients)
    }

    fn expect(&mut self, whose: Whose, count: usize) {
        if count == 0 {
            return;
        }
        if whose == Whose::Clients && !self.is_expected_by_client() {
            self.bell.client_waits(true);
        }
        match self.expected.back_mut() {
            Some((last, answers)) if *last == whose => *answers += count,
            _ => self.expected.push_back((whose, count)),
        }
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

    #[cfg(test)]
    pub(super) fn socket_for_test(&mut self) -> &mut S {
        self.socket.as_mut().unwrap()
    }

    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        self.asked.is_empty() && self.expected.is_empty()
    }

    /// The client has let go: nothing more comes in.
    pub(super) fn close(&mut self) -> Option<S> {
        self.has_ended = true;
        self.lose_all(io::ErrorKind::UnexpectedEof);
        self.to_wake.extend(self.bell.client_goes());
        self.socket.take()
    }
}

impl<S: AsyncRead + Unpin> State<S> {
    /// Gives the client what has come in for it. It comes back once it has dealt with that.
    pub(super) fn read(&mut self, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.is_hearing = false;
        loop {
            if out.remaining() == 0 || self.hand_on(out) {
                return Poll::Ready(Ok(()));
            }
            if self.has_ended {
                return Poll::Ready(self.failure.take().map_or(Ok(()), Err));
            }
            ready!(self.fill());
        }
    }

    /// Reads for one who asks beside the client, as far as that has nothing to take before; until nothing more is there, so
    /// that the socket wakes.
    pub(super) fn read_for(&mut self, id: u64) {
        self.reader = Some(id);
        loop {
            if self.next.is_there() || self.decide() {
                self.to_wake.extend(self.bell.of_client());
                break;
            }
            if self.has_ended || self.fill().is_pending() {
                break;
            }
        }
        self.reader = None;
    }

    /// Takes in what the socket has; ready where that was anything, or the end.
    fn fill(&mut self) -> Poll<()> {
        self.make_room();
        let Some(socket) = &mut self.socket else {
            return Poll::Ready(());
        };
        let room = self.bytes.get_mut(self.end..).unwrap_or_default();
        let mut room = ReadBuf::new(room);
        self.bell.set(true);
        let mut context = Context::from_waker(&self.waker);
        let read = ready!(Pin::new(socket).poll_read(&mut context, &mut room));
        self.bell.set(false);
        let read = read.map(|()| room.filled().len());
        match read {
            Ok(read) if read > 0 => self.end += read,
            ended => {
                self.has_ended = true;
                let kind = ended.as_ref().err().map(io::Error::kind);
                self.failure = ended.err();
                self.lose_all(kind.unwrap_or(io::ErrorKind::UnexpectedEof));
                self.to_wake.extend(self.bell.of_client());
            }
        }
        Poll::Ready(())
    }
}

impl Next {
    fn gather(&mut self, length: usize) {
        use std::io::Write as _;

        self.head.clear();
        self.head.extend_from_slice(GATHERED);
        // Into memory, which does not fail.
        let _ = write!(self.head, "{length}\r\n");
        self.said = 0;
        self.bytes = length;
        self.line_end = LINE_END;
    }

    fn is_there(&self) -> bool {
        self.said < self.head.len() || self.bytes > 0 || !self.line_end.is_empty()
    }
}

/// Puts as much as there is room for; answers how much.
fn put(bytes: &[u8], out: &mut ReadBuf<'_>) -> usize {
    let length = bytes.len().min(out.remaining());
    out.put_slice(bytes.get(..length).unwrap_or_default());
    length
}
