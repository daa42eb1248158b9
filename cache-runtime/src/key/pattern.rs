//! The globs of `clear(pattern)`: what Redis calls a pattern, for the tiers that Redis does not search.
//! Works on bytes as Redis does, so `?` is one byte and not one character, and never recurses: the worst pattern
//! costs its length times the key's.
//!
//! `*` is any bytes, `?` one byte, `[abc]` `[a-z]` `[^a]` one byte of a class, `\x` is x itself.
//! What Redis does with odd patterns holds here too: a class that is never closed ends with the pattern, `[]` is
//! nothing and `[^]` any byte, a range may be written backwards and takes any byte as its end (`[a-]` runs from
//! `]` to `a`, and is not closed), and a backslash at the very end is itself.
//! Three things differ on purpose: a byte above 127 in a range counts as large, where Redis follows the sign of C's
//! `char`; `**` matches the empty key; and more than a thousand stars are no reason to match nothing.

#[cfg(test)]
mod tests;
mod writer;

pub use writer::PatternWriter;

/// A glob, read once and matched often.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    text: String,
    parts: Vec<Part>,
}

/// A stretch of the key that a pattern asks for.
#[derive(Debug, Clone, PartialEq)]
enum Part {
    Anything,
    Byte(u8),
    AnyByte,
    ByteIn(Vec<(u8, u8)>),
    ByteNotIn(Vec<(u8, u8)>),
}

impl Pattern {
    /// Reads a pattern; every text is one.
    pub(crate) fn new(text: &str) -> Self {
        let mut parts = Vec::new();
        let mut rest = text.as_bytes();
        while let Some((part, after)) = next_part(rest) {
            // A second star asks for nothing new.
            if part != Part::Anything || parts.last() != Some(&Part::Anything) {
                parts.push(part);
            }
            rest = after;
        }
        Self {
            text: text.to_owned(),
            parts,
        }
    }

    /// The pattern as it was written, for Redis.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// What every text that matches begins with.
    pub(crate) fn head(&self) -> String {
        let bytes = self.parts.iter().map_while(|part| match part {
            Part::Byte(byte) => Some(*byte),
            Part::Anything | Part::AnyByte | Part::ByteIn(_) | Part::ByteNotIn(_) => None,
        });
        // It ends where something else begins, which is never inside a character.
        String::from_utf8(bytes.collect()).unwrap_or_default()
    }

    /// Whether the whole key is what the pattern asks for.
    pub(crate) fn matches(&self, key: &str) -> bool {
        let mut parts = self.parts.as_slice();
        let mut bytes = key.as_bytes();
        let mut last_star: Option<(&[Part], &[u8])> = None;
        loop {
            match (parts, bytes) {
                ([], []) | ([Part::Anything], _) => return true,
                ([Part::Anything, rest @ ..], _) => {
                    last_star = Some((rest, bytes));
                    parts = rest;
                }
                ([part, rest @ ..], [byte, after @ ..]) if part.takes(*byte) => {
                    parts = rest;
                    bytes = after;
                }
                // Only the last star need give way: what an earlier one took was the shortest that got this far,
                // and whatever follows a longer choice can be found from the shorter one too.
                _ => match last_star {
                    Some((rest, [_, after @ ..])) => {
                        last_star = Some((rest, after));
                        parts = rest;
                        bytes = after;
                    }
                    _ => return false,
                },
            }
        }
    }
}

impl Part {
    fn takes(&self, byte: u8) -> bool {
        let within = |ranges: &[(u8, u8)]| {
            ranges
                .iter()
                .any(|(low, high)| (*low..=*high).contains(&byte))
        };
        match self {
            Self::Anything => false,
            Self::Byte(expected) => *expected == byte,
            Self::AnyByte => true,
            Self::ByteIn(ranges) => within(ranges),
            Self::ByteNotIn(ranges) => !within(ranges),
        }
    }
}

/// The first part of a pattern and what follows it.
fn next_part(pattern: &[u8]) -> Option<(Part, &[u8])> {
    Some(match pattern {
        [] => return None,
        [b'*', rest @ ..] => (Part::Anything, rest),
        [b'?', rest @ ..] => (Part::AnyByte, rest),
        [b'[', b'^', rest @ ..] => {
            let (ranges, rest) = class(rest);
            (Part::ByteNotIn(ranges), rest)
        }
        [b'[', rest @ ..] => {
            let (ranges, rest) = class(rest);
            (Part::ByteIn(ranges), rest)
        }
        [b'\\', byte, rest @ ..] | [byte, rest @ ..] => (Part::Byte(*byte), rest),
    })
}

/// The ranges of a class and what follows its bracket.
fn class(mut pattern: &[u8]) -> (Vec<(u8, u8)>, &[u8]) {
    let mut ranges = Vec::new();
    loop {
        // The order of the arms is that of Redis: an escaped byte begins no range, `]` always closes.
        pattern = match pattern {
            [] => return (ranges, pattern),
            [b'\\', byte, rest @ ..] => {
                ranges.push((*byte, *byte));
                rest
            }
            [b']', rest @ ..] => return (ranges, rest),
            [from, b'-', to, rest @ ..] => {
                ranges.push((*from.min(to), *from.max(to)));
                rest
            }
            [byte, rest @ ..] => {
                ranges.push((*byte, *byte));
                rest
            }
        };
    }
}

/// The pattern that only this text matches.
pub(crate) fn escape(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
}
