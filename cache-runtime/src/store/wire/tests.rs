use std::collections::VecDeque;
use std::future::poll_fn;

use proptest::prelude::*;
use redis::Value;

use super::scan::KINDS;
use super::*;

/// A socket over which these pieces come in.
struct Pieces(VecDeque<Vec<u8>>);

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(mut piece) = self.0.pop_front() {
            let rest = piece.split_off(piece.len().min(out.remaining()));
            out.put_slice(&piece);
            if !rest.is_empty() {
                self.0.push_front(rest);
            }
        }
        Poll::Ready(Ok(()))
    }
}

async fn read(wire: &mut Wire<Pieces>, buffer: &mut [u8]) -> usize {
    let mut out = ReadBuf::new(buffer);
    poll_fn(|context| Pin::new(&mut *wire).poll_read(context, &mut out))
        .await
        .unwrap();
    out.filled().len()
}

/// What is handed on of what comes in, in pieces of that size, to somebody who takes so much at a time.
async fn handed_on(bytes: &[u8], piece: usize, taken: usize) -> Vec<u8> {
    let pieces = bytes.chunks(piece).map(<[u8]>::to_vec).collect();
    let mut wire = Wire::new(Pieces(pieces));
    let mut all = Vec::new();
    let mut buffer = vec![0; taken];
    loop {
        let read = read(&mut wire, &mut buffer).await;
        if read == 0 {
            return all;
        }
        all.extend_from_slice(&buffer[..read]);
    }
}

fn text(content: &[u8]) -> Vec<u8> {
    let head = format!("${}\r\n", content.len());
    [head.as_bytes(), content, b"\r\n"].concat()
}

fn array(elements: &[Vec<u8>]) -> Vec<u8> {
    let head = format!("*{}\r\n", elements.len());
    [head.into_bytes(), elements.concat()].concat()
}

/// What the client makes of each of the answers.
fn values(bytes: &[u8]) -> Vec<Value> {
    let mut parser = redis::Parser::new();
    let mut rest = ByteByByte(bytes);
    let mut values = Vec::new();
    while !rest.0.is_empty() {
        values.push(parser.parse_value(&mut rest).unwrap());
    }
    values
}

/// Gives no more than is asked for, so that nothing of the next answer is taken with one.
struct ByteByByte<'a>(&'a [u8]);

impl io::Read for ByteByByte<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(1);
        self.0.read(&mut buffer[..length])
    }
}

/// Answers of all shapes: each as the server sends it.
fn answer() -> impl Strategy<Value = Vec<u8>> {
    let content = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40),
        Just(b"\r\n$5\r\n*20\r\n".to_vec()),
    ];
    let leaf = prop_oneof![
        8 => content.prop_map(|content| text(&content)),
        4 => Just(b"_\r\n".to_vec()),
        2 => Just(b"$-1\r\n".to_vec()),
        1 => any::<i64>().prop_map(|number| format!(":{number}\r\n").into_bytes()),
        1 => Just(b"+OK\r\n".to_vec()),
        1 => Just(b"-ERR what is that\r\n".to_vec()),
        1 => Just(b"#t\r\n".to_vec()),
        1 => Just(b",1.5\r\n".to_vec()),
        1 => Just(b"=8\r\ntxt:text\r\n".to_vec()),
    ];
    let texts = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..60).prop_map(|content| text(&content)),
        Just(b"_\r\n".to_vec()),
        Just(b"$-1\r\n".to_vec()),
    ];
    let many = proptest::collection::vec(texts, 0..60).prop_map(|elements| array(&elements));
    let nested = leaf.prop_recursive(3, 60, 30, |inner| {
        let elements = proptest::collection::vec(inner, 0..30);
        prop_oneof![
            4 => elements.clone().prop_map(|elements| array(&elements)),
            1 => elements.prop_map(|elements| {
                let head = format!("%{}\r\n", elements.len());
                let pairs = elements.iter().flat_map(|element| [b"+key\r\n".to_vec(), element.clone()]);
                [head.into_bytes(), pairs.collect::<Vec<_>>().concat()].concat()
            }),
        ]
    });
    prop_oneof![2 => many, 2 => nested, 1 => Just(
        b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n".to_vec()
    )]
}

proptest! {
    #[test]
    fn what_is_handed_on_means_what_came_in(
        answers in proptest::collection::vec(answer(), 1..6),
        piece in 1_usize..500,
        taken in 1_usize..500,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let came = answers.concat();
        let went = runtime.block_on(handed_on(&came, piece, taken));
        let meant: Vec<Value> = values(&went).into_iter().map(|value| ungathered(value).unwrap()).collect();
        prop_assert_eq!(meant, values(&came));
    }

    #[test]
    fn what_is_no_answer_is_handed_on_as_it_is(
        before in proptest::collection::vec(any::<u8>(), 0..40),
        first in any::<u8>().prop_filter("no answer", |byte| !KINDS.contains(byte)),
        rest in proptest::collection::vec(any::<u8>(), 0..200),
        piece in 1_usize..50,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let came = [text(&before), vec![first], rest].concat();
        prop_assert_eq!(runtime.block_on(handed_on(&came, piece, 64)), came);
    }

    #[test]
    fn whatever_comes_in_something_goes_on(
        came in proptest::collection::vec(
            prop_oneof![Just(b'*'), Just(b'$'), Just(b'\r'), Just(b'\n'), Just(b'9'), Just(b'|'), any::<u8>()],
            0..300,
        ),
        piece in 1_usize..50,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        // No more than the heads of what is gathered comes in addition.
        let went = runtime.block_on(handed_on(&came, piece, 64));
        prop_assert!(went.len() <= came.len() * 3 + 64);
    }
}

fn found(answer: Value) -> Vec<Option<Vec<u8>>> {
    let texts = texts(answer).unwrap();
    let found = texts.spans().map(Result::unwrap);
    found
        .map(|span| span.map(|span| span.of_bytes(texts.bytes()).to_vec()))
        .collect()
}

#[tokio::test]
async fn several_texts_are_handed_on_as_one_and_fewer_are_not() {
    let of = |count: usize| -> Vec<Vec<u8>> {
        let numbers = (0..count).map(|number| number.to_string().into_bytes());
        numbers.map(|number| text(&number)).collect()
    };
    for (count, gathered) in [(0, false), (2, false), (3, true), (3_000, true)] {
        let came = array(&of(count));
        let went = values(&handed_on(&came, 1_000, 8_192).await).remove(0);
        assert_eq!(matches!(went, Value::Set(_)), gathered, "{count}");
        let expected: Vec<_> = (0..count)
            .map(|number| Some(number.to_string().into_bytes()))
            .collect();
        assert_eq!(found(went), expected);
    }
}

#[tokio::test]
async fn what_is_too_large_to_be_kept_back_goes_on_as_it_comes() {
    let large = array(&vec![text(&vec![b'x'; 100_000]); 20]);
    let came = [large.clone(), text(b"next")].concat();
    let mut wire = Wire::new(Pieces(came.chunks(10_000).map(<[u8]>::to_vec).collect()));
    let mut went = Vec::new();
    let mut most = 0;
    let mut buffer = vec![0; 8_192];
    loop {
        let read = read(&mut wire, &mut buffer).await;
        if read == 0 {
            break;
        }
        went.extend_from_slice(&buffer[..read]);
        most = most.max(wire.0.with(|state| state.bytes.len()));
    }

    assert_eq!(went, came);
    assert!(most <= 4 * MOST, "{most}");
    assert_eq!(found(values(&large).remove(0)).len(), 20);
}

#[test]
fn what_cannot_be_an_answer_is_not_kept_back_until_its_line_ends() {
    for (came, goes_on) in [("HTTP", true), ("*5", false), ("*5\r\n$1", false)] {
        let mut state = State::new(Pieces(VecDeque::new()));
        state.bytes[..came.len()].copy_from_slice(came.as_bytes());
        state.end = came.len();
        let mut buffer = [0; 16];
        let mut out = ReadBuf::new(&mut buffer);
        assert_eq!(state.hand_on(&mut out), goes_on, "{came}");
    }
}

#[tokio::test]
async fn room_is_given_back() {
    let large = array(&vec![text(&[b'x'; 20_000]); 40]);
    let came = [large, text(b"next")].concat();
    let mut wire = Wire::new(Pieces(came.chunks(50_000).map(<[u8]>::to_vec).collect()));
    let mut buffer = vec![0; 8_192];
    while read(&mut wire, &mut buffer).await > 0 {}

    assert_eq!(wire.0.with(|state| state.bytes.len()), ROOM);
}
