//! One read by itself, asked and answered without the client between: the request is bytes, and the answer is taken apart
//! where it stands.

use std::sync::Arc;
use std::time::Duration;

use redis::RedisResult;

use super::answers::{Answers, Found};
use super::batch::{LARGE, Packed, concerns_one_key};
use super::connect::Connector;
use super::redis::{Store, generation_of, lease_number};
use super::slots::Slot;
use super::wire::{Texts, texts_beside};
use super::{Read, Trouble, Watch};
use crate::clock::{self, Instant};
use crate::key::{self, Key};
use crate::near::coherence::Teller;
use crate::seen::Tokens;

/// The server need not remember that this connection reads what it does next.
pub(super) const UNWATCHED: &[u8] = b"*3\r\n$6\r\nCLIENT\r\n$7\r\nCACHING\r\n$2\r\nNO\r\n";

/// What came of asking beside the client.
enum Beside {
    Answered(Result<Read, Trouble>),
    /// The client is to ask: there is no connection, or it cannot be written to now.
    NotNow,
    /// The connection was no good.
    Dead,
}

impl Store {
    /// A read by itself, which tells whether it is to be one the next time as well.
    pub(super) async fn look_up_alone(
        &self,
        slot: &Slot,
        (key, watch): (&Key, Watch),
        limit: Duration,
    ) -> Result<Read, Trouble> {
        let read = self.read(slot, (key, watch), limit).await;
        match &read {
            Ok(read) => {
                let size = read.entry().map_or(0, <[u8]>::len);
                self.loners.note(key, size >= LARGE);
            }
            Err(trouble) if concerns_one_key(trouble) => self.loners.note(key, true),
            Err(_) => {}
        }
        read
    }

    /// Reads an entry, its lease and the generations of its groups, in one round trip of its own.
    ///
    /// # Cancellation
    /// The read may go on; what is answered goes to nobody.
    async fn read(
        &self,
        slot: &Slot,
        (key, watch): (&Key, Watch),
        limit: Duration,
    ) -> Result<Read, Trouble> {
        let began = clock::now();
        let is_another = match self.read_beside(slot, (key, watch), (began, limit)).await {
            Beside::Answered(read) => return read,
            Beside::NotNow => false,
            Beside::Dead => true,
        };
        let waited = clock::now().saturating_duration_since(began);
        let left = limit.saturating_sub(waited);
        // Boxed, so that a read that goes its usual way has a small future.
        Box::pin(self.read_by_client(key, left, is_another)).await
    }

    async fn read_beside(
        &self,
        slot: &Slot,
        (key, watch): (&Key, Watch),
        (sent, limit): (Instant, Duration),
    ) -> Beside {
        let Some(link) = Connector::current(slot) else {
            return Beside::NotNow;
        };
        let unwatched = watch == Watch::None && link.teller().is_some();
        let answers = 1 + usize::from(unwatched);
        let groups = key.groups().count();
        let request = |out: &mut Vec<u8>| write_request(out, (key, groups), unwatched);
        let Some(asked) = link.line.ask(answers, request) else {
            return Beside::NotNow;
        };
        let Some(answer) = clock::within(limit, asked).await else {
            self.connector.timed_out(&link);
            return Beside::Answered(Err(Trouble::Timeout));
        };
        let read = match Self::heard(&link, sent, texts_beside(answer)) {
            Ok(texts) => texts
                .ok()
                .and_then(|texts| taken_apart(texts, groups, watch.teller(link.teller()))),
            Err(trouble) => return Beside::Answered(Err(trouble)),
        };
        if read.is_none() {
            self.connector.discard(&link);
        }
        read.map_or(Beside::Dead, |read| Beside::Answered(Ok(read)))
    }

    /// The same by the client, which may have to connect, once more if this is the first attempt.
    async fn read_by_client(
        &self,
        key: &Key,
        limit: Duration,
        is_another: bool,
    ) -> Result<Read, Trouble> {
        // Watched in any case: to have the client say that it need not be would cost more than the server saves by it.
        let packed = Packed::of(std::iter::once(key), Watch::Kept);
        let command = packed.command();
        let take = |texts, teller: Option<&Arc<Teller>>| packed.take_apart(texts, teller);
        let asked = self.ask_for_texts(command.request(), limit, is_another, take);
        let read = asked.await?.reads().next();
        Ok(read.unwrap_or_else(|| Read::nothing(key)))
    }
}

/// The request for one, behind the word that nobody wants to know of changes where that is so.
fn write_request(out: &mut Vec<u8>, (key, groups): (&Key, usize), unwatched: bool) {
    if unwatched {
        out.extend_from_slice(UNWATCHED);
    }
    let entry = key.as_str();
    write_head(out, b'*', 3 + groups);
    out.extend_from_slice(b"$4\r\nMGET\r\n");
    write_text(out, [entry]);
    write_text(out, key::lease_name_parts(entry));
    for group in key.groups() {
        write_text(out, key::generation_name_parts(group));
    }
}

pub(super) fn write_text<const PARTS: usize>(out: &mut Vec<u8>, parts: [&str; PARTS]) {
    write_head(out, b'$', parts.iter().map(|part| part.len()).sum());
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

pub(super) fn write_head(out: &mut Vec<u8>, kind: u8, number: usize) {
    out.push(kind);
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// What was answered about a key of so many groups; `None`: the texts are the answer to something else.
fn taken_apart(texts: Texts, groups: usize, teller: Option<&Arc<Teller>>) -> Option<Read> {
    let bytes = texts.bytes();
    let mut spans = texts.spans().map(RedisResult::ok);
    let entry = spans.next()??;
    let lease = spans
        .next()??
        .map(|lease| lease_number(lease.of_bytes(bytes)));
    let generations = spans.map(|span| Some(generation_of(span?.map(|span| span.of_bytes(bytes)))));
    let generations = generations.collect::<Option<Tokens>>()?;
    if generations.len() != groups {
        return None;
    }
    let found = Found {
        entry,
        lease,
        generations: 0,
    };
    let bytes = texts.into_bytes();
    Some(Answers::of_one(bytes, found, generations, teller.cloned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_too_few_or_too_many_values_is_one_to_something_else() {
        let text = |text: &str| Some(text.as_bytes().to_vec());
        let token = text("000000000000002a");
        for (groups, fits) in [(0, false), (1, false), (2, true), (3, false)] {
            let texts = [vec![text("entry"), None], vec![token.clone(); groups]].concat();
            let read = taken_apart(Texts::of(texts), 2, None);
            assert_eq!(read.is_some(), fits, "{groups}");
            if let Some(read) = read {
                assert_eq!(read.entry(), Some(&b"entry"[..]));
                assert_eq!(read.lease(), None);
                assert_eq!(**read.generations(), [Some(42), Some(42)]);
            }
        }
        for texts in [vec![], vec![text("entry")]] {
            assert!(taken_apart(Texts::of(texts), 0, None).is_none());
        }
    }
}
