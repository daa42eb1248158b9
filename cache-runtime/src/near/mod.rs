//! The in-process tier: typed values, found without decoding anything.
//!
//! An entry remembers the [`Epoch`] from before its load, so what an invalidation has overtaken is dead on arrival.
//! Never sees bytes, and never talks to anybody.

pub(crate) mod epoch;
#[cfg(feature = "fallback")]
mod tier;
#[cfg(not(feature = "fallback"))]
#[path = "none.rs"]
mod tier;

use std::any::TypeId;

use crate::clock::Instant;
use crate::key::Levels;
use crate::value::Shared;
pub(crate) use epoch::{Epoch, Epochs};
pub(crate) use tier::Tier;

/// One value in the tier.
#[cfg_attr(
    not(feature = "fallback"),
    expect(dead_code, reason = "without the tier nothing asks for them")
)]
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) value: Shared,
    pub(crate) type_id: TypeId,
    /// See `Key::origin`.
    pub(crate) origin: u64,
    pub(crate) epoch: Epoch,
    /// Where the levels end whose counters the epoch sums up: the entry's own, whoever asks for it.
    pub(crate) levels: Levels,
    pub(crate) expires: Instant,
    /// Estimated bytes of the value.
    pub(crate) bytes: usize,
}

/// Whether an entry written by one origin may answer another: origin 0 is the user's own text, which belongs to everybody.
pub(crate) fn same_origin(one: u64, other: u64) -> bool {
    one == other || one == 0 || other == 0
}
