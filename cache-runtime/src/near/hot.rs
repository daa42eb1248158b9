//! The entries that are hit, in front of moka, which takes locks and writes where it is read: here a hit does neither.
//!
//! moka owns what stands here. An entry is put here once it was found there, and taken away whenever it goes there, for
//! whatever reason; large ones never come. So this holds nothing that moka does not, but for the last few that were taken
//! away, which are freed together.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use papaya::{Equivalent, HashMap};
use seize::Collector;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::Kept;
use super::tier::weight;
use crate::random;

/// How many are freed together, by the thread that takes away the last of them: each time costs a word with the kernel.
const FREED_TOGETHER: usize = 8;

/// The part of the tier's limit above which an entry does not come here.
const LARGE_PARTS: u64 = 256;

pub(super) struct Hot {
    entries: HashMap<Name, Arc<Kept>, Seed>,
    largest: u64,
}

impl Hot {
    pub(super) fn new(memory_limit: u64) -> Self {
        let entries = HashMap::builder()
            .hasher(Seed(random::token()))
            .collector(Collector::new().batch_size(FREED_TOGETHER))
            .build();
        Self {
            entries,
            largest: memory_limit / LARGE_PARTS,
        }
    }

    /// Shows the entry, if there is one; answers what `take` does.
    pub(super) fn show(&self, key: &str, take: impl FnOnce(&Kept) -> bool) -> bool {
        let guard = self.entries.guard();
        self.entries
            .get(&Asked(key), &guard)
            .is_some_and(|kept| take(kept))
    }

    /// Whether this very entry stands here, or is not to.
    pub(super) fn has(&self, key: &str, kept: &Arc<Kept>) -> bool {
        let here = |here: &Arc<Kept>| Arc::ptr_eq(here, kept);
        weight(key, kept) > self.largest || self.entries.pin().get(&Asked(key)).is_some_and(here)
    }

    /// Puts an entry here that moka has. Nothing else may happen to it meanwhile, but that moka evicts it.
    pub(super) fn put(&self, key: &str, kept: &Arc<Kept>) {
        self.entries.pin().insert(Name::of(key), Arc::clone(kept));
        // Evicted in between: then it was looked for here before it was here. One of the two sees the other.
        if kept.is_gone() {
            self.take_away(key, kept);
        }
    }

    /// Whatever stands under this key.
    pub(super) fn remove(&self, key: &str) {
        self.entries.pin().remove(&Asked(key));
    }

    /// moka has let go of this entry.
    pub(super) fn gone(&self, key: &str, kept: &Arc<Kept>) {
        kept.go();
        self.take_away(key, kept);
    }

    fn take_away(&self, key: &str, kept: &Arc<Kept>) {
        let entries = self.entries.pin();
        // Another one may stand under its key by now.
        let _ = entries.remove_if(&Asked(key), |_, here| Arc::ptr_eq(here, kept));
    }

    /// The keys that match.
    pub(super) fn keys(&self, matches: impl Fn(&str) -> bool) -> Vec<Box<str>> {
        let entries = self.entries.pin();
        let keys = entries.keys().filter_map(Name::as_str);
        keys.filter(|key| matches(key)).map(Box::from).collect()
    }

    pub(super) fn clear(&self) {
        self.entries.pin().clear();
    }
}

/// So long a key stands beside the entry; it is compared at each hit, and fetching it from elsewhere would cost as much as
/// all else.
const SHORT: usize = 39;

/// The key of an entry.
enum Name {
    Short(u8, [u8; SHORT]),
    Long(Box<str>),
}

impl Name {
    fn of(key: &str) -> Self {
        let mut short = [0; SHORT];
        match (short.get_mut(..key.len()), u8::try_from(key.len())) {
            (Some(place), Ok(length)) => {
                place.copy_from_slice(key.as_bytes());
                Self::Short(length, short)
            }
            _ => Self::Long(key.into()),
        }
    }

    fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(self.as_bytes()).ok()
    }

    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Short(length, short) => short.get(..usize::from(*length)).unwrap_or_default(),
            Self::Long(key) => key.as_bytes(),
        }
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write(self.as_bytes());
    }
}

/// A key that is asked for.
struct Asked<'a>(&'a str);

impl Hash for Asked<'_> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write(self.0.as_bytes());
    }
}

impl Equivalent<Name> for Asked<'_> {
    fn equivalent(&self, name: &Name) -> bool {
        self.0.as_bytes() == name.as_bytes()
    }
}

/// Hashes keys under a seed that nobody outside knows, so that nobody can choose keys that meet.
struct Seed(u64);

impl BuildHasher for Seed {
    type Hasher = Seeded;

    fn build_hasher(&self) -> Seeded {
        Seeded(self.0)
    }
}

struct Seeded(u64);

impl Hasher for Seeded {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
