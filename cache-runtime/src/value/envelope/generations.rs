//! The generations that an entry names.

use std::fmt;

/// The generations of an entry, in place for as many as nearly every entry has: reading a header then allocates nothing.
#[derive(Clone)]
pub(crate) enum Generations {
    Inline { words: [u64; 8], length: usize },
    Spilled(Vec<u64>),
}

impl Generations {
    pub(crate) fn push(&mut self, generation: u64) {
        match self {
            Self::Inline { words, length } => match words.get_mut(*length) {
                Some(free) => {
                    *free = generation;
                    *length += 1;
                }
                None => {
                    let mut spilled = words.to_vec();
                    spilled.push(generation);
                    *self = Self::Spilled(spilled);
                }
            },
            Self::Spilled(spilled) => spilled.push(generation),
        }
    }

    pub(crate) fn as_slice(&self) -> &[u64] {
        match self {
            Self::Inline { words, length } => words.get(..*length).unwrap_or_default(),
            Self::Spilled(spilled) => spilled,
        }
    }
}

impl Default for Generations {
    fn default() -> Self {
        Self::Inline {
            words: [0; 8],
            length: 0,
        }
    }
}

impl std::ops::Deref for Generations {
    type Target = [u64];

    fn deref(&self) -> &[u64] {
        self.as_slice()
    }
}

impl Extend<u64> for Generations {
    fn extend<I: IntoIterator<Item = u64>>(&mut self, generations: I) {
        for generation in generations {
            self.push(generation);
        }
    }
}

impl FromIterator<u64> for Generations {
    fn from_iter<I: IntoIterator<Item = u64>>(generations: I) -> Self {
        let mut collected = Self::default();
        collected.extend(generations);
        collected
    }
}

impl From<&[u64]> for Generations {
    fn from(generations: &[u64]) -> Self {
        generations.iter().copied().collect()
    }
}

impl From<Vec<u64>> for Generations {
    fn from(generations: Vec<u64>) -> Self {
        Self::Spilled(generations)
    }
}

impl PartialEq for Generations {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Generations {}

impl fmt::Debug for Generations {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice().fmt(out)
    }
}
