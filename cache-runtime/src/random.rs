//! Random 64-bit tokens for leases, generations and stamps.
//!
//! A counter hashed by SipHash under a key that the standard library draws from the operating system:
//! tokens of one process never repeat within reach, and two processes do not share a key.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
static NEXT: AtomicU64 = AtomicU64::new(0);

pub(crate) fn token() -> u64 {
    // Relaxed: only uniqueness of the number matters, no other memory hangs on it.
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    KEY.hash_one((std::process::id(), number))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    #[test]
    fn tokens_do_not_repeat() {
        let tokens: HashSet<u64> = (0..10_000).map(|_| super::token()).collect();

        assert_eq!(tokens.len(), 10_000);
    }
}
