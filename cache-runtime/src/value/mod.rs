//! What can be cached, and everything the untyped layers need to know about its type.

pub(crate) mod codec;
#[cfg(feature = "compression")]
pub(crate) mod compression;
#[cfg(not(feature = "compression"))]
#[path = "uncompressed.rs"]
pub(crate) mod compression;
mod depth;
pub(crate) mod envelope;
mod fingerprint;
#[cfg(feature = "encryption")]
pub(crate) mod seal;
#[cfg(not(feature = "encryption"))]
#[path = "unsealed.rs"]
pub(crate) mod seal;
mod weight;

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use serde::Serialize;
use serde::de::DeserializeOwned;

use codec::{Codec, CodecError};
use fingerprint::Shape;

/// A value whose type only its owner knows.
pub(crate) type Shared = Arc<dyn Any + Send + Sync>;

/// Where a value may be put: an empty `Option` of its type.
pub(crate) type Place<'a> = &'a mut dyn Any;

/// What can be cached: every owned value that serde can write and read. `Arc<T>` makes hits free of copies.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be cached",
    label = "this value would be stored in the cache",
    note = "a cached value is `Clone + serde::Serialize + serde::de::DeserializeOwned + Send + Sync + 'static`; derive what is missing"
)]
pub trait Value: Clone + Serialize + DeserializeOwned + Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Clone + Serialize + DeserializeOwned + Send + Sync + 'static> Value for T {}

/// What two values share of which one may be returned for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    pub(crate) type_id: TypeId,
    pub(crate) version: u32,
}

/// A type of cached values, for code that is compiled once for all of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    type_id: fn() -> TypeId,
    /// Which meaning its values have: `version` of the function, 0 without it and by hand.
    version: u32,
    /// What stands for both in an envelope, where that is known.
    fingerprint: Option<u64>,
    pub(crate) facts: fn() -> &'static Facts,
    pub(crate) decode: fn(Codec, &[u8]) -> Result<Shared, CodecError>,
    /// The same for a place of the type's, which is then owned by one alone; false where that is of another type.
    pub(crate) decode_into: fn(Codec, &[u8], Place<'_>) -> Result<bool, CodecError>,
    pub(crate) encode: fn(Codec, &Shared, &Facts, &mut Vec<u8>) -> Result<(), CodecError>,
    pub(crate) weigh: fn(&Shared) -> usize,
}

impl Kind {
    pub(crate) const fn of<T: Value>() -> Self {
        Self {
            type_id: TypeId::of::<T>,
            version: 0,
            fingerprint: None,
            facts: Facts::of::<T>,
            decode: decode::<T>,
            decode_into: decode_into::<T>,
            encode: encode::<T>,
            weigh: weigh::<T>,
        }
    }

    /// The same type, with another meaning.
    pub(crate) const fn in_version(self, version: u32) -> Self {
        Self {
            version,
            fingerprint: None,
            ..self
        }
    }

    /// The same, whose fingerprint need not be looked for.
    pub(crate) fn known_as(self, fingerprint: u64) -> Self {
        Self {
            fingerprint: Some(fingerprint),
            ..self
        }
    }

    pub(crate) fn identity(self) -> Identity {
        Identity {
            type_id: (self.type_id)(),
            version: self.version,
        }
    }

    /// What stands for the type and its version in an envelope.
    pub(crate) fn fingerprint(&self) -> u64 {
        if let Some(known) = self.fingerprint {
            return known;
        }
        // An odd number, so that no two versions of one type have the same fingerprint; that of the first is the shape's own.
        const APART: u64 = 0x9e37_79b9_7f4a_7c15;
        let shape = (self.facts)().shape.fingerprint;
        shape.wrapping_add(u64::from(self.version).wrapping_mul(APART))
    }
}

/// What was found out about a type once per process.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    /// By which codecs one value was encoded, decoded and encoded again without a difference: a bit for each.
    round_trip: AtomicU8,
    /// By which codecs it was said that values of this type cannot be stored.
    reported: AtomicU8,
}

/// The bit of a codec; 1 is left for none.
fn bit(codec: Codec) -> u8 {
    1 << codec.id()
}

type Known = HashMap<TypeId, &'static Facts, BuildHasherDefault<OfTypeId>>;

static FACTS: LazyLock<RwLock<Known>> = LazyLock::new(RwLock::default);

/// The hash of a type's identity, which is one already.
#[derive(Default)]
struct OfTypeId(u64);

impl Hasher for OfTypeId {
    fn write_u64(&mut self, part: u64) {
        self.0 ^= part;
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 ^= xxhash_rust::xxh3::xxh3_64(bytes);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Facts {
    fn of<T: Value>() -> &'static Self {
        let known = FACTS.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(facts) = known.get(&TypeId::of::<T>()) {
            return facts;
        }
        drop(known);
        // Outside the lock: a `Deserialize` of the user's runs inside.
        let facts = Self {
            name: type_name::<T>(),
            shape: fingerprint::shape_of::<T>(),
            round_trip: AtomicU8::new(0),
            reported: AtomicU8::new(0),
        };
        let mut known = FACTS.write().unwrap_or_else(PoisonError::into_inner);
        // Leaked once per type, so bounded by the program's text.
        known
            .entry(TypeId::of::<T>())
            .or_insert_with(|| Box::leak(Box::new(facts)))
    }

    /// True for the first caller with this codec only, or without one that is built in.
    pub(crate) fn report(&self, codec: Option<Codec>) -> bool {
        let bit = codec.map_or(1, bit);
        self.reported.fetch_or(bit, Ordering::Relaxed) & bit == 0
    }
}

/// The ways between a typed value and one whose type is not known.
#[derive(Debug)]
pub(crate) struct Hands<T> {
    /// The value, where it is a `T`: a clone where others have it as well.
    pub(crate) take: fn(Shared) -> Option<T>,
    /// A shared clone of the value.
    pub(crate) share: fn(&T) -> Shared,
    /// Where one may be put that nobody else has.
    pub(crate) place: fn(&mut Option<T>) -> Place<'_>,
}

impl<T> Clone for Hands<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Hands<T> {}

impl<T: Value> Hands<T> {
    pub(crate) fn new() -> Self {
        Self {
            take: |value| value.downcast().ok().map(Arc::unwrap_or_clone),
            share: |value| Arc::new(value.clone()),
            place: |place| place,
        }
    }
}

/// A clone of the value, where it is a `T`.
pub(crate) fn take<T: Value>(value: &Shared) -> Option<T> {
    value.downcast_ref::<T>().cloned()
}

fn decode<T: Value>(codec: Codec, bytes: &[u8]) -> Result<Shared, CodecError> {
    let value: T = codec.decode(bytes)?;
    Ok(Arc::new(value))
}

fn decode_into<T: Value>(codec: Codec, bytes: &[u8], place: Place<'_>) -> Result<bool, CodecError> {
    let Some(place) = place.downcast_mut::<Option<T>>() else {
        return Ok(false);
    };
    *place = Some(codec.decode(bytes)?);
    Ok(true)
}

fn encode<T: Value>(
    codec: Codec,
    value: &Shared,
    facts: &Facts,
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    if facts.shape.self_describing && !codec.is_self_describing() {
        return Err(CodecError::needs_self_describing(codec));
    }
    let Some(value) = value.downcast_ref::<T>() else {
        return Err(CodecError::needs_self_describing(codec));
    };
    let start = out.len();
    codec.encode(value, out)?;
    if facts.round_trip.load(Ordering::Relaxed) & bit(codec) == 0 {
        // Once per type and codec: some serde attributes write what they cannot read back.
        let encoded = out.get(start..).unwrap_or_default();
        let checked = codec.round_trips::<T>(encoded);
        if let Err(problem) = checked {
            out.truncate(start);
            return Err(problem);
        }
        facts.round_trip.fetch_or(bit(codec), Ordering::Relaxed);
    }
    Ok(())
}

fn weigh<T: Value>(value: &Shared) -> usize {
    let deep = value.downcast_ref::<T>().map_or(0, weight::weight_of);
    size_of::<T>() + deep
}

#[cfg(test)]
mod tests {
    use super::Kind;

    #[test]
    fn versions_of_a_type_are_told_apart_and_the_first_is_the_type_alone() {
        let kind = Kind::of::<u64>();
        let mut known = vec![kind.fingerprint()];
        assert_eq!(known[0], (kind.facts)().shape.fingerprint);
        assert_eq!(kind.in_version(0).identity(), kind.identity());
        for version in [1, 2, 3, u32::MAX] {
            let other = kind.in_version(version);
            assert!(!known.contains(&other.fingerprint()), "{version}");
            assert_ne!(other.identity(), kind.identity(), "{version}");
            known.push(other.fingerprint());
        }
    }
}
