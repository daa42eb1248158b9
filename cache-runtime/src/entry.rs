//! One entry, read from and packed for the tiers: every reason for which it may not answer stands here.

use std::sync::Arc;
use std::time::Duration;

use crate::clock;
use crate::inner::Inner;
use crate::key::Key;
use crate::log;
use crate::near::same_origin;
use crate::remote;
use crate::seen::{Seen, SeenRemote};
use crate::stats::Counters;
use crate::store::{Read, Trouble};
use crate::value::codec::CodecError;
use crate::value::envelope::{self, Envelope, Generations, Header};
use crate::value::{Kind, Shared};

/// What a look-up found.
pub(crate) enum Found {
    Value(Shared),
    Nothing(Seen),
}

/// Why the bytes under a key do not answer it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mismatch {
    /// The entry of another key: a middle box has shifted the replies.
    Key,
    /// Another function that has the same name and prefix.
    Origin,
    /// Another version of the type.
    Type,
    /// Invalidated.
    Generation,
    Expired,
    /// The entry names more levels than were asked for.
    Deeper(usize),
}

/// Looks in the tier that is in use: Redis while it answers, else the process.
pub(crate) async fn look_up(
    cache: &Arc<Inner>,
    key: &Key,
    kind: Kind,
    counters: &Counters,
) -> Found {
    let epoch = cache.epochs.now(key.levels());
    match remote_look_up(cache, key, kind, counters).await {
        Some(Ok(value)) => {
            counters.store_hits.one();
            Found::Value(value)
        }
        Some(Err(remote)) => Found::Nothing(Seen {
            epoch,
            remote: Some(remote),
        }),
        None => match near(cache, key.as_str(), key.origin(), kind) {
            Some(value) => {
                counters.near_hits.one();
                Found::Value(value)
            }
            None => Found::Nothing(Seen {
                epoch,
                remote: None,
            }),
        },
    }
}

/// The value in the in-process tier, where that is the tier in use.
pub(crate) fn near(cache: &Inner, key: &str, origin: u64, kind: Kind) -> Option<Shared> {
    let entry = cache.near.get(key, &cache.epochs, origin)?;
    (entry.type_id == (kind.type_id)()).then_some(entry.value)
}

/// What Redis has: the value, or what was seen instead. `None`: Redis is not there, or did not answer.
async fn remote_look_up(
    cache: &Arc<Inner>,
    key: &Key,
    kind: Kind,
    counters: &Counters,
) -> Option<Result<Shared, SeenRemote>> {
    let remote = cache.remote.as_ref()?;
    let read = answered(remote.look_up(key).await, counters)?;
    let Err(Mismatch::Deeper(depth)) = judge(cache, key, Some(kind), &read) else {
        return Some(unpack(cache, key, kind, read, counters));
    };
    // Stored by hand under a key with more levels than the function's own prefix has: ask for these too.
    let deeper = key.with_depth(depth);
    let read = answered(remote.look_up(&deeper).await, counters)?;
    let unpacked = unpack(cache, &deeper, kind, read, counters);
    Some(unpacked.map_err(|mut seen| {
        seen.generations.truncate(1 + key.depth());
        seen
    }))
}

fn answered(read: Result<Read, Trouble>, counters: &Counters) -> Option<Read> {
    match read {
        Ok(read) => Some(read),
        Err(Trouble::Open) => None,
        Err(_) => {
            counters.errors.one();
            None
        }
    }
}

/// The value of an entry that may answer, else what was seen.
fn unpack(
    cache: &Inner,
    key: &Key,
    kind: Kind,
    read: Read,
    counters: &Counters,
) -> Result<Shared, SeenRemote> {
    match judge(cache, key, Some(kind), &read) {
        Ok(Some(envelope)) => match (kind.decode)(envelope.header.codec, envelope.payload) {
            Ok(value) => return Ok(value),
            Err(problem) => {
                counters.errors.one();
                log::rejected(key.as_str(), &problem);
            }
        },
        Ok(None) => {}
        Err(mismatch) => log::rejected(key.as_str(), &format_args!("{mismatch:?}")),
    }
    if let Some(Err(rejected)) = read.entry.as_deref().map(envelope::read) {
        counters.errors.one();
        log::rejected(key.as_str(), &rejected);
    }
    let stamp = read.entry.as_deref().map(envelope::stamp_of);
    Err(SeenRemote {
        lease: read.lease,
        stamp: stamp.unwrap_or_default().to_vec(),
        generations: read.generations,
    })
}

/// Whether an entry may answer this key now. `Ok(None)`: there is none, or none of ours.
fn judge<'a>(
    cache: &Inner,
    key: &Key,
    kind: Option<Kind>,
    read: &'a Read,
) -> Result<Option<Envelope<'a>>, Mismatch> {
    let Some(Ok(envelope)) = read.entry.as_deref().map(envelope::read) else {
        return Ok(None);
    };
    let header = &envelope.header;
    if header.key_hash != envelope::key_hash(key.as_str()) {
        return Err(Mismatch::Key);
    }
    if !same_origin(header.origin, key.origin()) {
        return Err(Mismatch::Origin);
    }
    if kind.is_some_and(|kind| header.fingerprint != (kind.facts)().shape.fingerprint) {
        return Err(Mismatch::Type);
    }
    let named = usize::from(header.levels);
    if named > read.generations.len() {
        return Err(Mismatch::Deeper(named.saturating_sub(1)));
    }
    let current = header.generations.iter().map(|named| Some(*named));
    let stand = current.eq(read
        .generations
        .iter()
        .take(header.generations.len())
        .copied());
    if !stand || header.generations.is_empty() {
        return Err(Mismatch::Generation);
    }
    let now_ms = cache.remote.as_ref().map_or(0, |remote| remote.now_ms());
    if header.expires_at_ms <= now_ms {
        return Err(Mismatch::Expired);
    }
    Ok(Some(envelope))
}

/// A value on its way to Redis.
pub(crate) struct Parcel<'a> {
    pub(crate) key: &'a Key,
    pub(crate) kind: Kind,
    pub(crate) value: &'a Shared,
    pub(crate) ttl: Duration,
    /// How long its load took.
    pub(crate) took: Duration,
}

impl Parcel<'_> {
    /// The bytes of the entry under these generations. Why a value cannot be encoded is said once per type.
    pub(crate) fn pack(
        &self,
        cache: &Inner,
        generations: Generations,
    ) -> Result<Vec<u8>, CodecError> {
        let facts = (self.kind.facts)();
        let codec = cache.config.codec.ok_or_else(CodecError::no_codec)?;
        let now_ms = cache.remote.as_ref().map_or(0, |remote| remote.now_ms());
        let header = Header {
            codec,
            stamp: remote::new_token(),
            key_hash: envelope::key_hash(self.key.as_str()),
            origin: self.key.origin(),
            fingerprint: facts.shape.fingerprint,
            expires_at_ms: now_ms.saturating_add(clock::millis(self.ttl)),
            load_ms: u32::try_from(clock::millis(self.took)).unwrap_or(u32::MAX),
            levels: u8::try_from(generations.len()).unwrap_or(u8::MAX),
            generations,
        };
        let mut bytes = Vec::new();
        let written = envelope::write(&header, &mut bytes, |out| {
            (self.kind.encode)(codec, self.value, facts, out)
        });
        match written {
            Ok(()) => Ok(bytes),
            Err(problem) => {
                if facts.report() {
                    log::not_stored(facts.name, &problem);
                }
                Err(problem)
            }
        }
    }
}

/// The generations that a fill is bound to; `None` where one could not be had.
pub(crate) fn generations(seen: &Seen) -> Option<Generations> {
    let remote = seen.remote.as_ref()?;
    remote.generations.iter().copied().collect()
}

/// Whether Redis has an entry under this key that may be used, of whatever type.
pub(crate) async fn stands(cache: &Arc<Inner>, key: &Key) -> Result<bool, Trouble> {
    let Some(remote) = &cache.remote else {
        return Ok(stands_near(cache, key));
    };
    let read = remote.look_up(key).await?;
    let judged = judge(cache, key, None, &read);
    if let Err(Mismatch::Deeper(depth)) = judged {
        let deeper = key.with_depth(depth);
        let read = remote.look_up(&deeper).await?;
        return Ok(matches!(judge(cache, &deeper, None, &read), Ok(Some(_))));
    }
    Ok(matches!(judged, Ok(Some(_))))
}

/// Whether the in-process tier has an entry under this key, of whatever type.
pub(crate) fn stands_near(cache: &Inner, key: &Key) -> bool {
    let found = cache.near.get(key.as_str(), &cache.epochs, key.origin());
    found.is_some()
}
