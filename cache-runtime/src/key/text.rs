//! The text of one argument in a key: readable, canonical and injective, so that two different arguments never
//! share an entry.
//! No text is empty, and none holds `:`, braces, glob characters, white space or control characters: an argument
//! cannot pretend to be two levels of a key, a Redis Cluster hash tag or a pattern.
//!
//! Two values are *the same* when serde describes them alike to a self-describing format that prints readably.
//! The width of an integer does not count, nor do the order of a map, the name of a struct or the payload of a NaN;
//! `Some(x)` is `x` unless `x` is nothing itself, a `char` is a string, a newtype struct is what it holds, a struct
//! is a map from its field names (so the two meet only when their contents do), a unit variant is its name as a
//! string, and `None`, `()` and a unit struct are one nothing.
//! A `HashSet` is a list in random order to serde, so it finds its entry only by chance; a `BTreeSet` always does.
//!
//! ```text
//! value   = tildes | number | "true" | "false" | "$" hex | word | list | map | variant
//! tildes  = "~" { "~" }                           nothing, inside one `Some` per further tilde
//! word    = "''" | [ "'" ] safe-or-%XX { .. }     with the mark when it would read as a number or a boolean
//! list    = "()"  | "(" value { "," value } ")"
//! map     = "(=)" | "(" value "=" value { "," value "=" value } ")"
//! variant = word "(" value ")"                    newtype variant
//!         | word ( "()" | "(" value ",)" | list ) tuple variant of none, of one, of more
//!         | word map                              struct variant
//! ```
//!
//! This reads back in one way only. A word never holds `~ $ ' ( ) , = #` unescaped, so the first character tells
//! what begins and the first of `( ) , =` or the end tells where a word, number or hex run ends; an unmarked word
//! is never a number or a boolean. Nothing is empty, so `()`, `(=)` and `,)` mean one thing each; the character
//! after the first value of a list tells list from map; a word followed by `(` is a variant. Maps are sorted by
//! the text of their keys. A text of more than [`LONGEST`] bytes is replaced by `#` and its BLAKE3 hash, and no
//! other text begins with `#`.

use std::any::type_name;
use std::borrow::Cow;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use serde::ser::{self, Serialize};

use writer::Writer;

#[cfg(any(test, fuzzing))]
pub(crate) mod model;
#[cfg(any(test, fuzzing))]
#[expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "it is a check, which ends where a text is none"
)]
pub(crate) mod reader;
#[cfg(test)]
mod tests;
mod writer;

/// Longer texts are replaced by their hash: a key stays something to read in a log line, and hashing costs less
/// than sending it.
pub(crate) const LONGEST: usize = 128;

/// Says why a value has no text.
#[derive(Debug, PartialEq, Eq)]
pub enum Unwritable {
    /// In the words of its own `Serialize`.
    Refused(String),
    /// The same of a sensitive argument, which may stand in those words.
    Sensitive,
    /// A sensitive argument, and no key to hash it with.
    NoHashKey,
}

impl fmt::Display for Unwritable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused(reason) => reason,
            Self::Sensitive => "a sensitive argument cannot be written",
            Self::NoHashKey => "there is no key to hash a sensitive argument with",
        })
    }
}

impl std::error::Error for Unwritable {}

impl ser::Error for Unwritable {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Refused(message.to_string())
    }
}

/// Appends the text of one argument; leaves `out` as it was when the argument cannot be written.
pub(crate) fn write<T: Serialize + ?Sized>(out: &mut String, value: &T) -> Result<(), Unwritable> {
    let start = out.len();
    if let Err(error) = value.serialize(Writer(out)) {
        out.truncate(start);
        return Err(error);
    }
    let text = out.get(start..).unwrap_or_default();
    if text.starts_with('\'') && text != "''" && is_string::<T>() {
        out.remove(start);
    }
    let text = out.get(start..).unwrap_or_default();
    if text.len() > LONGEST {
        let hash = blake3::hash(text.as_bytes()).to_hex();
        out.truncate(start);
        out.push('#');
        out.push_str(&hash);
    }
    Ok(())
}

/// Whether an argument of this type is always a string, and so needs no mark to tell `'42` from the number.
///
/// Dropping the mark is safe because the type belongs to the place in the code and not to the value: the texts of
/// one argument all lose the mark or all keep it. (Each instance of a generic function must count as a place of
/// its own.) `type_name` promises neither stability nor uniqueness, and a compiler that spells names otherwise
/// costs misses, nothing else.
pub(super) fn is_string<T: ?Sized>() -> bool {
    let mut name = type_name::<T>();
    while let Some(referent) = name.strip_prefix('&') {
        let referent = referent.strip_prefix("'_ ").unwrap_or(referent);
        name = referent.strip_prefix("mut ").unwrap_or(referent);
    }
    [
        type_name::<str>(),
        type_name::<String>(),
        type_name::<Cow<'_, str>>(),
        type_name::<Box<str>>(),
        type_name::<Arc<str>>(),
        type_name::<Rc<str>>(),
    ]
    .contains(&name)
}

/// Appends a string that cannot be taken for anything else.
fn write_word(out: &mut String, word: &str) {
    if word.is_empty() {
        out.push_str("''");
        return;
    }
    if reads_as_another_value(word) {
        out.push('\'');
    }
    if word.bytes().all(is_safe) {
        out.push_str(word);
        return;
    }
    for character in word.chars() {
        if stands_as_it_is(character) {
            out.push(character);
        } else {
            escape(out, character);
        }
    }
}

/// Whether that cannot be ruled out at first sight.
pub(super) fn may_read_as_another_value(word: &str) -> bool {
    matches!(
        word.bytes().next(),
        Some(b'0'..=b'9' | b'-' | b't' | b'f' | b'N' | b'i')
    )
}

/// Numbers are only ever written with a digit or a minus in front, so most strings are told by their first byte.
fn reads_as_another_value(word: &str) -> bool {
    match word.bytes().next() {
        Some(b'0'..=b'9' | b'-') => word.parse::<f64>().is_ok(),
        Some(b't' | b'f' | b'N' | b'i') => matches!(word, "true" | "false" | "NaN" | "inf"),
        _ => false,
    }
}

const fn is_safe(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'@' | b'/' | b'+' | b'!')
}

fn stands_as_it_is(character: char) -> bool {
    match u8::try_from(character) {
        Ok(byte @ 0..=127) => is_safe(byte),
        _ => character.is_alphanumeric(),
    }
}

fn escape(out: &mut String, character: char) {
    for byte in character.encode_utf8(&mut [0; 4]).bytes() {
        out.push('%');
        out.extend(hex(byte).map(|digit| digit.to_ascii_uppercase()));
    }
}

fn hex(byte: u8) -> [char; 2] {
    [byte >> 4, byte & 0xf].map(|digit| char::from_digit(u32::from(digit), 16).unwrap_or_default())
}

/// The promise is about texts before hashing; hashing rests on BLAKE3.
#[cfg(any(test, fuzzing))]
pub(crate) fn full_text(value: &model::Model) -> String {
    let mut out = String::new();
    let written = value.serialize(Writer(&mut out));
    assert!(written.is_ok(), "{value:?}");
    out
}

/// What keys and patterns are made of, and so no text of an argument.
#[cfg(any(test, fuzzing))]
pub(crate) fn is_forbidden(character: char) -> bool {
    ":{}*?[]\\^\"".contains(character) || character.is_whitespace() || character.is_control()
}
