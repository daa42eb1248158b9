//! The arguments of one call as bytes: what a hit in the process is found by, before there is any text of its key.
//!
//! Writing a text costs more than the rest of a hit. So an argument that is a number, a string or the like is first noted as
//! what serde calls it, and the text is made of the notes once it is needed. Thereby the same notes have the same text, and
//! whoever finds an entry by its notes finds that of his key. The converse need not hold: two notes may have one text.
//!
//! What does not fit, is put together of parts, or is secret, is not noted; then the text is written at once.

mod writer;

use std::str;

use serde::ser::{Serialize, Serializer};

use super::text::is_string;
use super::writer::KeyWriter;
use writer::Noter;

/// Bytes of the notes of one call, the number of its function included.
pub(crate) const ROOM: usize = 46;

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
#[derive(Debug, Clone)]
pub struct Raw {
    /// Zero from `length` on, so that notes are compared in one piece.
    bytes: [u8; ROOM],
    length: u8,
}

/// By words, which is no call of a function.
impl PartialEq for Raw {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        let (words, rest) = self.bytes.as_chunks::<8>();
        let (other_words, other_rest) = other.bytes.as_chunks::<8>();
        let mut differ = u64::from(self.length ^ other.length);
        for (word, other) in words.iter().zip(other_words) {
            differ |= u64::from_le_bytes(*word) ^ u64::from_le_bytes(*other);
        }
        differ == 0 && rest == other_rest
    }
}

impl Eq for Raw {}

/// What cannot be noted.
#[derive(Debug)]
pub(crate) struct Unfit;

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

impl Raw {
    /// No notes yet, of a function with that number.
    #[inline]
    pub(crate) fn new(number: u32) -> Self {
        let mut raw = Self {
            bytes: [0; ROOM],
            length: 0,
        };
        if let Some(place) = raw.bytes.first_chunk_mut() {
            *place = number.to_le_bytes();
            raw.length = 4;
        }
        raw
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        let length = usize::from(self.length);
        self.bytes.get(..length).unwrap_or_default()
    }

    /// Notes an argument; false, and nothing is noted, where it cannot be.
    #[inline]
    pub(crate) fn note<T: Serialize + ?Sized>(&mut self, value: &T) -> bool {
        let start = self.length;
        let noted = value.serialize(Noter::new(self, is_string::<T>)).is_ok();
        if !noted {
            self.back_to(start);
        }
        noted
    }

    /// Notes text between arguments.
    pub(crate) fn literal(&mut self, text: &str) -> bool {
        self.text(LITERAL, text).is_ok()
    }

    #[inline]
    fn mark(&mut self, kind: u8) -> Result<(), Unfit> {
        let rest = self.bytes.get_mut(usize::from(self.length)..);
        let place = rest.and_then(<[u8]>::first_mut).ok_or(Unfit)?;
        *place = kind;
        self.length += 1;
        Ok(())
    }

    #[inline]
    fn number(&mut self, kind: u8, number: [u8; 8]) -> Result<(), Unfit> {
        let rest = self.bytes.get_mut(usize::from(self.length)..);
        let place: Option<&mut [u8; 9]> = rest.and_then(<[u8]>::first_chunk_mut);
        let [first, others @ ..] = place.ok_or(Unfit)?;
        *first = kind;
        *others = number;
        self.length += 9;
        Ok(())
    }

    fn text(&mut self, kind: u8, text: &str) -> Result<(), Unfit> {
        let length = u8::try_from(text.len()).map_err(|_| Unfit)?;
        let rest = self.bytes.get_mut(usize::from(self.length)..);
        let (first, others) = rest.and_then(<[u8]>::split_first_mut).ok_or(Unfit)?;
        let place = others.get_mut(..text.len()).ok_or(Unfit)?;
        copy(text.as_bytes(), place);
        *first = kind | length;
        self.length += 1 + length;
        Ok(())
    }

    fn back_to(&mut self, start: u8) {
        if let Some(rest) = self.bytes.get_mut(usize::from(start)..) {
            rest.fill(0);
        }
        self.length = start;
    }

    /// Writes what was noted.
    pub(super) fn write_to(&self, writer: &mut KeyWriter<'_>, is_template: bool) {
        let mut rest = self.as_bytes().get(4..).unwrap_or_default();
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

/// Copies a text to a place of its length. Few bytes take no call of a function.
#[inline]
fn copy(text: &[u8], place: &mut [u8]) {
    match (text, place) {
        ([], _) => {}
        ([one], [place]) => *place = *one,
        ([one, two], [first, second]) => (*first, *second) = (*one, *two),
        ([one, two, three], [first, second, third]) => {
            (*first, *second, *third) = (*one, *two, *three);
        }
        (text, place) => place.copy_from_slice(text),
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
