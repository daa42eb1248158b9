//! Where an answer ends, and whether it is several texts, as far as it has come in.

use super::LINE_END;

/// From how many texts on they are handed on as one: what one look-up asks for, at the least.
const MANY: u64 = 3;

/// Digits of a number that are more than any answer has.
const LONGEST_NUMBER: usize = 18;

/// What an element begins with.
pub(super) const KINDS: &[u8] = b"$_*+-:>%~|,#(!=";

/// How far an answer reaches, as far as that is known: it goes on where it stopped.
pub(super) struct Scan {
    /// Where the next element begins, which may not have come in yet.
    at: usize,
    /// Elements that are still to come.
    left: u64,
    kind: Answer,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    Unknown,
    /// An array of texts so far, which begin there.
    Texts {
        start: usize,
    },
    Other,
}

pub(super) enum Extent {
    /// All of it is there, and it is many texts, which stand here.
    Texts {
        start: usize,
        end: usize,
    },
    /// All of it is there, and so long.
    Whole(usize),
    Part,
    Garbage,
}

impl Default for Scan {
    fn default() -> Self {
        Self {
            at: 0,
            left: 1,
            kind: Answer::Unknown,
        }
    }
}

impl Scan {
    pub(super) fn go_on(&mut self, bytes: &[u8]) -> Extent {
        while self.left > 0 {
            let rest = bytes.get(self.at..).unwrap_or_default();
            let Some(element) = Element::first(rest) else {
                return match rest.first().is_some_and(|kind| !KINDS.contains(kind)) {
                    true => Extent::Garbage,
                    false => Extent::Part,
                };
            };
            if !KINDS.contains(&element.kind) {
                return Extent::Garbage;
            }
            let Some(number) = element.number() else {
                return Extent::Garbage;
            };
            self.at = self.at.saturating_add(element.line);
            self.left -= 1;
            self.kind = match (self.kind, element.kind) {
                (Answer::Unknown, b'*') if number >= MANY => Answer::Texts { start: self.at },
                (Answer::Texts { start }, b'$' | b'_') => Answer::Texts { start },
                _ => Answer::Other,
            };
            match element.kind {
                b'*' | b'~' | b'>' => self.left = self.left.saturating_add(number),
                b'%' => self.left = self.left.saturating_add(number.saturating_mul(2)),
                // What it is said of comes after it.
                b'|' => {
                    let further = number.saturating_mul(2).saturating_add(1);
                    self.left = self.left.saturating_add(further);
                }
                b'$' | b'!' | b'=' if !element.is_null() => {
                    let length = usize::try_from(number).unwrap_or(usize::MAX);
                    self.at = self
                        .at
                        .saturating_add(length)
                        .saturating_add(LINE_END.len());
                }
                _ => {}
            }
        }
        match self.kind {
            _ if self.at > bytes.len() => Extent::Part,
            Answer::Texts { start } => Extent::Texts {
                start,
                end: self.at,
            },
            Answer::Unknown | Answer::Other => Extent::Whole(self.at),
        }
    }

    /// Whether it may turn out to be many texts.
    pub(super) fn is_kept_back(&self) -> bool {
        self.kind != Answer::Other
    }

    /// Lets go of what has come in before all of it is there; answers how much that is.
    pub(super) fn pass(&mut self, there: usize) -> usize {
        self.kind = Answer::Other;
        // A line is kept back until it is whole.
        let known = self.at.min(there);
        self.at -= known;
        known
    }
}

/// The first line of an element.
pub(super) struct Element {
    pub(super) kind: u8,
    /// How long the line is, with its end.
    pub(super) line: usize,
    /// How many elements or bytes follow, 0 where none do; `None`: the line does not say.
    number: Option<u64>,
    /// Whether it says that there is nothing.
    is_null: bool,
}

impl Element {
    // Inlined, so that one of hundreds is no call, and is not handed on in memory.
    #[inline(always)]
    pub(super) fn first(bytes: &[u8]) -> Option<Self> {
        Self::of_digits(bytes).or_else(|| Self::of_anything(bytes))
    }

    /// What nearly all are: nothing, or a number, which is no longer than any that means something.
    #[inline(always)]
    fn of_digits(bytes: &[u8]) -> Option<Self> {
        let (&kind, rest) = bytes.split_first()?;
        if kind == b'_' && rest.starts_with(LINE_END) {
            return Some(Self {
                kind,
                line: 1 + LINE_END.len(),
                number: Some(0),
                is_null: true,
            });
        }
        if !counts(kind) {
            return None;
        }
        let mut number = 0;
        for (at, byte) in rest.iter().enumerate().take(LONGEST_NUMBER) {
            let digit = byte.wrapping_sub(b'0');
            if digit < 10 {
                number = number * 10 + u64::from(digit);
            } else {
                let ends = at > 0 && rest.get(at..)?.starts_with(LINE_END);
                return ends.then_some(Self {
                    kind,
                    line: 1 + at + LINE_END.len(),
                    number: Some(number),
                    is_null: false,
                });
            }
        }
        None
    }

    #[cold]
    fn of_anything(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(2).position(|two| two == LINE_END)?;
        let (&kind, text) = bytes.get(..end)?.split_first()?;
        let is_null = kind == b'_' || text.first() == Some(&b'-');
        let number = match counts(kind) && !is_null {
            true => number(text),
            false => Some(0),
        };
        Some(Self {
            kind,
            line: end + LINE_END.len(),
            number,
            is_null,
        })
    }

    pub(super) fn is_null(&self) -> bool {
        self.is_null
    }

    pub(super) fn number(&self) -> Option<u64> {
        self.number
    }
}

/// Whether a number stands after that.
fn counts(kind: u8) -> bool {
    matches!(kind, b'$' | b'!' | b'=' | b'*' | b'~' | b'>' | b'%' | b'|')
}

fn number(text: &[u8]) -> Option<u64> {
    let (first, rest) = text.split_first()?;
    std::iter::once(first)
        .chain(rest)
        .try_fold(0_u64, |number, digit| {
            let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
            number.checked_mul(10)?.checked_add(digit.into())
        })
}
