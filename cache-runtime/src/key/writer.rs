//! Writes the parts of one key.

use std::cell::Cell;
use std::fmt::Write as _;
use std::ops::Range;

use serde::Serialize;

use super::raw::Raw;
use super::text::{self, Unwritable};
use crate::secret::HashKey;

/// What can be part of a key: every `Serialize`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be part of a cache key",
    label = "this argument is part of the key",
    note = "leave it out with `#[cached(skip(..))]`, or derive `serde::Serialize` for it"
)]
pub trait KeyPart {
    #[doc(hidden)]
    fn write_to(&self, out: &mut String) -> Result<(), Unwritable>;

    /// See [`Raw::note`].
    #[doc(hidden)]
    fn note_in(&self, raw: &mut Raw) -> bool;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + ?Sized> KeyPart for T {
    fn write_to(&self, out: &mut String) -> Result<(), Unwritable> {
        text::write(out, self)
    }

    #[inline]
    fn note_in(&self, raw: &mut Raw) -> bool {
        raw.note(self)
    }
}

/// How a key begins whose arguments are first noted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Opening<'a> {
    /// What stands before the arguments.
    pub(crate) head: &'a str,
    pub(crate) is_template: bool,
}

/// Writes the parts of one key, in the order in which the expansion names them.
#[derive(Debug)]
pub struct KeyWriter<'a> {
    /// Where the parts are noted in place of being written, as long as they can be.
    notes: Option<(&'a mut Raw, Opening<'a>)>,
    text: &'a mut String,
    /// Under which sensitive arguments are hashed.
    hash_key: Option<&'a HashKey>,
    /// Where the last argument of a template stands.
    last_hole: Option<Range<usize>>,
    problem: Option<Unwritable>,
}

thread_local! {
    /// A text that is not in use, so that writing a key allocates none.
    static SPARE: Cell<String> = const { Cell::new(String::new()) };
}

/// An empty text, to be given back by [`give_back`].
pub(crate) fn spare() -> String {
    // None at the end of the thread.
    SPARE.try_with(Cell::take).unwrap_or_default()
}

pub(crate) fn give_back(mut text: String) {
    text.clear();
    let _ = SPARE.try_with(|spare| spare.set(text));
}

impl<'a> KeyWriter<'a> {
    pub(crate) fn new(text: &'a mut String, hash_key: Option<&'a HashKey>) -> Self {
        Self {
            notes: None,
            text,
            hash_key,
            last_hole: None,
            problem: None,
        }
    }

    /// Notes the parts, and writes them only once one cannot be noted.
    #[inline]
    pub(crate) fn noting(
        raw: &'a mut Raw,
        opening: Opening<'a>,
        text: &'a mut String,
        hash_key: Option<&'a HashKey>,
    ) -> Self {
        Self {
            notes: Some((raw, opening)),
            ..Self::new(text, hash_key)
        }
    }

    /// The next argument, after a `:`.
    #[inline]
    pub fn arg<T: KeyPart + ?Sized>(&mut self, part: &T) {
        if !self.note(|raw| part.note_in(raw)) {
            self.write_arg(part);
        }
    }

    fn write_arg<T: KeyPart + ?Sized>(&mut self, part: &T) {
        self.text.push(':');
        self.write(part);
    }

    /// The next argument, after a `:`, as a keyed hash.
    pub fn sensitive_arg<T: KeyPart + ?Sized>(&mut self, part: &T) {
        self.write_notes();
        self.text.push(':');
        self.write_hashed(part);
    }

    /// Literal text of a template.
    #[inline]
    pub fn text(&mut self, literal: &str) {
        if !self.note(|raw| raw.literal(literal)) {
            self.text.push_str(literal);
        }
    }

    /// An argument inside a template.
    #[inline]
    pub fn hole<T: KeyPart + ?Sized>(&mut self, part: &T) {
        if !self.note(|raw| part.note_in(raw)) {
            self.next_hole(|writer| writer.write(part));
        }
    }

    /// An argument inside a template, as a keyed hash.
    pub fn sensitive_hole<T: KeyPart + ?Sized>(&mut self, part: &T) {
        self.write_notes();
        self.next_hole(|writer| writer.write_hashed(part));
    }

    /// Notes the next part; false where it is to be written, as all will be from now on.
    #[inline]
    fn note(&mut self, note: impl FnOnce(&mut Raw) -> bool) -> bool {
        let Some((raw, _)) = &mut self.notes else {
            return false;
        };
        if note(raw) {
            return true;
        }
        self.write_notes();
        false
    }

    /// Writes what was noted so far, if anything was to be.
    #[cold]
    fn write_notes(&mut self) {
        if let Some((raw, opening)) = self.notes.take() {
            if self.text.capacity() == 0 {
                *self.text = spare();
            }
            self.write_noted(raw, opening);
        }
    }

    /// Writes a key of which all is noted.
    pub(crate) fn write_noted(&mut self, raw: &Raw, opening: Opening<'_>) {
        self.text.push_str(opening.head);
        raw.write_to(self, opening.is_template);
    }

    /// The notes, as long as all was noted, and nothing written.
    #[inline]
    pub(crate) fn notes(&self) -> Option<&Raw> {
        self.notes.as_ref().map(|(raw, _)| &**raw)
    }

    /// Whether all was noted, and nothing written; and what came of it.
    #[inline]
    pub(crate) fn finish_noting(self) -> (bool, Result<(), Unwritable>) {
        (self.notes.is_some(), self.finish())
    }

    fn next_hole(&mut self, write: impl FnOnce(&mut Self)) {
        if let Some(last) = self.last_hole.take() {
            self.separate(last);
        }
        let start = self.text.len();
        write(self);
        self.last_hole = Some(start..self.text.len());
    }

    fn write<T: KeyPart + ?Sized>(&mut self, part: &T) {
        if let Err(problem) = part.write_to(self.text) {
            self.problem.get_or_insert(problem);
        }
    }

    /// Two arguments of one text have one hash, wherever they stand: an argument and a hole of a template name one entry.
    fn write_hashed<T: KeyPart + ?Sized>(&mut self, part: &T) {
        let Some(key) = self.hash_key else {
            self.problem.get_or_insert(Unwritable::NoHashKey);
            return;
        };
        let start = self.text.len();
        match part.write_to(self.text) {
            Ok(()) => key.hide(self.text, start),
            // Why may quote the value.
            Err(_) => {
                self.problem.get_or_insert(Unwritable::Sensitive);
            }
        }
    }

    /// Between two arguments stands a separator. A `:` never stands in an argument; any other must not either, or
    /// `{a}-{b}` would be the same for `x-y`, `z` and for `x`, `y-z`. So its first character is escaped in the first argument.
    fn separate(&mut self, hole: Range<usize>) {
        let between = self.text.get(hole.end..).unwrap_or_default();
        let Some(separator) = between.chars().next().filter(|_| !between.contains(':')) else {
            return;
        };
        let written = self.text.get(hole.clone()).unwrap_or_default();
        if written.contains(separator) {
            let written = escape_separator(written, separator);
            self.text.replace_range(hole, &written);
        }
    }

    pub(crate) fn finish(self) -> Result<(), Unwritable> {
        self.problem.map_or(Ok(()), Err)
    }
}

/// The text of an argument without the character that separates it from the next one.
pub(crate) fn escape_separator(written: &str, separator: char) -> String {
    let mut escaped = String::new();
    let mut bytes = [0; 4];
    for byte in separator.encode_utf8(&mut bytes).bytes() {
        let _ = write!(escaped, "%{byte:02X}");
    }
    written.replace(separator, &escaped)
}
