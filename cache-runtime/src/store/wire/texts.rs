//! Several texts that were handed on as one, for whoever asked for them.

use std::sync::Arc;

use redis::{ErrorKind, RedisResult, Value};

use super::LINE_END;
use super::scan::Element;
use crate::store::Bytes;

/// The texts of an answer that is an array of them, however it was handed on.
pub(in crate::store) fn texts(answer: Value) -> RedisResult<Vec<Option<Bytes>>> {
    match gathered(answer) {
        Ok(all) => {
            let all = Arc::new(all);
            Texts::of(&all)
                .map(|found| Ok(found?.map(|(start, end)| Bytes::part(&all, start, end))))
                .collect()
        }
        Err(answer) => {
            let found: Vec<Option<Vec<u8>>> = redis::from_redis_value(answer)?;
            Ok(found
                .into_iter()
                .map(|text| text.map(Bytes::from))
                .collect())
        }
    }
}

/// An answer as the server gave it, or those to several commands.
pub(in crate::store) fn ungathered(answer: Value) -> RedisResult<Value> {
    let all = match gathered(answer) {
        Ok(all) => all,
        Err(Value::Array(answers)) => {
            let answers = answers.into_iter().map(ungathered);
            return answers.collect::<RedisResult<_>>().map(Value::Array);
        }
        Err(answer) => return Ok(answer),
    };
    let values = Texts::of(&all).map(|found| {
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
pub(in crate::store) struct Texts<'a> {
    all: &'a [u8],
    at: usize,
}

impl<'a> Texts<'a> {
    pub(in crate::store) fn of(all: &'a [u8]) -> Self {
        Self { all, at: 0 }
    }
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
