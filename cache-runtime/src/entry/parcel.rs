//! A value packed for Redis: encoded, compressed where that is asked for and makes it smaller, encrypted where there is a key for it, in its envelope.

use std::time::Duration;

use crate::clock;
use crate::inner::Inner;
use crate::key::Key;
use crate::log;
use crate::policy::Terms;
use crate::remote;
use crate::value::codec::{Codec, CodecError, UnknownCodec};
use crate::value::compression;
use crate::value::envelope::{self, Generations, Header};
use crate::value::{Facts, Kind, Shared};

/// A value on its way to Redis.
pub(crate) struct Parcel<'a> {
    pub(crate) key: &'a Key,
    pub(crate) kind: Kind,
    /// Its codec, and whether it is to be compressed, where that is not as the cache does.
    pub(crate) terms: Terms,
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
        let codec = match self.terms.codec {
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
        // Before the header, which says what became of it.
        let compressible = match self.terms.compress.unwrap_or(cache.config.compression) {
            true => Some(self.encoded(codec, facts)?),
            false => None,
        };
        let compressed = compressible.as_deref().and_then(compression::compress);
        let header = Header {
            codec,
            encrypted: keys.is_some(),
            compressed: compressed.is_some(),
            stamp: remote::new_token(),
            key_hash: envelope::key_hash(self.key.as_str()),
            origin: self.key.origin(),
            fingerprint: self.kind.fingerprint(),
            expires_at_ms: now_ms.saturating_add(clock::millis(self.ttl)),
            filled_at_ms: now_ms,
            load_ms: u32::try_from(clock::millis(self.took)).unwrap_or(u32::MAX),
            levels: u8::try_from(self.key.level_count()).unwrap_or(u8::MAX),
            generations,
        };
        let mut bytes = Vec::new();
        let written = envelope::write(&header, self.key.tags(), &mut bytes, |out| {
            let start = out.len();
            match compressed.as_ref().or(compressible.as_ref()) {
                Some(ready) => out.extend_from_slice(ready),
                None => (self.kind.encode)(codec, self.value, facts, out)?,
            }
            let seal = |keys| envelope::seal(keys, self.key.as_str(), &header, out, start);
            keys.map_or(Ok(()), seal)
        });
        written.map(|()| bytes)
    }

    fn encoded(&self, codec: Codec, facts: &Facts) -> Result<Vec<u8>, CodecError> {
        let mut encoded = Vec::new();
        (self.kind.encode)(codec, self.value, facts, &mut encoded)?;
        Ok(encoded)
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
