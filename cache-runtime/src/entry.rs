//! One entry, read from and packed for the tiers: every reason for which it may not answer stands here.

use std::sync::Arc;
use std::time::Duration;

use crate::clock;
use crate::inner::Inner;
use crate::key::{Key, Tags};
use crate::log;
use crate::near::coherence::Teller;
use crate::near::{Entry, Epochs, Source, View, same_origin};
use crate::policy::Terms;
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
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// It lacks a tag of this function.
    Tags,
    /// It names other levels or tags than were asked for.
    Wider {
        levels: usize,
        tags: Tags,
    },
}

/// One question: which entry of which cache, of what type, kept on which terms.
#[derive(Clone, Copy)]
pub(crate) struct Query<'a> {
    pub(crate) cache: &'a Arc<Inner>,
    pub(crate) key: &'a Key,
    pub(crate) kind: Kind,
    pub(crate) terms: Terms,
    pub(crate) counters: &'a Counters,
}

/// The value in the in-process tier.
pub(crate) fn near(cache: &Inner, key: &str, origin: u64, kind: Kind) -> Option<Shared> {
    let entry = cache.near.get(key, origin)?;
    (entry.type_id == (kind.type_id)()).then_some(entry.value)
}

impl Query<'_> {
    /// Looks in the process, and then in Redis while it answers.
    pub(crate) async fn look_up(self) -> Found {
        match self.near() {
            Some(value) => Found::Value(value),
            None => self.fetch().await,
        }
    }

    /// The value in the in-process tier, counted.
    pub(crate) fn near(self) -> Option<Shared> {
        let allowed = self.terms.near.allow();
        let found =
            allowed.then(|| near(self.cache, self.key.as_str(), self.key.origin(), self.kind));
        let found = found.flatten();
        if found.is_some() {
            self.counters.near_hits.one();
        }
        found
    }

    /// Looks in the tier that is in use: Redis while it answers, else the process.
    pub(crate) async fn fetch(self) -> Found {
        // Before the read: what is heard from here on is newer than what it finds.
        let view = self.cache.near.view(self.key);
        let nothing = |remote| Found::Nothing(Seen { near: view, remote });
        match self.ask_redis(view).await {
            Some(Ok(value)) => {
                self.counters.store_hits.one();
                Found::Value(value)
            }
            Some(Err(remote)) => nothing(Some(remote)),
            None => match self.near() {
                Some(value) => Found::Value(value),
                None => nothing(None),
            },
        }
    }

    /// What Redis has: the value, or what was seen instead. `None`: Redis is not there, or did not answer.
    async fn ask_redis(self, view: View) -> Option<Result<Shared, SeenRemote>> {
        let remote = self.cache.remote.as_ref()?;
        let read = answered(remote.look_up(self.key).await, self.counters)?;
        self.weigh(read, view).await
    }

    /// What the answer of Redis to a look-up amounts to.
    pub(crate) async fn answer(self, read: Read, view: View) -> Found {
        match self.weigh(read, view).await {
            Some(Ok(value)) => {
                self.counters.store_hits.one();
                Found::Value(value)
            }
            found => Found::Nothing(Seen {
                near: view,
                remote: found.and_then(Result::err),
            }),
        }
    }

    async fn weigh(self, read: Read, view: View) -> Option<Result<Shared, SeenRemote>> {
        let judged = judge(self.cache, self.key, Some(self.kind), &read);
        let Err(Mismatch::Wider { levels, tags }) = judged else {
            return Some(self.unpack(read, view));
        };
        // Stored under further levels or tags than the asker knows of: ask for these too.
        let remote = self.cache.remote.as_ref()?;
        let wider = self.key.widened(levels, tags);
        let view = self.cache.near.view(&wider);
        let again = answered(remote.look_up(&wider).await, self.counters)?;
        let query = Query {
            key: &wider,
            ..self
        };
        Some(query.unpack(again, view).map_err(|seen| SeenRemote {
            // Older than the second answer, so that a fill under them is no younger than it says.
            generations: read.generations,
            ..seen
        }))
    }

    /// The value of an entry that may answer, which is kept in process as well; else what was seen.
    fn unpack(self, read: Read, view: View) -> Result<Shared, SeenRemote> {
        match judge(self.cache, self.key, Some(self.kind), &read) {
            Ok(Some(envelope)) => match (self.kind.decode)(envelope.header.codec, envelope.payload)
            {
                Ok(value) => {
                    let header = &envelope.header;
                    let now_ms = self
                        .cache
                        .remote
                        .as_ref()
                        .map_or(0, |remote| remote.now_ms());
                    let left = Duration::from_millis(header.expires_at_ms.saturating_sub(now_ms));
                    self.keep(&value, (header.origin, left), view, read.teller.clone());
                    return Ok(value);
                }
                Err(problem) => {
                    self.counters.errors.one();
                    log::rejected(self.key.as_str(), &problem);
                }
            },
            Ok(None) => {}
            Err(mismatch) => log::rejected(self.key.as_str(), &format_args!("{mismatch:?}")),
        }
        if let Some(Err(rejected)) = read.entry.as_deref().map(envelope::read) {
            self.counters.errors.one();
            log::rejected(self.key.as_str(), &rejected);
        }
        let stamp = read.entry.as_deref().map(envelope::stamp_of);
        Err(SeenRemote {
            lease: read.lease,
            stamp: stamp.unwrap_or_default().to_vec(),
            generations: read.generations,
            teller: read.teller,
        })
    }

    /// Keeps in process what Redis has just answered, or stored: of which nothing was heard since `view`,
    /// and of whose changes `teller` will tell.
    pub(crate) fn keep(
        self,
        value: &Shared,
        (origin, left): (u64, Duration),
        view: View,
        teller: Option<Arc<Teller>>,
    ) {
        let life = left.min(self.terms.near.bound(teller.is_some()));
        if life.is_zero() {
            return;
        }
        let entry = self.near_entry(value, origin, view, life);
        let source = teller.map_or(Source::Untold, Source::Told);
        let near = &self.cache.near;
        near.insert_unless_told(&self.key.shared(), Entry { source, ..entry }, view);
    }

    /// A value as the in-process tier keeps it.
    pub(crate) fn near_entry(
        self,
        value: &Shared,
        origin: u64,
        view: View,
        life: Duration,
    ) -> Entry {
        Entry {
            value: Arc::clone(value),
            type_id: (self.kind.type_id)(),
            origin,
            epoch: view.epoch,
            places: Epochs::places(self.key.groups()),
            source: Source::Process,
            expires: clock::after(clock::now(), life),
            bytes: (self.kind.weigh)(value),
        }
    }
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
    check_groups(key, &envelope, &read.generations)?;
    let now_ms = cache.remote.as_ref().map_or(0, |remote| remote.now_ms());
    if header.expires_at_ms <= now_ms {
        return Err(Mismatch::Expired);
    }
    Ok(Some(envelope))
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
    let (asked, named) = (key.level_count(), usize::from(header.levels));
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
            levels: u8::try_from(self.key.level_count()).unwrap_or(u8::MAX),
            generations,
        };
        let mut bytes = Vec::new();
        let written = envelope::write(&header, self.key.tags(), &mut bytes, |out| {
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
    if let Err(Mismatch::Wider { levels, tags }) = judged {
        let wider = key.widened(levels, tags);
        let read = remote.look_up(&wider).await?;
        return Ok(matches!(judge(cache, &wider, None, &read), Ok(Some(_))));
    }
    Ok(matches!(judged, Ok(Some(_))))
}

/// Whether the in-process tier has an entry under this key, of whatever type.
pub(crate) fn stands_near(cache: &Inner, key: &Key) -> bool {
    cache.near.get(key.as_str(), key.origin()).is_some()
}
