//! What is cached in the tests.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Serialize, Serializer};

/// Counts bodies; a body returns its number.
#[derive(Default)]
pub struct Bodies(AtomicU64);

impl Bodies {
    pub fn run(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub fn count(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// Serde cannot write it.
pub struct Unwritable;

impl Serialize for Unwritable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("not today"))
    }
}
