//! The arguments of one call as bytes: what a hit in the process is found by, before there is any text of its key.
//!
//! Writing a text costs more than the rest of a hit. So an argument that is a number, a string or the like is first noted as
//! what serde calls it, and the text is made of the notes once it is needed. Thereby the same notes have the same text, and
//! whoever finds an entry by its notes finds that of his key. The converse need not hold: two notes may have one text.
//!
//! What does not fit, is put together of parts, or is secret, is not noted; then the text is written at once.

mod check;
mod hash;
mod writer;

use std::str;

use serde::ser::{Serialize, Serializer};

use super::text::is_string;
use super::writer::KeyWriter;
pub(crate) use check::Check;
pub(crate) use hash::Hash;
#[cfg(all(test, feature = "fallback"))]
pub(crate) use hash::tests::let_all_meet;
use writer::Noter;

/// Bytes of the notes of one call, the number of its function included.
pub(crate) const ROOM: usize = 53;

/// Before each note stands its kind; that of a text holds its length as well.
const NATURAL: u8 = 1;
const NEGATIVE: u8 = 2;
const FLOAT: u8 = 3;
const FALSE: u8 = 4;
const TRUE: u8 = 5;
const NOTHING: u8 = 6;
/// A string whose text is the same whatever its type is, or whose type is always a string.
const STRING: u8 = 0x40;
/// Another one, see `text::is_string`.
const WORD: u8 = 0x80;
/// Text between the arguments of a template.
const LITERAL: u8 = 0xc0;

const LENGTH: u8 = 0x3f;
const _: () = assert!(ROOM <= LENGTH as usize);

/// The notes of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Notes {
    length: u8,
    bytes: [u8; ROOM],
}

/// The notes of one call, and their hash.
#[derive(Debug, Clone)]
pub(crate) struct Raw {
    notes: Notes,
    hash: Hash,
}

/// What is told of the arguments of a call, one after the other.
pub trait Notebook {
    /// A note that says all by its kind.
    #[doc(hidden)]
    fn mark(&mut self, kind: u8) -> Result<(), Unfit>;

    #[doc(hidden)]
    fn number(&mut self, kind: u8, number: u64) -> Result<(), Unfit>;

    #[doc(hidden)]
    fn string(&mut self, kind: u8, text: &str) -> Result<(), Unfit>;
}

/// Tells of an argument; false where it cannot be noted, or is not the one that was.
#[inline(always)]
pub(crate) fn tell<T: Serialize + ?Sized>(book: &mut impl Notebook, value: &T) -> bool {
    value.serialize(Noter::new(book, is_string::<T>)).is_ok()
}

/// The same of a string.
#[inline(always)]
pub(crate) fn tell_str(book: &mut impl Notebook, text: &str) -> bool {
    book.string(STRING, text).is_ok()
}

/// Tells of text between arguments.
#[inline(always)]
pub(crate) fn tell_literal(book: &mut impl Notebook, text: &str) -> bool {
    book.string(LITERAL, text).is_ok()
}

/// What cannot be noted.
#[derive(Debug)]
pub struct Unfit;

/// One note.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Note<'a> {
    Natural(u64),
    Negative(i64),
    Float(f64),
    Bool(bool),
    Nothing,
    String(&'a str),
    Word(&'a str),
    Literal(&'a str),
}

impl Notes {
    /// Those of the arguments, without the number of the function.
    fn of_arguments(&self) -> &[u8] {
        let noted = self.bytes.get(..usize::from(self.length));
        noted.and_then(|noted| noted.get(4..)).unwrap_or_default()
    }

    fn number(&self) -> Option<u32> {
        self.bytes.first_chunk().copied().map(u32::from_le_bytes)
    }

    /// The place for so many more.
    fn next(&mut self, length: usize) -> Result<&mut [u8], Unfit> {
        let start = usize::from(self.length);
        let end = start.checked_add(length).ok_or(Unfit)?;
        let next = self.bytes.get_mut(start..end).ok_or(Unfit)?;
        self.length = u8::try_from(end).map_err(|_| Unfit)?;
        Ok(next)
    }
}

impl Raw {
    /// No notes yet, of a function with that number, whose hashes begin with a `seed` of its own.
    pub(crate) fn new(number: u32, seed: u64) -> Self {
        let mut notes = Notes {
            bytes: [0; ROOM],
            length: 0,
        };
        if let Some(place) = notes.bytes.first_chunk_mut() {
            *place = number.to_le_bytes();
            notes.length = 4;
        }
        Self {
            notes,
            hash: Hash::new(seed),
        }
    }

    pub(crate) fn notes(&self) -> &Notes {
        &self.notes
    }

    /// See [`Hash::finish`].
    pub(crate) fn hash(&self) -> u64 {
        self.hash.finish()
    }

    #[cfg(any(test, fuzzing))]
    pub(crate) fn note<T: Serialize + ?Sized>(&mut self, value: &T) -> bool {
        self.take(|raw| tell(raw, value))
    }

    /// Takes what is told of an argument; false, and nothing is taken, where it cannot be noted.
    pub(crate) fn take(&mut self, tell: impl FnOnce(&mut Self) -> bool) -> bool {
        let before = self.clone();
        let taken = tell(self);
        if !taken {
            *self = before;
        }
        taken
    }

    /// Writes what was noted.
    pub(super) fn write_to(&self, writer: &mut KeyWriter<'_>, is_template: bool) {
        let mut rest = self.notes.of_arguments();
        while let Some(note) = Note::read(&mut rest) {
            match note {
                Note::Literal(text) => writer.text(text),
                // Of the very type: its text may be another one than that of a `Note`.
                Note::String(text) if is_template => writer.hole(text),
                Note::String(text) => writer.arg(text),
                note if is_template => writer.hole(&note),
                note => writer.arg(&note),
            }
        }
    }
}

impl Notebook for Raw {
    fn mark(&mut self, kind: u8) -> Result<(), Unfit> {
        self.notes.next(1)?.fill(kind);
        self.hash.mark(kind)
    }

    fn number(&mut self, kind: u8, number: u64) -> Result<(), Unfit> {
        self.notes.next(1)?.fill(kind);
        self.notes.next(8)?.copy_from_slice(&number.to_le_bytes());
        self.hash.number(kind, number)
    }

    fn string(&mut self, kind: u8, text: &str) -> Result<(), Unfit> {
        let length = u8::try_from(text.len()).map_err(|_| Unfit)?;
        if length > LENGTH {
            return Err(Unfit);
        }
        self.notes.next(1)?.fill(kind | length);
        self.notes
            .next(text.len())?
            .copy_from_slice(text.as_bytes());
        self.hash.string(kind, text)
    }
}

impl<'a> Note<'a> {
    fn read(rest: &mut &'a [u8]) -> Option<Self> {
        let (kind, after) = rest.split_first()?;
        *rest = after;
        let length = usize::from(kind & LENGTH);
        Some(match *kind {
            NATURAL => Self::Natural(u64::from_le_bytes(number(rest)?)),
            NEGATIVE => Self::Negative(i64::from_le_bytes(number(rest)?)),
            FLOAT => Self::Float(f64::from_le_bytes(number(rest)?)),
            FALSE => Self::Bool(false),
            TRUE => Self::Bool(true),
            NOTHING => Self::Nothing,
            kind if kind & !LENGTH == STRING => Self::String(text(rest, length)?),
            kind if kind & !LENGTH == WORD => Self::Word(text(rest, length)?),
            kind if kind & !LENGTH == LITERAL => Self::Literal(text(rest, length)?),
            _ => return None,
        })
    }
}

fn number(rest: &mut &[u8]) -> Option<[u8; 8]> {
    let (number, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*number)
}

fn text<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a str> {
    let (text, after) = rest.split_at_checked(length)?;
    *rest = after;
    str::from_utf8(text).ok()
}

/// Describes itself to serde as what it was noted from did.
impl Serialize for Note<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match *self {
            Self::Natural(number) => to.serialize_u64(number),
            Self::Negative(number) => to.serialize_i64(number),
            Self::Float(number) => to.serialize_f64(number),
            Self::Bool(value) => to.serialize_bool(value),
            Self::Nothing => to.serialize_unit(),
            Self::String(text) | Self::Word(text) | Self::Literal(text) => to.serialize_str(text),
        }
    }
}

#[cfg(test)]
mod tests;
