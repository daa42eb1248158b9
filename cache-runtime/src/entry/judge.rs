//! Whether an entry of Redis may answer: every reason for which it may not stands here.

use std::time::Duration;

use super::Query;
use crate::clock;
use crate::inner::Inner;
use crate::key::{Key, Tags};
use crate::near::same_origin;
use crate::seen::SeenRemote;
use crate::store::Read;
use crate::value::envelope::{self, Envelope, Header, Rejected};

/// An entry that may answer.
pub(super) struct Judged<'a> {
    pub(super) envelope: &'a Envelope<'a>,
    pub(super) life: Life,
}

impl Judged<'_> {
    /// How long ago it was stored, by the server's clock.
    pub(super) fn age(&self) -> Duration {
        let Header {
            expires_at_ms,
            filled_at_ms,
            ..
        } = self.envelope.header;
        let now_ms = match self.life {
            Life::Left(left) => expires_at_ms.saturating_sub(clock::millis(left)),
            Life::Expired(since) => expires_at_ms.saturating_add(clock::millis(since)),
        };
        Duration::from_millis(now_ms.saturating_sub(filled_at_ms))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    Left(Duration),
    /// So long ago, which is not longer than expired values are of use.
    Expired(Duration),
}

/// Why the bytes under a key do not answer it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mismatch {
    /// They are no entry of ours.
    Rejected(Rejected),
    /// The entry of another key: a middle box has shifted the replies.
    Key,
    /// Another function that has the same name and prefix.
    Origin,
    /// Another type, or another version.
    Type,
    /// Invalidated.
    Generation,
    Expired,
    /// It lacks a tag of this function.
    Tags,
    /// It names other levels or tags than were asked for.
    Wider {
        levels: usize,
        tags: Tags,
    },
}

/// What `then` makes of an entry, if it may answer a question now. `Ok(None)`: there is none.
///
/// It is shown where it was taken apart: to hand it on would be to copy it, several times.
pub(super) fn judge<T>(
    query: Query<'_>,
    read: &Read,
    then: impl FnOnce(&Judged<'_>) -> T,
) -> Result<Option<T>, Mismatch> {
    let Some(entry) = read.entry() else {
        return Ok(None);
    };
    let envelope = envelope::read(entry);
    let envelope = match &envelope {
        Ok(envelope) => envelope,
        Err(rejected) => return Err(Mismatch::Rejected(*rejected)),
    };
    if envelope.header.fingerprint != query.kind.fingerprint() {
        return Err(Mismatch::Type);
    }
    let now_ms = || now_ms(query.cache);
    let at = match query.terms.near.allow() {
        // What is kept of it is kept from now on.
        true => now_ms(),
        false => read.looked_at(now_ms),
    };
    let stale = query.terms.stale.longest();
    let life = judge_of_any_type(query.key, envelope, read.generations(), (at, stale))?;
    Ok(Some(then(&Judged { envelope, life })))
}

/// What time it is for the server.
pub(super) fn now_ms(cache: &Inner) -> u64 {
    cache.remote.as_ref().map_or(0, |remote| remote.now_ms())
}

/// `at` is what time it is for the server.
pub(super) fn judge_of_any_type(
    key: &Key,
    envelope: &Envelope<'_>,
    generations: &[Option<u64>],
    (at, stale): (u64, Duration),
) -> Result<Life, Mismatch> {
    let header = &envelope.header;
    if header.key_hash != envelope::key_hash(key.as_str()) {
        return Err(Mismatch::Key);
    }
    if !same_origin(header.origin, key.origin()) {
        return Err(Mismatch::Origin);
    }
    // Before the expiry: what was invalidated is never returned, however long stale values are.
    check_groups(key, envelope, generations)?;
    let life = match header.expires_at_ms.saturating_sub(at) {
        0 => Life::Expired(Duration::from_millis(at - header.expires_at_ms)),
        left => Life::Left(Duration::from_millis(left)),
    };
    match life {
        Life::Expired(since) if since >= stale => Err(Mismatch::Expired),
        life => Ok(life),
    }
}

/// Whether every group of an entry still has the generation under which it was loaded.
fn check_groups(
    key: &Key,
    envelope: &Envelope<'_>,
    current: &[Option<u64>],
) -> Result<(), Mismatch> {
    let header = &envelope.header;
    if !key
        .tags()
        .all(|tag| envelope.tags().any(|named| named == tag))
    {
        // Whoever invalidates by that tag would not reach it.
        return Err(Mismatch::Tags);
    }
    // What was read has a place for each of its groups.
    let asked = current.len().saturating_sub(key.tags().count());
    let named = usize::from(header.levels);
    if named > asked || !envelope.tags().eq(key.tags()) {
        return Err(Mismatch::Wider {
            levels: named.max(asked),
            tags: Some(envelope.tags().map(Box::from).collect()),
        });
    }
    let levels = current.iter().take(named);
    let tags = current.iter().skip(asked);
    let stand = levels
        .chain(tags)
        .copied()
        .eq(header.generations.iter().map(|named| Some(*named)));
    match stand && named > 0 {
        true => Ok(()),
        false => Err(Mismatch::Generation),
    }
}

/// What is seen where nothing that was read may answer.
pub(super) fn seen_in(read: &Read) -> Box<SeenRemote> {
    let stamp = read.entry().map(envelope::stamp_of);
    Box::new(SeenRemote {
        lease: read.lease(),
        stamp: stamp.unwrap_or_default().to_vec(),
        generations: read.generations().clone(),
        teller: read.teller().cloned(),
    })
}
