//! Turns among those of this process who change one entry: without them each would have to try again for every other.

use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};
use xxhash_rust::xxh3::xxh3_64;

use crate::clock;

const STRIPES: usize = 64;

/// One turn at a time for each entry, and now and then for two that share a stripe.
#[derive(Debug)]
pub(crate) struct Turns(Box<[Mutex<()>]>);

impl Turns {
    pub(crate) fn new() -> Self {
        Self((0..STRIPES).map(|_| Mutex::new(())).collect())
    }

    /// Waits for one's turn, which lasts until the answer is dropped; no longer than `limit`, since whoever has it may be in a
    /// runtime that nobody drives. Nothing but waiting in vain depends on it.
    pub(crate) async fn turn(&self, entry: &str, limit: Duration) -> Option<MutexGuard<'_, ()>> {
        let at = xxh3_64(entry.as_bytes()) % STRIPES as u64;
        let stripe = self.0.get(usize::try_from(at).unwrap_or_default())?;
        clock::within(limit, stripe.lock()).await
    }
}
