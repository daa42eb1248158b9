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
use super::coherence::{self, Stripe};
use super::tier::weight;
use crate::key::raw::{ROOM, Raw};
use crate::random;

/// How many are freed together, by the thread that takes away the last of them: each time costs a word with the kernel.
const FREED_TOGETHER: usize = 8;

/// The part of the tier's limit above which an entry does not come here.
const LARGE_PARTS: u64 = 256;

pub(super) struct Hot {
    entries: HashMap<Name, Front, Hashed>,
    /// Nobody outside knows it, so that nobody can choose names that meet.
    seed: u64,
    largest: u64,
}

/// An entry that stands here.
pub(super) struct Front {
    pub(super) kept: Arc<Kept>,
    /// [`Marks::changes`](coherence::Marks::changes) when it was last known to stand in moka.
    pub(super) unchanged: u64,
}

impl Front {
    /// Of an entry that stands in moka when its key was changed so often.
    pub(super) fn new(kept: &Arc<Kept>, changes: u64) -> Self {
        Self {
            kept: Arc::clone(kept),
            unchanged: changes,
        }
    }
}

/// Under what an entry is asked for.
#[derive(Clone, Copy)]
pub(super) enum Asked<'a> {
    Raw(&'a Raw),
    Key(&'a str),
}

impl Hot {
    pub(super) fn new(memory_limit: u64) -> Self {
        let entries = HashMap::builder()
            .hasher(Hashed)
            .collector(Collector::new().batch_size(FREED_TOGETHER))
            .build();
        Self {
            entries,
            seed: random::token(),
            largest: memory_limit / LARGE_PARTS,
        }
    }

    /// Shows the entry that stands under these notes, if there is one, with the stripe of its key; answers what `take` does.
    #[inline]
    pub(super) fn show_noted(&self, raw: &Raw, take: impl FnOnce(&Front, Stripe) -> bool) -> bool {
        let guard = self.entries.guard();
        let hash = xxh3_64_with_seed(raw.as_bytes(), self.seed);
        self.entries
            .get_key_value(&Noted { hash, raw }, &guard)
            .is_some_and(|(name, front)| take(front, name.stripe))
    }

    /// Shows the entry, if there is one, with the stripe of its key; answers what `take` does.
    #[inline]
    pub(super) fn show(&self, asked: Asked<'_>, take: impl FnOnce(&Front, Stripe) -> bool) -> bool {
        let guard = self.entries.guard();
        self.entries
            .get_key_value(&self.hashed(asked), &guard)
            .is_some_and(|(name, front)| take(front, name.stripe))
    }

    /// Under what an entry is to stand here: its notes, unless it stands under other ones; else its key.
    pub(super) fn name<'a>(&self, kept: &Kept, key: &'a str, notes: Option<&'a Raw>) -> Asked<'a> {
        let own = |notes: &&Raw| {
            let hash = self.hashed(Asked::Raw(notes)).hash;
            kept.notes().is_none_or(|claimed| claimed == hash)
        };
        notes.filter(own).map_or(Asked::Key(key), Asked::Raw)
    }

    /// Whether this very entry stands here since its key was changed so often.
    pub(super) fn has(&self, asked: Asked<'_>, kept: &Arc<Kept>, changes: u64) -> bool {
        self.show(asked, |front, _| {
            Arc::ptr_eq(&front.kept, kept) && front.unchanged == changes
        })
    }

    /// Whether an entry is not to stand here.
    pub(super) fn is_too_large(&self, key: &str, kept: &Kept) -> bool {
        weight(key, kept) > self.largest
    }

    /// Puts an entry here that moka has. Nothing else may happen to it meanwhile, but that moka evicts it.
    pub(super) fn put(&self, asked: Asked<'_>, key: &str, front: Front) {
        let kept = Arc::clone(&front.kept);
        let HashedName { hash, asked } = self.hashed(asked);
        let spelling = match asked {
            // One that stands under notes stands under no other ones, so that it can be taken away.
            Asked::Raw(raw) if kept.claim(hash) => Spelling::Raw(raw.clone()),
            Asked::Raw(_) => return,
            Asked::Key(key) => Spelling::of(key),
        };
        let name = Name {
            hash,
            spelling,
            stripe: coherence::stripe(key),
        };
        self.entries.pin().insert(name, front);
        // Evicted in between: then it was looked for here before it was here. One of the two sees the other.
        if kept.is_gone() {
            self.take_away(key, &kept);
        }
    }

    /// moka has let go of this entry.
    pub(super) fn gone(&self, key: &str, kept: &Arc<Kept>) {
        kept.go();
        self.take_away(key, kept);
    }

    fn take_away(&self, key: &str, kept: &Arc<Kept>) {
        let entries = self.entries.pin();
        // Another one may stand under its name by now.
        let own = |_: &Name, front: &Front| Arc::ptr_eq(&front.kept, kept);
        let _ = entries.remove_if(&self.hashed(Asked::Key(key)), own);
        if let Some(notes) = kept.notes() {
            let _ = entries.remove_if(&Notes(notes), own);
        }
    }

    pub(super) fn clear(&self) {
        self.entries.pin().clear();
    }

    #[inline]
    fn hashed<'a>(&self, asked: Asked<'a>) -> HashedName<'a> {
        let bytes = match asked {
            Asked::Raw(raw) => raw.as_bytes(),
            Asked::Key(key) => key.as_bytes(),
        };
        let hash = xxh3_64_with_seed(bytes, self.seed);
        HashedName { hash, asked }
    }
}

/// The name of an entry: the notes of a call, or its key.
struct Name {
    hash: u64,
    spelling: Spelling,
    /// That of its key.
    stripe: Stripe,
}

/// What is short stands beside the entry; it is compared at each hit, and fetching it from elsewhere would cost as much as
/// all else.
enum Spelling {
    Raw(Raw),
    Short(u8, [u8; ROOM]),
    Long(Box<str>),
}

impl Spelling {
    fn of(key: &str) -> Self {
        let mut short = [0; ROOM];
        match (short.get_mut(..key.len()), u8::try_from(key.len())) {
            (Some(place), Ok(length)) => {
                place.copy_from_slice(key.as_bytes());
                Self::Short(length, short)
            }
            _ => Self::Long(key.into()),
        }
    }

    #[inline]
    fn is(&self, asked: Asked<'_>) -> bool {
        match (self, asked) {
            (Self::Raw(raw), Asked::Raw(asked)) => raw == asked,
            (Self::Short(length, short), Asked::Key(key)) => {
                short.get(..usize::from(*length)) == Some(key.as_bytes())
            }
            (Self::Long(long), Asked::Key(key)) => **long == *key,
            (Self::Raw(_), Asked::Key(_)) | (Self::Short(..) | Self::Long(_), Asked::Raw(_)) => {
                false
            }
        }
    }

    fn asked(&self) -> Asked<'_> {
        match self {
            Self::Raw(raw) => Asked::Raw(raw),
            Self::Short(length, short) => {
                let key = short.get(..usize::from(*length)).map(str::from_utf8);
                Asked::Key(key.and_then(Result::ok).unwrap_or_default())
            }
            Self::Long(long) => Asked::Key(long),
        }
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.spelling.is(other.spelling.asked())
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u64(self.hash);
    }
}

/// A name that is asked for.
struct HashedName<'a> {
    hash: u64,
    asked: Asked<'a>,
}

impl Hash for HashedName<'_> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u64(self.hash);
    }
}

impl Equivalent<Name> for HashedName<'_> {
    #[inline]
    fn equivalent(&self, name: &Name) -> bool {
        name.spelling.is(self.asked)
    }
}

/// Notes that are asked for.
struct Noted<'a> {
    hash: u64,
    raw: &'a Raw,
}

impl Hash for Noted<'_> {
    #[inline]
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u64(self.hash);
    }
}

impl Equivalent<Name> for Noted<'_> {
    #[inline]
    fn equivalent(&self, name: &Name) -> bool {
        matches!(&name.spelling, Spelling::Raw(raw) if raw == self.raw)
    }
}

/// Notes of which only the hash is known: another one of that hash is nothing that is to be removed.
struct Notes(u64);

impl Hash for Notes {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u64(self.0);
    }
}

impl Equivalent<Name> for Notes {
    fn equivalent(&self, name: &Name) -> bool {
        name.hash == self.0 && matches!(name.spelling, Spelling::Raw(_))
    }
}

/// Takes the hash of what comes with it.
struct Hashed;

impl BuildHasher for Hashed {
    type Hasher = TakesHash;

    #[inline]
    fn build_hasher(&self) -> TakesHash {
        TakesHash(0)
    }
}

struct TakesHash(u64);

impl Hasher for TakesHash {
    #[inline]
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}
