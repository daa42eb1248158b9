//! An envelope whose payload is encrypted: what that is bound to, and who may open it. What was compressed was so before.

use std::borrow::Cow;

use super::{Envelope, Header, Rejected, around_generations};
use crate::value::codec::CodecError;
use crate::value::compression;
use crate::value::seal::Keys;

/// What a payload is encrypted for: the key it stands under, and all that stands before it but the generations.
#[cfg_attr(
    not(feature = "encryption"),
    expect(dead_code, reason = "only what encrypts reads it")
)]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bound<'a> {
    key: &'a str,
    head: &'a [u8],
    tags: &'a [u8],
}

#[cfg(feature = "encryption")]
impl Bound<'_> {
    /// The same as bytes, for the key of that id. No two places have the same: the header has a fixed length and counts the
    /// tags, and the key stands after its length.
    pub(in crate::value) fn under(self, id: u32) -> Vec<u8> {
        let length = u64::try_from(self.key.len()).unwrap_or(u64::MAX);
        [
            self.head,
            &id.to_le_bytes(),
            &length.to_le_bytes(),
            self.key.as_bytes(),
            self.tags,
        ]
        .concat()
    }
}

/// Why a payload could not be encrypted or decrypted.
#[cfg_attr(
    not(feature = "encryption"),
    expect(dead_code, reason = "only what encrypts fails")
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sealed {
    /// Under the key of this id, which is not here.
    Under(u32),
    /// It is not what was encrypted, or not where; or it could not be encrypted at all.
    Tampered,
}

impl<'a> Envelope<'a> {
    /// The encoded value under this key, in clear and at its full length.
    pub(crate) fn open(&self, key: &str, keys: Option<&Keys>) -> Result<Cow<'a, [u8]>, Rejected> {
        let opened = self.decrypt(key, keys)?;
        match self.header.compressed {
            false => Ok(opened),
            true => compression::decompress(&opened).map(Cow::Owned),
        }
    }

    /// The payload in clear. With keys for encryption only what one of them encrypted counts, because anybody who
    /// can write to Redis can write the rest; without any, nothing that is encrypted does.
    fn decrypt(&self, key: &str, keys: Option<&Keys>) -> Result<Cow<'a, [u8]>, Rejected> {
        let bound = Bound {
            key,
            head: self.head,
            tags: self.tags,
        };
        match (keys, self.header.encrypted) {
            (None, false) => Ok(Cow::Borrowed(self.payload)),
            (None, true) => Err(Rejected::Encrypted),
            (Some(_), false) => Err(Rejected::NotEncrypted),
            (Some(keys), true) => match keys.open(bound, self.payload) {
                Ok(payload) => Ok(Cow::Owned(payload)),
                Err(sealed) => Err(Rejected::Sealed(sealed)),
            },
        }
    }
}

/// Encrypts the payload that stands in `out` from `start` on, behind a header with that many generations.
pub(crate) fn seal(
    keys: &Keys,
    key: &str,
    header: &Header,
    out: &mut Vec<u8>,
    start: usize,
) -> Result<(), CodecError> {
    let before = out.get(..start).unwrap_or_default().to_vec();
    let (head, tags) = around_generations(&before, header.generations.len());
    let bound = Bound { key, head, tags };
    let sealed = keys.seal(bound, out, start);
    sealed.map_err(|_| CodecError::Encode {
        codec: header.codec.name(),
        reason: "it could not be encrypted: no random bytes".into(),
    })
}

#[cfg(test)]
mod tests;
