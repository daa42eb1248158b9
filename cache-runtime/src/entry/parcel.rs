//! A value packed for Redis: encoded, encrypted where there is a key for it, in its envelope.

use std::time::Duration;

use crate::clock;
use crate::inner::Inner;
use crate::key::Key;
use crate::log;
use crate::remote;
use crate::value::codec::{Codec, CodecError, UnknownCodec};
use crate::value::envelope::{self, Generations, Header};
use crate::value::{Kind, Shared};

/// A value on its way to Redis.
pub(crate) struct Parcel<'a> {
    pub(crate) key: &'a Key,
    pub(crate) kind: Kind,
    /// The name of its codec. `None`: that of the cache.
    pub(crate) codec: Option<&'static str>,
    pub(crate) value: &'a Shared,
    pub(crate) ttl: Duration,
    /// How long its load took.
    pub(crate) took: Duration,
}

impl Parcel<'_> {
    /// The bytes of the entry under these generations. Why a value cannot be encoded is said once per type and codec.
    pub(crate) fn pack(
        &self,
        cache: &Inner,
        generations: Generations,
    ) -> Result<Vec<u8>, CodecError> {
        let facts = (self.kind.facts)();
        let codec = match self.codec {
            Some(name) => named(name),
            None => cache.config.codec.ok_or_else(CodecError::no_codec),
        };
        let known = codec.as_ref().ok().copied();
        let packed = codec.and_then(|codec| self.pack_as(codec, cache, generations));
        packed.inspect_err(|problem| {
            if facts.report(known) {
                log::not_stored(facts.name, problem);
            }
        })
    }

    fn pack_as(
        &self,
        codec: Codec,
        cache: &Inner,
        generations: Generations,
    ) -> Result<Vec<u8>, CodecError> {
        let facts = (self.kind.facts)();
        let now_ms = cache.remote.as_ref().map_or(0, |remote| remote.now_ms());
        let keys = cache.config.encryption.as_ref();
        let header = Header {
            codec,
            encrypted: keys.is_some(),
            stamp: remote::new_token(),
            key_hash: envelope::key_hash(self.key.as_str()),
            origin: self.key.origin(),
            fingerprint: self.kind.fingerprint(),
            expires_at_ms: now_ms.saturating_add(clock::millis(self.ttl)),
            load_ms: u32::try_from(clock::millis(self.took)).unwrap_or(u32::MAX),
            levels: u8::try_from(self.key.level_count()).unwrap_or(u8::MAX),
            generations,
        };
        let mut bytes = Vec::new();
        let written = envelope::write(&header, self.key.tags(), &mut bytes, |out| {
            let start = out.len();
            (self.kind.encode)(codec, self.value, facts, out)?;
            let seal = |keys| envelope::seal(keys, self.key.as_str(), &header, out, start);
            keys.map_or(Ok(()), seal)
        });
        written.map(|()| bytes)
    }
}

/// The codec of that name, if it is built in.
fn named(name: &'static str) -> Result<Codec, CodecError> {
    name.parse()
        .map_err(|unknown: UnknownCodec| CodecError::Encode {
            codec: name,
            reason: unknown.to_string().into(),
        })
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn a_codec_that_is_not_built_in_is_refused_by_the_feature_it_needs() {
        for (name, is_built_in) in [
            ("bincode", cfg!(feature = "bincode")),
            ("postcard", cfg!(feature = "postcard")),
            ("json", cfg!(feature = "json")),
        ] {
            match named(name) {
                Ok(codec) => assert_eq!((codec.name(), is_built_in), (name, true)),
                Err(problem) => {
                    let needs = format!("turn on the feature `{name}`");
                    assert!(problem.to_string().contains(&needs), "{problem}");
                    assert!(!is_built_in, "{name}");
                }
            }
        }
    }
}
