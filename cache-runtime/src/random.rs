//! Random 64-bit tokens for leases, generations and stamps, and what is drawn from them.
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

/// A number from 0 to below 1, each as likely as the other.
pub(crate) fn share() -> f64 {
    const BITS: u32 = 53;
    #[expect(clippy::cast_precision_loss, reason = "as many bits as fit exactly")]
    let share = (token() >> (u64::BITS - BITS)) as f64 / (1_u64 << BITS) as f64;
    share
}

/// An exponentially distributed number with a mean of 1, by inversion of the distribution function.
pub(crate) fn exponential() -> f64 {
    -(1.0 - share()).ln()
}

/// Random bytes that no other process knows, 128 bits of them drawn from the operating system.
pub(crate) fn bytes() -> [u8; 32] {
    let key = RandomState::new();
    let mut bytes = [0; 32];
    for (number, word) in bytes.chunks_exact_mut(8).enumerate() {
        word.copy_from_slice(&key.hash_one(number).to_le_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    #[test]
    fn exponential_numbers_have_their_mean_and_their_tail() {
        const MANY: u32 = 100_000;
        let numbers: Vec<f64> = (0..MANY).map(|_| super::exponential()).collect();
        let mean = numbers.iter().sum::<f64>() / f64::from(MANY);
        assert!((0.97..1.03).contains(&mean), "{mean}");
        let beyond = numbers.iter().filter(|number| **number > 2.0).count();
        // e^-2 of them.
        assert!((12_500..14_600).contains(&beyond), "{beyond}");
    }

    #[test]
    fn tokens_do_not_repeat() {
        let tokens: HashSet<u64> = (0..10_000).map(|_| super::token()).collect();

        assert_eq!(tokens.len(), 10_000);
    }
}
