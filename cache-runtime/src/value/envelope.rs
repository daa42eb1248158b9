//! What stands in Redis round a value: enough to know, before a byte of the value is decoded, that it is ours, whole, of this
//! key and type, and under which generations it was loaded.
//!
//! | bytes | what, little endian |
//! | --- | --- |
//! | 0..4 | magic |
//! | 4, 5 | format version, codec |
//! | 6 | flags: 1 where the payload is encrypted, 2 where it is compressed |
//! | 7 | reserved, 0 |
//! | 8..16 | stamp |
//! | 16..24 | hash of the key |
//! | 24..32 | origin |
//! | 32..40 | fingerprint of the type and its version |
//! | 40..48 | expiry, unix ms on the server's clock |
//! | 48..56 | when it was filled, likewise |
//! | 56..60 | duration of the load, ms |
//! | 60, 61 | how many levels, how many tags |
//! | 62..64 | reserved, 0 |
//! | 64.. | 8 bytes for each level's and tag's generation, big endian |
//! | .. | each tag's group: 2 bytes of length, and its text |
//! | .. | payload; compressed, it is an LZ4 block behind 4 bytes of the length that it comes to; encrypted, that is followed by 16 bytes of tag, 24 of nonce and 4 of key id |
//! | last 8 | xxh3-64 of all before but the generations |
//!
//! The checksum leaves the generations out, so that a script can put them in: one that is damaged is not the current one.

mod generations;
mod sealed;

use std::fmt;
use std::ops::RangeInclusive;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::codec::{Codec, CodecError};
use super::compression;
pub(crate) use generations::Generations;
pub(crate) use sealed::{Bound, Sealed, seal};

/// No UTF-8: a string somebody put under one of our keys is foreign at once.
const MAGIC: [u8; 4] = *b"\xCACHE";
const FORMAT: u8 = 3;
const FIXED: usize = 64;
const CHECKSUM: usize = 8;
/// In the flags: the payload is encrypted.
const ENCRYPTED: u8 = 1;
/// In the flags: the payload is compressed, and was so before it was encrypted.
const COMPRESSED: u8 = 2;
/// Where it stands how many levels and tags there are.
const COUNTS: std::ops::Range<usize> = 60..62;

/// Where the stamp stands, as `GETRANGE` counts; scripts compare it there.
pub(crate) const STAMP: RangeInclusive<usize> = 8..=15;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) codec: Codec,
    /// Whether the payload is encrypted.
    pub(crate) encrypted: bool,
    /// Whether it is compressed, under the encryption.
    pub(crate) compressed: bool,
    /// Unique to this write.
    pub(crate) stamp: u64,
    pub(crate) key_hash: u64,
    /// Whose arguments the key was built from, see `Key::origin`.
    pub(crate) origin: u64,
    pub(crate) fingerprint: u64,
    pub(crate) expires_at_ms: u64,
    pub(crate) filled_at_ms: u64,
    pub(crate) load_ms: u32,
    /// How many of `generations`, from the front, are those of prefix levels; the rest are those of tags.
    pub(crate) levels: u8,
    pub(crate) generations: Generations,
}

/// The header of an entry, and its value still encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Envelope<'a> {
    pub(crate) header: Header,
    /// The header's bytes.
    head: &'a [u8],
    /// The texts of the tags' groups, each after its length.
    tags: &'a [u8],
    payload: &'a [u8],
}

impl<'a> Envelope<'a> {
    /// The groups of the entry's tags.
    pub(crate) fn tags(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let mut rest = Reader(self.tags);
        std::iter::from_fn(move || rest.text().ok())
    }

    /// The payload as it stands there, encrypted or not.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn stored_payload(&self) -> &'a [u8] {
        self.payload
    }
}

/// Why bytes are no entry of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rejected {
    /// Somebody else's.
    Foreign,
    Truncated,
    /// Another format, or something in it this build does not know.
    Version,
    Checksum,
    /// Written by a codec that is unknown or not built in.
    Codec,
    /// Encrypted, and there is no key.
    Encrypted,
    /// Not encrypted, and there are keys.
    NotEncrypted,
    Sealed(Sealed),
    /// Compressed, and this build cannot undo it, or nobody can.
    Compressed,
}

/// Appends an envelope round what `payload` appends, or leaves `out` as it was.
pub(crate) fn write<'a>(
    header: &Header,
    tags: impl Iterator<Item = &'a str>,
    out: &mut Vec<u8>,
    payload: impl FnOnce(&mut Vec<u8>) -> Result<(), CodecError>,
) -> Result<(), CodecError> {
    let start = out.len();
    let written = write_header(header, out).and_then(|()| {
        write_tags(tags, out);
        payload(out)
    });
    if written.is_err() {
        out.truncate(start);
        return written;
    }
    let written = out.get(start..).unwrap_or_default();
    let (head, tail) = around_generations(written, header.generations.len());
    let checksum = checksum(head, tail);
    out.extend_from_slice(&checksum.to_le_bytes());
    Ok(())
}

/// What stands before and after that many generations.
pub(crate) fn around_generations(bytes: &[u8], count: usize) -> (&[u8], &[u8]) {
    let (head, rest) = bytes.split_at_checked(FIXED).unwrap_or((bytes, &[]));
    (head, rest.get(8 * count..).unwrap_or_default())
}

fn checksum(head: &[u8], tail: &[u8]) -> u64 {
    xxh3_64_with_seed(tail, xxh3_64(head))
}

fn write_tags<'a>(tags: impl Iterator<Item = &'a str>, out: &mut Vec<u8>) {
    for tag in tags {
        // One that is longer, which `key::tag` does not make, is cut off: the entry is then nobody's.
        let length = u16::try_from(tag.len()).unwrap_or(u16::MAX);
        out.extend_from_slice(&length.to_le_bytes());
        let kept = tag.as_bytes().get(..usize::from(length));
        out.extend_from_slice(kept.unwrap_or_default());
    }
}

fn write_header(header: &Header, out: &mut Vec<u8>) -> Result<(), CodecError> {
    let generations = header.generations.as_slice();
    let too_many = || CodecError::Generations(generations.len());
    let count = u8::try_from(generations.len()).map_err(|_| too_many())?;
    let tags = count.checked_sub(header.levels).ok_or_else(too_many)?;

    out.reserve(FIXED + 8 * generations.len() + CHECKSUM);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[FORMAT, header.codec.id(), flags(header), 0]);
    for word in [
        header.stamp,
        header.key_hash,
        header.origin,
        header.fingerprint,
        header.expires_at_ms,
        header.filled_at_ms,
    ] {
        out.extend_from_slice(&word.to_le_bytes());
    }
    out.extend_from_slice(&header.load_ms.to_le_bytes());
    out.extend_from_slice(&[header.levels, tags, 0, 0]);
    for generation in generations {
        out.extend_from_slice(&generation.to_be_bytes());
    }
    Ok(())
}

fn flags(header: &Header) -> u8 {
    let encrypted = if header.encrypted { ENCRYPTED } else { 0 };
    let compressed = if header.compressed { COMPRESSED } else { 0 };
    encrypted | compressed
}

/// Takes an envelope apart, having verified all of it except the value itself.
pub(crate) fn read(bytes: &[u8]) -> Result<Envelope<'_>, Rejected> {
    let mut rest = Reader(bytes);
    let Ok(magic) = rest.take::<4>() else {
        return Err(match MAGIC.starts_with(bytes) {
            true => Rejected::Truncated,
            false => Rejected::Foreign,
        });
    };
    if magic != MAGIC {
        return Err(Rejected::Foreign);
    }
    // Before anything else is looked at: another format may keep its checksum elsewhere.
    let [format, codec, flags @ ..] = rest.take::<4>()?;
    if format != FORMAT {
        return Err(Rejected::Version);
    }
    let body = verified(bytes)?;
    let [flags, 0] = flags else {
        return Err(Rejected::Version);
    };
    if flags & !(ENCRYPTED | COMPRESSED) != 0 {
        return Err(Rejected::Version);
    }
    let codec = Codec::from_id(codec).ok_or(Rejected::Codec)?;
    read_rest(codec, flags, body)
}

/// All but the checksum, if that is right.
fn verified(bytes: &[u8]) -> Result<&[u8], Rejected> {
    let (body, checksum) = bytes
        .split_last_chunk::<CHECKSUM>()
        .filter(|(body, _)| body.len() >= FIXED)
        .ok_or(Rejected::Truncated)?;
    let [levels, tags] = body
        .get(COUNTS)
        .and_then(|counts| counts.try_into().ok())
        .unwrap_or_default();
    let (head, tail) = around_generations(body, usize::from(levels) + usize::from(tags));
    if self::checksum(head, tail) == u64::from_le_bytes(*checksum) {
        Ok(body)
    } else {
        Err(Rejected::Checksum)
    }
}

fn read_rest(codec: Codec, flags: u8, body: &[u8]) -> Result<Envelope<'_>, Rejected> {
    let mut rest = Reader(body.get(8..).unwrap_or_default());
    let stamp = rest.word()?;
    let key_hash = rest.word()?;
    let origin = rest.word()?;
    let fingerprint = rest.word()?;
    let expires_at_ms = rest.word()?;
    let filled_at_ms = rest.word()?;
    let load_ms = u32::from_le_bytes(rest.take()?);
    let [levels, tags, reserved @ ..] = rest.take::<4>()?;
    if reserved != [0, 0] {
        return Err(Rejected::Version);
    }
    let count = levels.checked_add(tags).ok_or(Rejected::Version)?;
    let mut generations = Generations::default();
    for _ in 0..count {
        generations.push(rest.take().map(u64::from_be_bytes)?);
    }
    let named = rest.0;
    for _ in 0..tags {
        rest.text()?;
    }
    let length = named.len().saturating_sub(rest.0.len());
    let header = Header {
        codec,
        encrypted: flags & ENCRYPTED != 0,
        compressed: flags & COMPRESSED != 0,
        stamp,
        key_hash,
        origin,
        fingerprint,
        expires_at_ms,
        filled_at_ms,
        load_ms,
        levels,
        generations,
    };
    Ok(Envelope {
        header,
        head: body.get(..FIXED).unwrap_or_default(),
        tags: named.get(..length).unwrap_or_default(),
        payload: rest.0,
    })
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Rejected> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Rejected::Truncated)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn word(&mut self) -> Result<u64, Rejected> {
        self.take().map(u64::from_le_bytes)
    }

    /// A text after its length.
    fn text(&mut self) -> Result<&'a str, Rejected> {
        let length = usize::from(self.take().map(u16::from_le_bytes)?);
        let (text, rest) = self.0.split_at_checked(length).ok_or(Rejected::Truncated)?;
        self.0 = rest;
        std::str::from_utf8(text).map_err(|_| Rejected::Version)
    }
}

/// What `GETRANGE entry 8 15` answers for these bytes: the stamp, or as much of it as there is.
pub(crate) fn stamp_of(bytes: &[u8]) -> &[u8] {
    let end = bytes.len().min(*STAMP.end() + 1);
    bytes.get(*STAMP.start()..end).unwrap_or_default()
}

/// Kept in the entry, so that a value put under another key by whatever means is a miss.
pub(crate) fn key_hash(key: &str) -> u64 {
    xxh3_64(key.as_bytes())
}

impl fmt::Display for Rejected {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Foreign => "not an entry of this cache",
            Self::Truncated => "the entry is cut off",
            Self::Version => "the entry has another format",
            Self::Checksum => "the checksum is wrong",
            Self::Codec => "the entry's codec is not built in",
            Self::Encrypted => "the entry is encrypted, and no key is set",
            Self::NotEncrypted => "the entry is not encrypted",
            Self::Compressed => compression::REJECTED,
            Self::Sealed(Sealed::Tampered) => "the entry does not decrypt under this key",
            Self::Sealed(Sealed::Under(id)) => {
                return write!(
                    out,
                    "the entry is encrypted under the key {id}, which is not set"
                );
            }
        })
    }
}

#[cfg(test)]
mod tests;
