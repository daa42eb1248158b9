//! Key material that is never printed: the key under which sensitive arguments are hashed, and the texts of keys for
//! encryption.

use std::fmt;
use std::sync::LazyLock;

use crate::random;

/// The fewest bytes of a key for hashing: as many as nobody can try out.
const SHORTEST: usize = 16;

/// What the keyed hash is for, so that the same bytes given for something else make another key.
const CONTEXT: &str = "cache-runtime 2026-11 sensitive arguments in keys";

/// What stands before the hash. No other text of an argument begins like this: a longer one is `#` and its hash.
const MARK: &str = "##";

/// The key under which sensitive arguments are hashed.
#[derive(Clone)]
pub(crate) struct HashKey([u8; 32]);

impl HashKey {
    /// A key made of what the user gave.
    ///
    /// # Errors
    /// Too few bytes.
    pub(crate) fn new(material: &[u8]) -> Result<Self, &'static str> {
        if material.len() < SHORTEST {
            return Err("expected at least 16 bytes, random ones, the same in every process");
        }
        Ok(Self(blake3::derive_key(CONTEXT, material)))
    }

    /// A random one, for entries that no other process reads.
    pub(crate) fn of_this_process() -> Self {
        static KEY: LazyLock<[u8; 32]> =
            LazyLock::new(|| blake3::derive_key(CONTEXT, &random::bytes()));
        Self(*KEY)
    }

    /// Replaces the end of a text, from `start` on, by its keyed hash.
    pub(crate) fn hide(&self, text: &mut String, start: usize) {
        let clear = text.get(start..).unwrap_or_default();
        let hash = blake3::keyed_hash(&self.0, clear.as_bytes()).to_hex();
        text.truncate(start);
        text.push_str(MARK);
        text.push_str(&hash);
    }
}

impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(key: &HashKey, text: &str) -> String {
        let mut written = format!("user:{text}");
        key.hide(&mut written, 5);
        written
    }

    #[test]
    fn equal_keys_hide_alike_and_others_do_not() {
        let key = HashKey::new(b"sixteen bytes ..").unwrap();
        let same = HashKey::new(b"sixteen bytes ..").unwrap();
        let other = HashKey::new(b"sixteen bytes ,,").unwrap();

        assert_eq!(hidden(&key, "token"), hidden(&same, "token"));
        assert_ne!(hidden(&key, "token"), hidden(&other, "token"));
        assert_ne!(hidden(&key, "token"), hidden(&key, "tokem"));
        let process = HashKey::of_this_process();
        assert_eq!(
            hidden(&process, "token"),
            hidden(&HashKey::of_this_process(), "token")
        );
        assert_ne!(hidden(&process, "token"), hidden(&key, "token"));
    }

    #[test]
    fn what_is_hidden_is_a_keyed_hash() {
        let key = HashKey::new(b"sixteen bytes ..").unwrap();
        let written = hidden(&key, "token");

        assert!(written.starts_with("user:##"), "{written}");
        assert_eq!(written.len(), 5 + 2 + 64);
        assert!(!written.contains(&*blake3::hash(b"token").to_hex()));
    }

    #[test]
    fn a_short_key_is_refused_and_none_is_printed() {
        assert!(HashKey::new(b"fifteen bytes .").is_err());
        assert_eq!(format!("{:?}", HashKey::of_this_process()), "***");
    }
}
