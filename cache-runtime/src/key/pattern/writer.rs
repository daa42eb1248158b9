//! A pattern with arguments in it: their text is looked for as it stands in keys, and is never a pattern itself.
//!
//! In a key the character after an argument is escaped inside that, if it separates the argument from another one (see
//! `KeyWriter::separate`). Whether it does cannot be told from a pattern, which may end before the other one; so an argument
//! that holds this character is looked for in both spellings.

use std::mem;

use super::escape;
use crate::key::{KeyPart, KeyWriter, Unwritable, below, escape_separator};
use crate::secret::HashKey;

/// How many patterns may stand for one. Beyond, an argument of two spellings is left open, which matches more, not less.
const MOST_SPELLINGS: usize = 4;

/// Writes one pattern, in the order in which the expansion names its parts.
#[derive(Debug)]
pub struct PatternWriter<'a> {
    /// Under which sensitive arguments are hashed.
    hash_key: Option<&'a HashKey>,
    spellings: Vec<String>,
    /// The last argument, as long as it is not known what follows it.
    hole: Option<String>,
    problem: Option<Unwritable>,
}

impl<'a> PatternWriter<'a> {
    pub(crate) fn new(root: &str, hash_key: Option<&'a HashKey>) -> Self {
        Self {
            hash_key,
            spellings: vec![below(&escape(root), "")],
            hole: None,
            problem: None,
        }
    }

    /// Text of the pattern, as the user wrote it.
    pub fn text(&mut self, pattern: &str) {
        let begins = pattern.strip_prefix('\\').unwrap_or(pattern);
        self.close_hole(begins.chars().next());
        self.append(&[pattern]);
    }

    /// An argument.
    pub fn hole<T: KeyPart + ?Sized>(&mut self, part: &T) {
        self.open_hole(|writer| writer.hole(part));
    }

    /// An argument as a keyed hash.
    pub fn sensitive_hole<T: KeyPart + ?Sized>(&mut self, part: &T) {
        self.open_hole(|writer| writer.sensitive_hole(part));
    }

    fn open_hole(&mut self, write: impl FnOnce(&mut KeyWriter<'_>)) {
        self.close_hole(None);
        let mut text = String::new();
        let mut writer = KeyWriter::new(&mut text, self.hash_key);
        write(&mut writer);
        match writer.finish() {
            Ok(()) => self.hole = Some(text),
            Err(problem) => {
                // Without its text it may be any argument.
                self.problem.get_or_insert(problem);
                self.append(&["*"]);
            }
        }
    }

    /// `next` is what follows it.
    fn close_hole(&mut self, next: Option<char>) {
        let Some(text) = self.hole.take() else {
            return;
        };
        let separator = next.filter(|next| *next != ':' && text.contains(*next));
        match separator.map(|separator| escape_separator(&text, separator)) {
            // Its text holds no character that means anything in a pattern.
            None => self.append(&[&text]),
            Some(_) if self.spellings.len() >= MOST_SPELLINGS => self.append(&["*"]),
            Some(escaped) => self.append(&[&text, &escaped]),
        }
    }

    fn append(&mut self, spellings: &[&str]) {
        let before = mem::take(&mut self.spellings);
        for before in &before {
            let appended = spellings.iter().map(|text| format!("{before}{text}"));
            self.spellings.extend(appended);
        }
    }

    /// The patterns that stand for it together, and why an argument of it could not be written.
    pub(crate) fn finish(mut self) -> (Vec<String>, Option<Unwritable>) {
        self.close_hole(None);
        (self.spellings, self.problem)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::pattern::Pattern;

    fn written(root: &str, write: impl FnOnce(&mut PatternWriter<'_>)) -> Vec<String> {
        let mut writer = PatternWriter::new(root, None);
        write(&mut writer);
        writer.finish().0
    }

    fn key(parts: &[(&str, &str)]) -> String {
        let mut text = String::new();
        let mut writer = KeyWriter::new(&mut text, None);
        for (literal, hole) in parts {
            writer.text(literal);
            writer.hole(hole);
        }
        writer.finish().unwrap();
        text
    }

    #[test]
    fn what_the_user_wrote_is_a_pattern_and_the_root_and_an_argument_are_not() {
        let pattern = written("a*b", |pattern| {
            pattern.text("user:");
            pattern.hole("4*[2");
            pattern.text(":*");
        });
        assert_eq!(pattern, [r"a\*b:user:4%2A%5B2:*"]);
    }

    #[test]
    fn an_argument_is_found_in_a_key_where_its_separator_is_escaped_and_where_it_is_not() {
        let patterns = written("", |pattern| {
            pattern.text("user_");
            pattern.hole("a_b");
            pattern.text("_*");
        });
        let matches = |key: &str| patterns.iter().any(|text| Pattern::new(text).matches(key));

        assert!(matches(&key(&[("user_", "a_b"), ("_", "c")])));
        assert!(matches("user_a_b_profile"));
        assert!(!matches(&key(&[("user_", "a"), ("_", "c")])));
        assert!(!matches("user_a-b_profile"));
    }

    #[test]
    fn beyond_a_few_spellings_an_argument_is_left_open() {
        let pattern = |arguments: usize| {
            written("", |pattern| {
                for _ in 0..arguments {
                    pattern.hole("a_b");
                    pattern.text("_");
                }
                pattern.text("*");
            })
        };
        assert_eq!(pattern(2).len(), 4);
        assert_eq!(pattern(20).len(), 4);
        let keys = [(); 20].map(|()| ("", "a_b"));
        let key = keys.map(|(_, hole)| format!("{hole}_")).concat();
        assert!(
            pattern(20)
                .iter()
                .any(|text| Pattern::new(text).matches(&key))
        );
    }
}
