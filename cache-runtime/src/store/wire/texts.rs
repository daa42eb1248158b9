//! Several texts that were handed on as one, for whoever asked for them.

use std::io;

use redis::{ErrorKind, RedisResult, Value};

use super::LINE_END;
use super::scan::Element;
use super::state::Answer;
use crate::store::answers::Span;

/// The texts of an answer, one after the other as the server writes them.
pub(in crate::store) struct Texts(Vec<u8>);

/// Where a text stands; `None`: it is missing.
type Found = RedisResult<Option<Span>>;

/// The texts of an answer that is an array of them, however it was handed on.
pub(in crate::store) fn texts(answer: Value) -> RedisResult<Texts> {
    match gathered(answer) {
        Ok(all) => Ok(Texts(all)),
        Err(answer) => {
            let found: Vec<Option<Vec<u8>>> = redis::from_redis_value(answer)?;
            Ok(Texts::of(found))
        }
    }
}

/// The texts that were answered beside the client. What is no array of several of them is an error, or the answer to something
/// else.
pub(in crate::store) fn texts_beside(answer: Answer) -> RedisResult<Texts> {
    match answer {
        Answer::Texts(all) => Ok(Texts(all)),
        Answer::Other(other) => {
            redis::parse_redis_value(&other)?.extract_error()?;
            Err((ErrorKind::Parse, "an answer to something else").into())
        }
        Answer::Lost(kind) => Err(io::Error::from(kind).into()),
    }
}

impl Texts {
    pub(in crate::store) fn of(texts: Vec<Option<Vec<u8>>>) -> Self {
        let mut all = Vec::new();
        for text in texts {
            match text {
                Some(text) => {
                    all.extend_from_slice(format!("${}\r\n", text.len()).as_bytes());
                    all.extend_from_slice(&text);
                    all.extend_from_slice(LINE_END);
                }
                None => all.extend_from_slice(b"_\r\n"),
            }
        }
        Self(all)
    }

    pub(in crate::store) fn spans(&self) -> Spans<'_> {
        Spans::of(&self.0)
    }

    /// What the spans are of.
    pub(in crate::store) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(in crate::store) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// An answer as the server gave it, or those to several commands.
pub(in crate::store) fn ungathered(answer: Value) -> RedisResult<Value> {
    let all = match gathered(answer) {
        Ok(all) => Texts(all),
        Err(Value::Array(answers)) => {
            let answers = answers.into_iter().map(ungathered);
            return answers.collect::<RedisResult<_>>().map(Value::Array);
        }
        Err(answer) => return Ok(answer),
    };
    let values = all.spans().map(|found| {
        Ok(match found? {
            Some(span) => Value::BulkString(span.of_bytes(all.bytes()).to_vec()),
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

/// Where each of several texts stands.
pub(in crate::store) struct Spans<'a> {
    all: &'a [u8],
    at: usize,
}

impl<'a> Spans<'a> {
    pub(in crate::store) fn of(all: &'a [u8]) -> Self {
        Self { all, at: 0 }
    }
}

impl Iterator for Spans<'_> {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        let rest = self.all.get(self.at..).filter(|rest| !rest.is_empty())?;
        let Some((element, number)) = Element::first(rest)
            .and_then(|element| element.number().map(|number| (element, number)))
        else {
            self.at = self.all.len();
            return Some(Err((ErrorKind::Parse, "texts that are none").into()));
        };
        let start = self.at + element.line;
        if element.is_null() {
            self.at = start;
            return Some(Ok(None));
        }
        let end = start.saturating_add(usize::try_from(number).unwrap_or(usize::MAX));
        self.at = end.saturating_add(LINE_END.len());
        let span = Span::of(start..end);
        Some(
            span.map(Some)
                .ok_or_else(|| (ErrorKind::Parse, "texts beyond any length").into()),
        )
    }
}
