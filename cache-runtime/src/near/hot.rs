//! The entries that are hit, in front of moka, which takes locks and writes where it is read: here a hit does neither.
//!
//! moka owns what stands here. An entry is put here once it was found there, and taken away whenever it goes there, for
//! whatever reason; large ones never come. So this holds nothing that moka does not, but for the last few that were taken
//! away, which are freed together.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use papaya::{Equivalent, HashMap, LocalGuard};
use seize::Collector;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::coherence::{self, Stripe, Teller};
use super::tier::weight;
use super::{Kept, Source};
use crate::key::raw::{Notes, Raw};
use crate::random;
use crate::value::Shared;

/// How many are freed together, by the thread that takes away the last of them: each time costs a word with the kernel.
const FREED_TOGETHER: usize = 8;

/// The part of the tier's limit above which an entry does not come here.
const LARGE_PARTS: u64 = 256;

pub(super) struct Hot {
    /// Those that are found by the notes of a call, under the hash of these: of two that have one, one stands here.
    noted: HashMap<Noted, (), Hashed>,
    /// Those that are found by their key.
    worded: HashMap<Worded, (Front, Arc<Kept>), Hashed>,
    /// Nobody outside knows it, so that nobody can choose keys that meet.
    seed: u64,
    largest: u64,
}

/// What is asked of an entry that stands here before it may answer.
pub(super) struct Front {
    pub(super) deadline: u64,
    /// [`Marks::changes`](coherence::Marks::changes) when it was last known to stand in moka.
    pub(super) unchanged: u64,
    /// [`Epochs::moves`](super::Epochs::moves) when its epoch was last found to be the current one.
    pub(super) checked: AtomicU64,
    pub(super) teller: Option<Arc<Teller>>,
}

/// An entry that is found by notes, with all that a hit looks at, in this order: of few notes no more than 80 bytes, which are
/// two lines of a processor's cache wherever they lie, and each line that is fetched from afar costs as much as all else.
#[repr(C)]
pub(super) struct Noted {
    /// That of the notes.
    hash: u64,
    pub(super) front: Front,
    /// See [`Caller::core`](super::Caller::core).
    pub(super) value: Shared,
    /// That of its key.
    pub(super) stripe: Stripe,
    pub(super) notes: Notes,
    pub(super) kept: Arc<Kept>,
}

const _: () = assert!(size_of::<Noted>() == 120);

/// The key of an entry.
struct Worded {
    hash: u64,
    key: Box<str>,
    stripe: Stripe,
}

impl Front {
    /// Of an entry that stands in moka when its key was changed so often.
    pub(super) fn new(kept: &Arc<Kept>, changes: u64) -> Self {
        Self {
            deadline: kept.deadline,
            unchanged: changes,
            checked: AtomicU64::new(u64::MAX),
            teller: match kept.source() {
                Source::Told(teller) => Some(Arc::clone(teller)),
                Source::Process | Source::Untold | Source::Plain => None,
            },
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
        Self {
            noted: table(),
            worded: table(),
            seed: random::token(),
            largest: memory_limit / LARGE_PARTS,
        }
    }

    /// Keeps from being freed what is found by notes.
    #[inline(always)]
    pub(super) fn guard(&self) -> LocalGuard<'_> {
        self.noted.guard()
    }

    /// The entry that stands under notes of this hash, if there is one.
    ///
    /// Inlined, and no closure: the whole of a hit is steps as small as this.
    #[inline(always)]
    pub(super) fn find<'a>(&'a self, hash: u64, guard: &'a LocalGuard<'_>) -> Option<&'a Noted> {
        let (noted, ()) = self.noted.get_key_value(&ByNotes(hash), guard)?;
        Some(noted)
    }

    /// Shows the entry, if there is one, with the stripe of its key; answers what `take` does.
    pub(super) fn show(
        &self,
        asked: Asked<'_>,
        take: impl FnOnce(&Front, &Arc<Kept>, Stripe) -> bool,
    ) -> bool {
        match asked {
            Asked::Raw(raw) => {
                let guard = self.guard();
                let found = self.find(raw.hash(), &guard);
                let found = found.filter(|noted| noted.notes == *raw.notes());
                found.is_some_and(|noted| take(&noted.front, &noted.kept, noted.stripe))
            }
            Asked::Key(key) => {
                let guard = self.worded.guard();
                let found = self.worded.get_key_value(&self.by_key(key), &guard);
                found.is_some_and(|(name, (front, kept))| take(front, kept, name.stripe))
            }
        }
    }

    /// Under what an entry is to stand here: its notes, unless it stands under other ones; else its key.
    pub(super) fn name<'a>(&self, kept: &Kept, key: &'a str, notes: Option<&'a Raw>) -> Asked<'a> {
        let own = |notes: &&Raw| kept.notes().is_none_or(|claimed| claimed == notes.hash());
        notes.filter(own).map_or(Asked::Key(key), Asked::Raw)
    }

    /// Whether this very entry stands here since its key was changed so often.
    pub(super) fn has(&self, asked: Asked<'_>, kept: &Arc<Kept>, changes: u64) -> bool {
        self.show(asked, |front, standing, _| {
            Arc::ptr_eq(standing, kept) && front.unchanged == changes
        })
    }

    /// Whether an entry is not to stand here.
    pub(super) fn is_too_large(&self, key: &str, kept: &Kept) -> bool {
        weight(key, kept) > self.largest
    }

    /// Puts an entry here that moka has. Nothing else may happen to it meanwhile, but that moka evicts it.
    pub(super) fn put(
        &self,
        (asked, key): (Asked<'_>, &str),
        kept: &Arc<Kept>,
        front: Front,
        value: Shared,
    ) {
        let stripe = coherence::stripe(key);
        match asked {
            // One that stands under notes stands under no other ones, so that it can be taken away.
            Asked::Raw(raw) if kept.claim(raw.hash()) => {
                let noted = Noted {
                    hash: raw.hash(),
                    front,
                    value,
                    stripe,
                    notes: *raw.notes(),
                    kept: Arc::clone(kept),
                };
                self.noted.pin().insert(noted, ());
            }
            Asked::Raw(_) => return,
            Asked::Key(key) => {
                let name = Worded {
                    hash: self.by_key(key).hash,
                    key: key.into(),
                    stripe,
                };
                self.worded.pin().insert(name, (front, Arc::clone(kept)));
            }
        }
        // Evicted in between: then it was looked for here before it was here. One of the two sees the other.
        if kept.is_gone() {
            self.take_away(key, kept);
        }
    }

    /// moka has let go of this entry.
    pub(super) fn gone(&self, key: &str, kept: &Arc<Kept>) {
        kept.go();
        self.take_away(key, kept);
    }

    fn take_away(&self, key: &str, kept: &Arc<Kept>) {
        // Another one may stand under its name by now.
        let own = |standing: &Arc<Kept>| Arc::ptr_eq(standing, kept);
        let worded = self.worded.pin();
        let _ = worded.remove_if(&self.by_key(key), |_, (_, standing)| own(standing));
        if let Some(hash) = kept.notes() {
            let noted = self.noted.pin();
            let _ = noted.remove_if(&ByNotes(hash), |noted, ()| own(&noted.kept));
        }
    }

    pub(super) fn clear(&self) {
        self.noted.pin().clear();
        self.worded.pin().clear();
    }

    #[inline]
    fn by_key<'a>(&self, key: &'a str) -> AskedByKey<'a> {
        let hash = xxh3_64_with_seed(key.as_bytes(), self.seed);
        AskedByKey { hash, key }
    }
}

fn table<N, V>() -> HashMap<N, V, Hashed> {
    HashMap::builder()
        .hasher(Hashed)
        .collector(Collector::new().batch_size(FREED_TOGETHER))
        .build()
}

impl PartialEq for Noted {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
    }
}

impl Eq for Noted {}

impl Hash for Noted {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u64(self.hash);
    }
}

/// The hash of notes that are asked for.
struct ByNotes(u64);

impl Equivalent<Noted> for ByNotes {
    #[inline]
    fn equivalent(&self, noted: &Noted) -> bool {
        noted.hash == self.0
    }
}

impl Hash for ByNotes {
    #[inline]
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u64(self.0);
    }
}

impl PartialEq for Worded {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Worded {}

/// A key that is asked for.
struct AskedByKey<'a> {
    hash: u64,
    key: &'a str,
}

impl Equivalent<Worded> for AskedByKey<'_> {
    #[inline]
    fn equivalent(&self, name: &Worded) -> bool {
        *name.key == *self.key
    }
}

impl Hash for Worded {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u64(self.hash);
    }
}

impl Hash for AskedByKey<'_> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u64(self.hash);
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
