//! The hash of the notes of one call, made without noting anything: of the arguments themselves, in registers.

use super::{Notebook, ROOM, Unfit};

/// What has been told so far.
#[derive(Debug, Clone)]
pub(crate) struct Hash {
    /// What the next word is mixed with. It begins as another one for each function, and nobody outside knows it, so that nobody
    /// can choose arguments that meet.
    secret: u64,
    sum: u64,
    /// Bytes that notes of it would take; 255, if it were more.
    length: u8,
}

impl Hash {
    #[inline(always)]
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            secret: seed,
            sum: seed,
            length: 4,
        }
    }

    /// The same for the same notes of one function.
    #[inline(always)]
    pub(crate) fn finish(&self) -> u64 {
        #[cfg(all(test, feature = "fallback"))]
        if tests::all_meet() {
            return 7;
        }
        self.sum
    }

    /// Whether there is room for notes of it.
    #[inline(always)]
    pub(crate) fn fits(&self) -> bool {
        usize::from(self.length) <= ROOM
    }

    /// Multiplied, and both halves of the product taken together, as wyhash does; but each word by itself, so that none waits
    /// for the one before.
    #[inline(always)]
    fn add(&mut self, word: u64) {
        // Odd, with as many ones as zeros, which are spread.
        const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
        let product = u128::from(word ^ self.secret) * u128::from(SPREAD);
        #[expect(clippy::cast_possible_truncation, reason = "both halves are taken")]
        let halves = (product as u64, (product >> 64) as u64);
        self.sum = self.sum.wrapping_add(halves.0 ^ halves.1);
        self.secret = self.secret.rotate_left(11);
    }
}

impl Notebook for Hash {
    #[inline(always)]
    fn mark(&mut self, kind: u8) -> Result<(), Unfit> {
        self.add(kind.into());
        self.length = self.length.saturating_add(1);
        Ok(())
    }

    #[inline(always)]
    fn number(&mut self, kind: u8, number: u64) -> Result<(), Unfit> {
        self.add(number ^ u64::from(kind) << 56);
        self.length = self.length.saturating_add(9);
        Ok(())
    }

    #[inline(always)]
    fn string(&mut self, kind: u8, text: &str) -> Result<(), Unfit> {
        let (words, rest) = text.as_bytes().as_chunks::<8>();
        for word in words {
            self.add(u64::from_le_bytes(*word));
        }
        let length = (text.len() as u64) << 56;
        self.add(few(rest) ^ length ^ u64::from(kind) << 48);
        let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
        self.length = self.length.saturating_add(length).saturating_add(1);
        Ok(())
    }
}

/// Fewer than eight bytes as a number, without a call of a function.
#[inline(always)]
fn few(bytes: &[u8]) -> u64 {
    let half = |bytes: &[u8; 4]| u64::from(u32::from_le_bytes(*bytes));
    match (bytes, bytes.first_chunk(), bytes.last_chunk()) {
        // Where both hold a byte, it is the same one.
        (_, Some(first), Some(last)) => half(first) | half(last) << (8 * (bytes.len() - 4)),
        ([], ..) => 0,
        ([one], ..) => u64::from(*one),
        ([one, two], ..) => u64::from(u16::from_le_bytes([*one, *two])),
        ([one, two, three, ..], ..) => half(&[*one, *two, *three, 0]),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::random;

    #[cfg(feature = "fallback")]
    mod meeting {
        use std::cell::Cell;

        thread_local! {
            static ALL_MEET: Cell<bool> = const { Cell::new(false) };
        }

        pub(crate) fn all_meet() -> bool {
            ALL_MEET.get()
        }

        /// From now on all hashes of this thread are one.
        pub(crate) fn let_all_meet() {
            ALL_MEET.set(true);
        }
    }

    #[cfg(feature = "fallback")]
    pub(crate) use meeting::{all_meet, let_all_meet};

    fn of(parts: impl FnOnce(&mut Hash) -> Result<(), Unfit>, seed: u64) -> u64 {
        let mut hash = Hash::new(seed);
        assert!(parts(&mut hash).is_ok());
        hash.finish()
    }

    #[test]
    fn few_bytes_are_the_number_they_spell() {
        let bytes = [1, 2, 3, 4, 5, 6, 7, 8];
        for length in 0..8 {
            let mut whole = [0; 8];
            whole[..length].copy_from_slice(&bytes[..length]);
            assert_eq!(few(&bytes[..length]), u64::from_le_bytes(whole), "{length}");
        }
    }

    /// Small numbers, round ones and short words are what arguments mostly are. In the lowest bits, which say where in a table
    /// they stand, they meet about as often as random numbers.
    #[test]
    fn arguments_that_are_alike_are_spread() {
        const MANY: u64 = 10_000;
        type Parts = fn(&mut Hash, u64) -> Result<(), Unfit>;
        let shapes: [Parts; 4] = [
            |hash, number| hash.number(1, number),
            |hash, number| hash.number(1, number << 40),
            |hash, number| hash.string(2, &number.to_string()),
            |hash, number| {
                hash.number(1, number % 100)?;
                hash.string(2, &(number / 100).to_string())
            },
        ];
        for (shape, parts) in shapes.into_iter().enumerate() {
            let seed = random::token();
            let places = (0..MANY).map(|number| of(|hash| parts(hash, number), seed) & 0x3fff);
            let places = places.collect::<HashSet<_>>().len();
            // Random numbers take 7,485 of these 16,384 places, give or take 48.
            assert!(places > 6_900, "{places} by {seed}, shape {shape}");
        }
    }

    #[test]
    fn nobody_knows_beforehand_which_arguments_meet() {
        let parts = |hash: &mut Hash| hash.number(1, 42);
        assert_ne!(of(parts, random::token()), of(parts, random::token()));
    }
}
