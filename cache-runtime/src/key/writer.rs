//! Writes the parts of one key.

use std::cell::Cell;
use std::fmt::Write as _;
use std::ops::Range;

use serde::Serialize;

use super::raw::{self, Check, Hash, Notebook, Raw};
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

    /// See `raw::tell`.
    #[doc(hidden)]
    fn tell<N: Notebook>(&self, book: &mut N) -> bool;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + ?Sized> KeyPart for T {
    fn write_to(&self, out: &mut String) -> Result<(), Unwritable> {
        text::write(out, self)
    }

    #[inline(always)]
    fn tell<N: Notebook>(&self, book: &mut N) -> bool {
        raw::tell(book, self)
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
    way: Way<'a>,
    /// Where it is written, if it may be.
    page: Option<Page<'a>>,
}

/// A text, and what has to be known to write on.
#[derive(Debug)]
struct Page<'a> {
    text: &'a mut String,
    /// Under which sensitive arguments are hashed.
    hash_key: Option<&'a HashKey>,
    /// Where the last argument of a template stands.
    last_hole: Option<Range<usize>>,
    problem: Option<Unwritable>,
}

/// What becomes of the next part.
#[derive(Debug)]
enum Way<'a> {
    /// It is written.
    Written,
    /// It is noted; if it cannot be, what was noted so far is written, and all that follows.
    NotedFirst(&'a mut Raw, Opening<'a>),
    /// It is noted; if it cannot be, nothing is.
    NotedOnly(&'a mut Raw),
    /// It becomes a part of a hash.
    Hashed(Hash),
    /// It is compared with what was noted.
    Compared(Check<'a>),
    /// Nothing, since one before could not be noted, or was another one.
    Dropped,
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
        let page = Page {
            text,
            hash_key,
            last_hole: None,
            problem: None,
        };
        Self {
            way: Way::Written,
            page: Some(page),
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
            way: Way::NotedFirst(raw, opening),
            ..Self::new(text, hash_key)
        }
    }

    /// Notes the parts that `name` names; false where one cannot be noted. Nothing is written.
    pub(crate) fn note_all(raw: &mut Raw, name: &dyn Fn(&mut KeyWriter<'_>)) -> bool {
        let mut writer = KeyWriter::going(Way::NotedOnly(raw));
        name(&mut writer);
        matches!(writer.way, Way::NotedOnly(_))
    }

    /// The hash of those notes; `None` where a part cannot be noted.
    #[inline(always)]
    pub(crate) fn hash_all(seed: u64, name: &impl Fn(&mut KeyWriter<'_>)) -> Option<u64> {
        let mut writer = KeyWriter::going(Way::Hashed(Hash::new(seed)));
        name(&mut writer);
        match writer.way {
            Way::Hashed(hash) if hash.fits() => Some(hash.finish()),
            _ => None,
        }
    }

    /// Whether the parts are what was noted.
    #[inline(always)]
    pub(crate) fn are_noted(noted: Check<'_>, name: &impl Fn(&mut KeyWriter<'_>)) -> bool {
        let mut writer = KeyWriter::going(Way::Compared(noted));
        name(&mut writer);
        match writer.way {
            Way::Compared(rest) => rest.is_done(),
            _ => false,
        }
    }

    /// Writes nothing.
    #[inline(always)]
    fn going(way: Way<'_>) -> KeyWriter<'_> {
        KeyWriter { way, page: None }
    }

    /// The next argument, after a `:`.
    #[inline(always)]
    pub fn arg<T: KeyPart + ?Sized>(&mut self, part: &T) {
        let told = match &mut self.way {
            Way::Hashed(hash) => part.tell(hash),
            Way::Compared(rest) => part.tell(rest),
            _ => false,
        };
        if !told {
            self.next_arg(part);
        }
    }

    /// The same for a string. It needs no serde, through which a call costs more than the hash of a short one.
    #[inline(always)]
    pub fn arg_str(&mut self, part: &str) {
        let told = match &mut self.way {
            Way::Hashed(hash) => raw::tell_str(hash, part),
            Way::Compared(rest) => raw::tell_str(rest, part),
            _ => false,
        };
        if !told {
            self.next_arg(part);
        }
    }

    #[cold]
    fn next_arg<T: KeyPart + ?Sized>(&mut self, part: &T) {
        if let Some(page) = self.page(|raw| part.tell(raw)) {
            page.text.push(':');
            page.write(part);
        }
    }

    /// The next argument, after a `:`, as a keyed hash.
    pub fn sensitive_arg<T: KeyPart + ?Sized>(&mut self, part: &T) {
        if let Some(page) = self.page(|_| false) {
            page.text.push(':');
            page.write_hashed(part);
        }
    }

    /// Literal text of a template.
    #[inline(always)]
    pub fn text(&mut self, literal: &str) {
        let told = match &mut self.way {
            Way::Hashed(hash) => raw::tell_literal(hash, literal),
            Way::Compared(rest) => raw::tell_literal(rest, literal),
            _ => false,
        };
        if !told {
            self.next_text(literal);
        }
    }

    #[cold]
    fn next_text(&mut self, literal: &str) {
        if let Some(page) = self.page(|raw| raw::tell_literal(raw, literal)) {
            page.text.push_str(literal);
        }
    }

    /// An argument inside a template.
    #[inline(always)]
    pub fn hole<T: KeyPart + ?Sized>(&mut self, part: &T) {
        let told = match &mut self.way {
            Way::Hashed(hash) => part.tell(hash),
            Way::Compared(rest) => part.tell(rest),
            _ => false,
        };
        if !told {
            self.next_hole(part);
        }
    }

    #[cold]
    fn next_hole<T: KeyPart + ?Sized>(&mut self, part: &T) {
        if let Some(page) = self.page(|raw| part.tell(raw)) {
            page.write_hole(|page| page.write(part));
        }
    }

    /// An argument inside a template, as a keyed hash.
    pub fn sensitive_hole<T: KeyPart + ?Sized>(&mut self, part: &T) {
        if let Some(page) = self.page(|_| false) {
            page.write_hole(|page| page.write_hashed(part));
        }
    }

    /// Where the next part is to be written, as all will be from now on, because it cannot be noted. Before it stands what was
    /// noted.
    fn page(&mut self, note: impl FnOnce(&mut Raw) -> bool) -> Option<&mut Page<'a>> {
        self.way = match std::mem::replace(&mut self.way, Way::Written) {
            Way::Written => return self.page.as_mut(),
            Way::NotedFirst(raw, opening) => {
                if !raw.take(note) {
                    if let Some(page) = &mut self.page
                        && page.text.capacity() == 0
                    {
                        *page.text = spare();
                    }
                    self.write_noted(raw, opening);
                    return self.page.as_mut();
                }
                Way::NotedFirst(raw, opening)
            }
            Way::NotedOnly(raw) => match raw.take(note) {
                true => Way::NotedOnly(raw),
                false => Way::Dropped,
            },
            Way::Hashed(_) | Way::Compared(_) | Way::Dropped => Way::Dropped,
        };
        None
    }

    /// Writes a key of which all is noted.
    pub(crate) fn write_noted(&mut self, raw: &Raw, opening: Opening<'_>) {
        if let Some(page) = &mut self.page {
            page.text.push_str(opening.head);
        }
        raw.write_to(self, opening.is_template);
    }

    /// The notes, as long as all was noted, and nothing written.
    #[inline]
    pub(crate) fn notes(&self) -> Option<&Raw> {
        match &self.way {
            Way::NotedFirst(raw, _) => Some(raw),
            _ => None,
        }
    }

    /// Whether all was noted, and nothing written; and what came of it.
    #[inline]
    pub(crate) fn finish_noting(self) -> (bool, Result<(), Unwritable>) {
        (self.notes().is_some(), self.finish())
    }

    pub(crate) fn finish(self) -> Result<(), Unwritable> {
        let problem = self.page.and_then(|page| page.problem);
        problem.map_or(Ok(()), Err)
    }
}

impl Page<'_> {
    fn write_hole(&mut self, write: impl FnOnce(&mut Self)) {
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
