//! Pieces of a hit, each by itself, for the micro benchmarks of `benches/micro`.
//!
//! There only in tests, and in a build with `--cfg benching`.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::near::epoch;
use crate::value::codec::Codec;
use crate::value::envelope::{self, Header};

/// Appends the encoded value; whether there was one to append.
pub fn encode<T: Serialize>(codec: Codec, value: &T, out: &mut Vec<u8>) -> bool {
    codec.encode(value, out).is_ok()
}

/// The value that these bytes are.
pub fn decode<T: DeserializeOwned>(codec: Codec, bytes: &[u8]) -> Option<T> {
    codec.decode(bytes).ok()
}

/// Appends an envelope round the payload, with so many prefix levels; whether it could be written.
pub fn seal(codec: Codec, levels: u8, payload: &[u8], out: &mut Vec<u8>) -> bool {
    let header = Header {
        codec,
        encrypted: false,
        compressed: false,
        stamp: 1,
        key_hash: 2,
        origin: 3,
        fingerprint: 4,
        expires_at_ms: 5,
        filled_at_ms: 0,
        load_ms: 6,
        levels,
        generations: (0..u64::from(levels)).collect(),
    };
    let payload = |out: &mut Vec<u8>| {
        out.extend_from_slice(payload);
        Ok(())
    };
    envelope::write(&header, std::iter::empty(), out, payload).is_ok()
}

/// Whether these bytes are an envelope, all of which is checked.
pub fn unseal(bytes: &[u8]) -> bool {
    envelope::read(bytes).is_ok()
}

/// The counters of a process, and what they were for one entry.
#[derive(Debug)]
pub struct Epochs {
    counters: epoch::Epochs,
    places: epoch::Places,
    remembered: epoch::Epoch,
}

impl Epochs {
    /// For an entry under these prefix levels.
    pub fn of(levels: &[&str]) -> Self {
        let counters = epoch::Epochs::new();
        let places = epoch::Epochs::places(levels.iter().copied());
        let remembered = counters.at(places.slots());
        Self {
            counters,
            places,
            remembered,
        }
    }

    /// Whether nothing was invalidated since; asked at every hit.
    pub fn are_unmoved(&self) -> bool {
        self.counters.at(self.places.slots()) == self.remembered
    }
}

#[cfg(all(test, feature = "bincode"))]
mod tests {
    use super::*;

    #[test]
    fn each_piece_does_its_part() {
        let (mut payload, mut entry) = (Vec::new(), Vec::new());
        assert!(encode(Codec::Bincode, &7_u32, &mut payload));
        assert!(seal(Codec::Bincode, 2, &payload, &mut entry));
        assert!(unseal(&entry) && !unseal(&payload));
        assert_eq!(decode(Codec::Bincode, &payload), Some(7_u32));

        let epochs = Epochs::of(&["video", "video:meta"]);
        assert!(epochs.are_unmoved());
        epochs.counters.end("video");
        assert!(!epochs.are_unmoved());
    }
}
