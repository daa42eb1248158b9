//! An entry of whatever type, as the methods see it that do not ask for its value: whether it is there, for how long, and how
//! another one takes its place.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use super::judge::{Life, Mismatch, judge_of_any_type, now_ms};
use crate::clock;
use crate::inner::Inner;
use crate::key::Key;
use crate::near::Asker;
use crate::remote::{self, Remote};
use crate::seen::Tokens;
use crate::store::{Read, Trouble, Watch};
use crate::value::codec::Codec;
use crate::value::compression;
use crate::value::envelope::{self, Envelope};

/// What Redis has under a key.
pub(crate) struct Standing {
    /// With the levels and tags that the entry names.
    pub(crate) key: Key,
    pub(crate) read: Read,
    /// Of its groups, as they were read.
    pub(crate) generations: Tokens,
    /// How long it may still be used; `None` where it may not, or there is none.
    pub(crate) left: Option<Duration>,
}

/// Asks Redis for an entry, of whatever type.
pub(crate) async fn standing(
    cache: &Inner,
    remote: &Arc<Remote>,
    key: &Key,
) -> Result<Standing, Trouble> {
    let read = remote.look_up(key, Watch::Kept).await?;
    let (key, read) = match judged(cache, key, &read) {
        Err(Mismatch::Wider { levels, tags }) => {
            let wider = key.widened(levels, tags);
            let read = remote.look_up(&wider, Watch::Kept).await?;
            (wider, read)
        }
        Ok(_) | Err(_) => (key.clone(), read),
    };
    let left = judged(cache, &key, &read).map(|life| match life {
        Life::Left(left) => Some(left),
        Life::Expired(_) => None,
    });
    let left = left.unwrap_or_default();
    Ok(Standing {
        generations: read.generations().clone(),
        key,
        read,
        left,
    })
}

fn judged(cache: &Inner, key: &Key, read: &Read) -> Result<Life, Mismatch> {
    let read_entry = read.entry().map(envelope::read);
    let Some(Ok(envelope)) = read_entry else {
        return Err(Mismatch::Key);
    };
    let at = (now_ms(cache), Duration::ZERO);
    let life = judge_of_any_type(key, &envelope, read.generations(), at)?;
    let keys = cache.config.encryption.as_ref();
    match envelope.open(key.as_str(), keys) {
        Ok(_) => Ok(life),
        Err(_) => Err(Mismatch::Key),
    }
}

impl Standing {
    /// Bytes 8 to 15 of the entry, empty where there is none.
    pub(crate) fn stamp(&self) -> &[u8] {
        let stamp = self.read.entry().map(envelope::stamp_of);
        stamp.unwrap_or_default()
    }

    fn envelope(&self) -> Option<Envelope<'_>> {
        let entry = self.left.and(self.read.entry())?;
        envelope::read(entry).ok()
    }

    /// The fingerprint of its type, the codec and the encoded value.
    pub(crate) fn encoded(&self, cache: &Inner) -> Option<(u64, Codec, Vec<u8>)> {
        let envelope = self.envelope()?;
        let keys = cache.config.encryption.as_ref();
        let payload = envelope.open(self.key.as_str(), keys).ok()?;
        let header = &envelope.header;
        Some((header.fingerprint, header.codec, payload.into_owned()))
    }

    /// The bytes of the same entry with so much life left.
    pub(crate) fn with_life(&self, cache: &Inner, left: Duration) -> Option<Vec<u8>> {
        let envelope = self.envelope()?;
        let keys = cache.config.encryption.as_ref();
        let payload = envelope.open(self.key.as_str(), keys).ok()?;
        let now_ms = now_ms(cache);
        let tags = envelope.tags();
        let mut header = envelope.header;
        header.stamp = remote::new_token();
        header.expires_at_ms = now_ms.saturating_add(clock::millis(left));
        // What is opened is plain; it goes back as it came.
        let compressed = match header.compressed {
            true => compression::compress(&payload),
            false => None,
        };
        header.compressed = compressed.is_some();
        let payload = compressed.map_or(payload, Cow::Owned);
        let mut bytes = Vec::new();
        let written = envelope::write(&header, tags, &mut bytes, |out| {
            let start = out.len();
            out.extend_from_slice(&payload);
            let seal = |keys| envelope::seal(keys, self.key.as_str(), &header, out, start);
            keys.map_or(Ok(()), seal)
        });
        written.ok().map(|()| bytes)
    }
}

/// How much life an entry in the in-process tier has left, of whatever type; `None` where there is none.
pub(crate) fn left_near(cache: &Inner, key: &Key) -> Option<Duration> {
    let kept = cache.near.get(key.as_str(), anybody(key))?;
    Some(kept.left())
}

/// Whether the in-process tier has an entry under this key, of whatever type.
pub(crate) fn stands_near(cache: &Inner, key: &Key) -> bool {
    left_near(cache, key).is_some()
}

/// Who asks without asking for a value.
pub(crate) fn anybody(key: &Key) -> Asker {
    Asker {
        origin: key.origin(),
        tagging: 0,
        early: 0.0,
        plain: false,
    }
}
