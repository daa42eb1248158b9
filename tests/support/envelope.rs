//! Entries in Redis, altered as anybody could alter them who can write there and compute a checksum.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::RedisServer;

/// Where the numbers of an envelope stand, as ARCHITECTURE.md has it.
pub mod at {
    use std::ops::Range;

    pub const FLAGS: usize = 6;
    /// Milliseconds since 1970.
    pub const EXPIRES: Range<usize> = 40..48;
    /// Likewise.
    pub const FILLED: Range<usize> = 48..56;
    /// Milliseconds.
    pub const LOAD: Range<usize> = 56..60;
}

const HEAD: usize = 64;
const COUNTS: [usize; 2] = [60, 61];
const CHECKSUM: usize = 8;

/// The bytes under a key.
pub fn entry(server: &RedisServer, key: &str) -> Vec<u8> {
    server.command(&["GET", key]).bytes().to_vec()
}

/// Puts these bytes under a key, for as long as what stood there would have lived.
pub fn replace(server: &RedisServer, key: &str, entry: &[u8]) {
    let set: [&[u8]; 4] = [b"SET", key.as_bytes(), entry, b"KEEPTTL"];
    server.command(&set);
}

/// Where the payload of an entry begins that has no tags.
pub fn payload(entry: &[u8]) -> usize {
    HEAD + COUNTS
        .map(|at| 8 * usize::from(entry[at]))
        .iter()
        .sum::<usize>()
}

/// The same with a checksum that is right.
pub fn with_checksum(mut entry: Vec<u8>) -> Vec<u8> {
    entry.truncate(entry.len() - CHECKSUM);
    let checksum = xxh3_64_with_seed(&entry[payload(&entry)..], xxh3_64(&entry[..HEAD]));
    entry.extend_from_slice(&checksum.to_le_bytes());
    entry
}

/// The entry with another payload.
pub fn holding(entry: &[u8], payload: &[u8]) -> Vec<u8> {
    let before = &entry[..self::payload(entry)];
    with_checksum([before, payload, &[0; CHECKSUM]].concat())
}

/// Makes a moment that stands in an entry so many milliseconds earlier, or later where that is less than nothing.
pub fn earlier(server: &RedisServer, key: &str, moment: std::ops::Range<usize>, by_ms: i64) {
    let mut entry = entry(server, key);
    let known = u64::from_le_bytes(entry[moment.clone()].try_into().unwrap());
    let known = known.checked_add_signed(-by_ms).unwrap();
    entry[moment].copy_from_slice(&known.to_le_bytes());
    replace(server, key, &with_checksum(entry));
}
