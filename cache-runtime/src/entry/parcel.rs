//! A value packed for Redis: encoded, encrypted where there is a key for it, in its envelope.

use std::time::Duration;

use crate::clock;
use crate::inner::Inner;
use crate::key::Key;
use crate::log;
use crate::remote;
use crate::value::codec::CodecError;
use crate::value::envelope::{self, Generations, Header};
use crate::value::{Kind, Shared};

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
