use std::cell::Cell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Wake, Waker};
use std::time::Duration;

use proptest::prelude::*;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio::task::yield_now;

use super::super::Wire;
use super::*;
use crate::clock;

const PUSH: &[u8] = b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n";
const TEXTS: &[u8] = b"$1\r\na\r\n$-1\r\n_\r\n";

fn request(words: &[&str]) -> Vec<u8> {
    let mut written = format!("*{}\r\n", words.len());
    for word in words {
        written += &format!("${}\r\n{word}\r\n", word.len());
    }
    written.into_bytes()
}

/// An array of these texts, and of the number, as the server would send it.
fn texts(number: usize) -> Vec<u8> {
    let number = number.to_string();
    format!(
        "*4\r\n${}\r\n{number}\r\n$1\r\na\r\n$-1\r\n_\r\n",
        number.len()
    )
    .into_bytes()
}

fn texts_of(answer: &Answer) -> &[u8] {
    match answer {
        Answer::Texts(texts) => texts,
        Answer::Other(other) => panic!("{}", String::from_utf8_lossy(other)),
        Answer::Lost(kind) => panic!("{kind}"),
    }
}

fn now<T>(polled: Poll<T>) -> T {
    match polled {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("it is not done at once"),
    }
}

/// A socket that takes so much at a time, and over which these pieces come in.
#[derive(Default)]
struct Fake {
    written: Vec<u8>,
    writes: usize,
    takes: VecDeque<usize>,
    comes: VecDeque<Vec<u8>>,
}

impl AsyncRead for Fake {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(mut piece) = self.comes.pop_front() {
            let rest = piece.split_off(piece.len().min(out.remaining()));
            out.put_slice(&piece);
            if !rest.is_empty() {
                self.comes.push_front(rest);
            }
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    }
}

impl AsyncWrite for Fake {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let taken = self.takes.pop_front().unwrap_or(bytes.len());
        if taken == 0 {
            return Poll::Pending;
        }
        let taken = taken.min(bytes.len());
        self.writes += 1;
        self.written.extend_from_slice(&bytes[..taken]);
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// What the client reads, as far as anything is there.
fn read_by_client<S: AsyncRead + Unpin>(wire: &mut Wire<S>) -> Vec<u8> {
    let mut all = Vec::new();
    let mut buffer = [0; 64];
    let mut context = Context::from_waker(Waker::noop());
    loop {
        let mut out = ReadBuf::new(&mut buffer);
        match Pin::new(&mut *wire).poll_read(&mut context, &mut out) {
            Poll::Ready(Ok(())) if !out.filled().is_empty() => all.extend_from_slice(out.filled()),
            _ => return all,
        }
    }
}

fn write_by_client(wire: &mut Wire<Fake>, mut bytes: &[u8], piece: usize) {
    let mut context = Context::from_waker(Waker::noop());
    while !bytes.is_empty() {
        let some = &bytes[..piece.min(bytes.len())];
        let written = now(Pin::new(&mut *wire).poll_write(&mut context, some)).unwrap();
        bytes = &bytes[written..];
    }
}

fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Who asks for something, or that something is told.
#[derive(Debug, Clone)]
enum Step {
    Client(Vec<u8>),
    /// After a request whose answer is of no interest.
    Asker(bool),
    Push,
}

fn step() -> impl Strategy<Value = Step> {
    let answer = prop_oneof![
        Just(b"+OK\r\n".to_vec()),
        Just(b"-ERR not that\r\n".to_vec()),
        Just(b"$-1\r\n".to_vec()),
        Just(b"*2\r\n:1\r\n*1\r\n$4\r\n\r\n>2\r\n".to_vec()),
        Just(b"%1\r\n+a\r\n:1\r\n".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..90).prop_map(|content| {
            let head = format!("${}\r\n", content.len());
            [head.as_bytes(), &content, b"\r\n"].concat()
        }),
    ];
    prop_oneof![
        2 => answer.prop_map(Step::Client),
        3 => any::<bool>().prop_map(Step::Asker),
        1 => Just(Step::Push),
    ]
}

proptest! {
    #[test]
    fn each_gets_what_he_asked_for_in_whatever_pieces_it_comes(
        steps in proptest::collection::vec(step(), 1..20),
        pieces in (1_usize..60, 1_usize..60),
        turns in proptest::collection::vec(any::<usize>(), 1..60),
    ) {
        let mut wire = Wire::new(Fake::default());
        let line = wire.line();
        let (mut askers, mut came, mut clients) = (VecDeque::new(), Vec::new(), Vec::new());
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Client(answer) => {
                    write_by_client(&mut wire, &request(&["GET", "\r\n*1\r\n"]), pieces.0);
                    came.extend_from_slice(&answer);
                    clients.extend_from_slice(&answer);
                }
                Step::Asker(after_another) => {
                    let answers = 1 + usize::from(after_another);
                    let asked = line.ask(answers, |out| {
                        (0..answers).for_each(|_| out.extend(request(&["MGET", "a"])));
                    });
                    askers.push_back((asked.unwrap(), number));
                    if after_another {
                        came.extend_from_slice(b"+OK\r\n");
                    }
                    came.extend(texts(number));
                }
                Step::Push => {
                    came.extend_from_slice(PUSH);
                    clients.extend_from_slice(PUSH);
                }
            }
        }
        let mut context = Context::from_waker(Waker::noop());
        now(Pin::new(&mut wire).poll_flush(&mut context)).unwrap();
        let incoming = came.chunks(pieces.1).map(<[u8]>::to_vec);
        line.with(|state| state.socket_for_test().comes.extend(incoming));

        let mut seen = Vec::new();
        // In any order, and then in any case.
        for turn in turns.into_iter().chain(0..40) {
            if turn % 3 == 0 {
                seen.extend(read_by_client(&mut wire));
            } else if let Some((mut asker, number)) = askers.pop_front() {
                match poll(&mut asker) {
                    Poll::Ready(answer) => {
                        let head = format!("${}\r\n{number}\r\n", number.to_string().len());
                        let expected = [head.as_bytes(), TEXTS].concat();
                        prop_assert_eq!(texts_of(&answer), expected);
                    }
                    Poll::Pending => askers.push_back((asker, number)),
                }
            }
        }
        prop_assert!(askers.is_empty());
        prop_assert!(line.with(|state| state.is_idle()));
        prop_assert_eq!(seen, clients);
    }
}

#[test]
fn nobody_asks_into_the_middle_of_what_the_client_writes() {
    let whole = request(&["SET", "a", "*1\r\n$1\r\nb\r\n"]);
    for written in 0..=whole.len() {
        let mut wire = Wire::new(Fake::default());
        let line = wire.line();
        write_by_client(&mut wire, &whole[..written], 1_000);
        let is_between = written == 0 || written == whole.len();
        let asked = line.ask(1, |out| out.push(b'x'));
        assert_eq!(asked.is_some(), is_between, "{written}");
    }
    // What is no request may be followed by anything.
    let mut wire = Wire::new(Fake::default());
    write_by_client(&mut wire, b"PING\r\n", 1_000);
    assert!(wire.line().ask(1, |out| out.push(b'x')).is_none());
}

#[test]
fn what_the_socket_does_not_take_at_once_goes_before_what_the_client_writes_next() {
    for takes in [vec![3, 0, 2], vec![0], vec![]] {
        let mut wire = Wire::new(Fake::default());
        let line = wire.line();
        let (one, other) = (request(&["MGET", "a"]), request(&["GET", "b"]));
        line.with(|state| state.socket_for_test().takes = takes.into());
        let mut asker = line.ask(1, |out| out.extend_from_slice(&one)).unwrap();
        let mut context = Context::from_waker(Waker::noop());
        while Pin::new(&mut wire).poll_flush(&mut context).is_pending() {}
        write_by_client(&mut wire, &other, 1_000);

        let written = line.with(|state| state.socket_for_test().written.clone());
        assert_eq!(written, [one, other].concat());
        let came = [texts(1), b"$1\r\nb\r\n".to_vec()].concat();
        line.with(|state| state.socket_for_test().comes.push_back(came));
        assert!(matches!(poll(&mut asker), Poll::Ready(Answer::Texts(_))));
        assert_eq!(read_by_client(&mut wire), b"$1\r\nb\r\n");
    }
}

#[test]
fn what_is_asked_while_the_client_waits_until_it_may_write_is_written_before() {
    let mut wire = Wire::new(Fake::default());
    let line = wire.line();
    line.with(|state| state.socket_for_test().takes = VecDeque::from([0]));
    let (one, other) = (request(&["MGET", "a"]), request(&["GET", "b"]));
    let mut context = Context::from_waker(Waker::noop());
    assert!(
        Pin::new(&mut wire)
            .poll_write(&mut context, &other)
            .is_pending()
    );
    let asked = line.ask(1, |out| out.extend_from_slice(&one)).unwrap();
    // It is the client that the socket will wake.
    assert!(line.with(|state| state.socket_for_test().written.is_empty()));
    write_by_client(&mut wire, &other, 1_000);
    drop(asked);
    let written = line.with(|state| state.socket_for_test().written.clone());
    assert_eq!(written, [one, other].concat());
}

#[test]
fn those_who_ask_while_another_waits_are_written_together_by_the_client() {
    let mut wire = Wire::new(Fake::default());
    let line = wire.line();
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut client = Context::from_waker(&waker);
    let mut buffer = [0; 64];
    let mut out = ReadBuf::new(&mut buffer);
    assert!(
        Pin::new(&mut wire)
            .poll_read(&mut client, &mut out)
            .is_pending()
    );
    let mget = request(&["MGET", "a"]);
    let ask = || line.ask(1, |out| out.extend_from_slice(&mget)).unwrap();

    let first = ask();
    let writes = || line.with(|state| state.socket_for_test().writes);
    assert_eq!((writes(), woken.count()), (1, 0));
    let others = [ask(), ask()];
    assert_eq!(writes(), 1);
    assert!(woken.count() > 0);
    now(Pin::new(&mut wire).poll_flush(&mut client)).unwrap();
    assert_eq!(writes(), 2);

    let came = (0..3).flat_map(texts).collect();
    line.with(|state| state.socket_for_test().comes.push_back(came));
    assert!(read_by_client(&mut wire).is_empty());
    for (number, mut asker) in [first].into_iter().chain(others).enumerate() {
        let head = format!("$1\r\n{number}\r\n");
        assert!(texts_of(&now(poll(&mut asker))).starts_with(head.as_bytes()));
    }
}

#[test]
fn nobody_is_answered_before_the_client_has_heard_what_was_told_before() {
    let mut wire = Wire::new(Fake::default());
    let line = wire.line();
    let mut asker = line.ask(1, |out| out.push(b'x')).unwrap();
    let came = [PUSH, &texts(1)].concat();
    line.with(|state| state.socket_for_test().comes.push_back(came));
    assert!(poll(&mut asker).is_pending());

    let mut buffer = [0; 1_024];
    let mut out = ReadBuf::new(&mut buffer);
    let mut context = Context::from_waker(Waker::noop());
    now(Pin::new(&mut wire).poll_read(&mut context, &mut out)).unwrap();
    assert_eq!(out.filled(), PUSH);
    // It has what was told, and may not have understood it yet.
    assert!(poll(&mut asker).is_pending());
    // It does before it wants more.
    let more = Pin::new(&mut wire).poll_read(&mut context, &mut out);
    assert!(more.is_pending());
    assert!(poll(&mut asker).is_ready());
}

#[test]
fn what_is_no_answer_answers_nobody() {
    let wire = Wire::new(Fake::default());
    let line = wire.line();
    let mut asker = line.ask(1, |out| out.push(b'x')).unwrap();
    line.with(|state| {
        state
            .socket_for_test()
            .comes
            .push_back(b"HTTP/1.1".to_vec());
    });
    let answer = now(poll(&mut asker));
    assert!(matches!(answer, Answer::Lost(io::ErrorKind::InvalidData)));
    assert!(line.ask(1, |out| out.push(b'x')).is_none());
}

#[test]
fn a_connection_on_which_an_answer_is_missing_ends_for_all() {
    let mut wire = Wire::new(Fake::default());
    let line = wire.line();
    let mget = request(&["MGET", "a"]);
    let mut first = line.ask(2, |out| out.extend_from_slice(&mget)).unwrap();
    let mut second = line.ask(1, |out| out.extend_from_slice(&mget)).unwrap();
    let came = [texts(1), texts(2)].concat();
    line.with(|state| state.socket_for_test().comes.push_back(came));
    for asker in [&mut first, &mut second] {
        let answer = now(poll(asker));
        assert!(matches!(answer, Answer::Lost(io::ErrorKind::InvalidData)));
    }
    let mut buffer = [0; 64];
    let mut out = ReadBuf::new(&mut buffer);
    let mut context = Context::from_waker(Waker::noop());
    let read = now(Pin::new(&mut wire).poll_read(&mut context, &mut out));
    assert_eq!(read.unwrap_err().kind(), io::ErrorKind::InvalidData);
}

/// A connection, and the server's end of it.
async fn connected() -> (Wire<TcpStream>, std::net::TcpStream) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let near = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    near.set_nonblocking(true).unwrap();
    let (far, _) = listener.accept().unwrap();
    let near = TcpStream::from_std(near).unwrap();
    near.writable().await.unwrap();
    (Wire::new(near), far)
}

/// A client that reads whatever comes, and counts how often it is asked to; what it has read.
fn client(mut wire: Wire<TcpStream>) -> (Rc<Cell<usize>>, Rc<Cell<usize>>) {
    let (polls, bytes) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let (counted, read) = (Rc::clone(&polls), Rc::clone(&bytes));
    tokio::task::spawn_local(async move {
        let mut buffer = [0; 1_024];
        loop {
            let some = poll_fn(|context| {
                counted.set(counted.get() + 1);
                let mut out = ReadBuf::new(&mut buffer);
                let read = Pin::new(&mut wire).poll_read(context, &mut out);
                let _ = Pin::new(&mut wire).poll_flush(context);
                read.map(|_| out.filled().len())
            });
            match some.await {
                0 => return,
                some => read.set(read.get() + some),
            }
        }
    });
    (polls, bytes)
}

async fn until(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        yield_now().await;
    }
}

/// A waker that counts, and what polls with it.
#[derive(Default)]
struct Woken(std::sync::atomic::AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }
}

impl Woken {
    fn count(&self) -> usize {
        self.0.load(std::sync::atomic::Ordering::SeqCst)
    }
}

#[test]
fn whoever_waits_alone_is_woken_and_else_the_client_is() {
    let mut wire = Wire::new(Fake::default());
    let line = wire.line();
    let wakers = [(); 3].map(|()| Arc::new(Woken::default()));
    let [client, one, other] = &wakers;
    let contexts = [client, one, other].map(|woken| Waker::from(Arc::clone(woken)));
    let [of_client, of_one, of_other] = &contexts;
    let mut buffer = [0; 64];
    let mut out = ReadBuf::new(&mut buffer);
    let mut context = Context::from_waker(of_client);
    assert!(
        Pin::new(&mut wire)
            .poll_read(&mut context, &mut out)
            .is_pending()
    );
    let ring = || {
        let before = [client, one, other].map(|woken| woken.count());
        let bell = line.with(|state| Arc::clone(&state.bell));
        bell.wake();
        let after = [client, one, other].map(|woken| woken.count());
        [0, 1, 2].map(|at| after[at] - before[at])
    };
    let mget = request(&["MGET", "a"]);
    let ask = |waker: &Waker| {
        let mut asked = line.ask(1, |out| out.extend_from_slice(&mget)).unwrap();
        assert!(
            Pin::new(&mut asked)
                .poll(&mut Context::from_waker(waker))
                .is_pending()
        );
        asked
    };

    assert_eq!(ring(), [1, 0, 0]);
    let first = ask(of_one);
    assert_eq!(ring(), [0, 1, 0]);
    let second = ask(of_other);
    assert_eq!(ring(), [1, 0, 0]);
    drop(first);
    assert_eq!(ring(), [0, 0, 1]);
    // The client has asked for something itself.
    write_by_client(&mut wire, &request(&["GET", "b"]), 1_000);
    assert_eq!(ring(), [1, 0, 0]);
    // It has been answered, and one who went away.
    let came = [texts(1), texts(2), b"$1\r\nb\r\n".to_vec()].concat();
    line.with(|state| state.socket_for_test().comes.push_back(came));
    assert_eq!(read_by_client(&mut wire), b"$1\r\nb\r\n");
    drop(second);
    let _third = ask(of_one);
    assert_eq!(ring()[1], 1);
}

fn locally(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let limited = async {
        let ended = clock::within(Duration::from_secs(10), test).await;
        ended.expect("somebody is held up");
    };
    tokio::task::LocalSet::new().block_on(&runtime, limited);
}

#[test]
fn an_answer_wakes_nobody_but_him_who_asked() {
    locally(async {
        let (wire, mut far) = connected().await;
        let line = wire.line();
        let (polls, bytes) = client(wire);
        until(|| polls.get() > 0).await;
        let before = polls.get();
        for number in 0..20 {
            let asked = line
                .ask(1, |out| out.extend(request(&["MGET", "a"])))
                .unwrap();
            let mut asked = pin!(asked);
            assert!(poll(&mut asked).is_pending());
            far.write_all(&texts(number)).unwrap();
            assert!(texts_of(&asked.await).ends_with(TEXTS));
        }
        assert_eq!(polls.get(), before);

        // And what is told reaches the client, at once where nobody asks, and before the answer where somebody does.
        far.write_all(PUSH).unwrap();
        until(|| bytes.get() == PUSH.len()).await;
        let asked = line
            .ask(1, |out| out.extend(request(&["MGET", "a"])))
            .unwrap();
        far.write_all(&[PUSH, &texts(1)].concat()).unwrap();
        asked.await;
        assert_eq!(bytes.get(), 2 * PUSH.len());
    });
}

#[test]
fn one_who_asked_and_does_not_go_on_holds_up_nobody_else() {
    locally(async {
        let (wire, mut far) = connected().await;
        let line = wire.line();
        let (polls, bytes) = client(wire);
        until(|| polls.get() > 0).await;
        let mget = request(&["MGET", "a"]);
        let mut idle = line.ask(1, |out| out.extend_from_slice(&mget)).unwrap();
        assert!(poll(&mut idle).is_pending());
        let other = line.ask(1, |out| out.extend_from_slice(&mget)).unwrap();
        far.write_all(&[texts(1), texts(2)].concat()).unwrap();
        assert!(texts_of(&other.await).starts_with(b"$1\r\n2"));

        // Nor one who is answered and does not take it.
        far.write_all(PUSH).unwrap();
        until(|| bytes.get() == PUSH.len()).await;
        assert!(texts_of(&idle.await).starts_with(b"$1\r\n1"));
    });
}

#[test]
fn what_one_was_woken_for_who_went_away_is_seen_by_another() {
    locally(async {
        let (wire, mut far) = connected().await;
        let line = wire.line();
        let (polls, bytes) = client(wire);
        until(|| polls.get() > 0).await;
        let mget = request(&["MGET", "a"]);
        let woken = Arc::new(Woken::default());
        let mut gone = line.ask(1, |out| out.extend_from_slice(&mget)).unwrap();
        let waker = Waker::from(Arc::clone(&woken));
        assert!(
            Pin::new(&mut gone)
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
        far.write_all(PUSH).unwrap();
        until(|| woken.count() > 0).await;
        drop(gone);
        until(|| bytes.get() == PUSH.len()).await;

        // Its answer is nobody's.
        let next = line.ask(1, |out| out.extend_from_slice(&mget)).unwrap();
        far.write_all(&[texts(1), texts(2)].concat()).unwrap();
        assert!(texts_of(&next.await).starts_with(b"$1\r\n2"));
        assert_eq!(bytes.get(), PUSH.len());
        assert!(line.with(|state| state.is_idle()));
    });
}

#[test]
fn whoever_asks_is_told_that_the_connection_has_ended() {
    locally(async {
        for by_client in [true, false] {
            let (wire, mut far) = connected().await;
            let line = wire.line();
            let asked = line
                .ask(1, |out| out.extend(request(&["MGET", "a"])))
                .unwrap();
            let mut asked = pin!(asked);
            assert!(poll(&mut asked).is_pending());
            match by_client {
                true => drop(wire),
                false => far.shutdown(Shutdown::Write).unwrap(),
            }
            let answer = asked.await;
            assert!(matches!(answer, Answer::Lost(io::ErrorKind::UnexpectedEof)));
            assert!(line.ask(1, |out| out.push(b'x')).is_none());
            // The socket is closed with the client, whoever else knows of the connection.
            if by_client {
                let mut rest = Vec::new();
                far.read_to_end(&mut rest).unwrap();
                assert_eq!(rest, request(&["MGET", "a"]));
            }
        }
    });
}
