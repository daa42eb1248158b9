//! What happens to mistakes: they are collected, so that one build shows all of them, and reported next to the
//! unchanged function, so that its callers still resolve and one mistake stays one error.

use proc_macro2::TokenStream;
use syn::{Error, Result};

/// The mistakes found so far.
#[derive(Debug, Default)]
pub(crate) struct Errors(Option<Error>);

impl Errors {
    pub(crate) fn push(&mut self, error: Error) {
        match &mut self.0 {
            Some(first) => first.combine(error),
            None => self.0 = Some(error),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The value of a step that may have failed; its mistake is kept here.
    pub(crate) fn keep<T>(&mut self, step: Result<T>) -> Option<T> {
        step.map_err(|error| self.push(error)).ok()
    }

    /// What was made, unless there was a mistake or it could not be made.
    pub(crate) fn finish<T>(self, made: T) -> Result<T> {
        self.0.map_or(Ok(made), Err)
    }
}

/// The expansion of `item`, or the mistakes and `item` as it was.
pub(crate) fn or_unchanged(
    item: TokenStream,
    expand: impl FnOnce(TokenStream) -> Result<TokenStream>,
) -> TokenStream {
    expand(item.clone()).unwrap_or_else(|error| {
        let mut tokens = error.into_compile_error();
        tokens.extend(item);
        tokens
    })
}

/// `; did you mean ..?` when a candidate is near, else `; ` and the sentence that lists them.
pub(crate) fn remedy<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
    list: impl FnOnce() -> String,
) -> String {
    nearest(word, candidates).map_or_else(list, |near| format!("did you mean `{near}`?"))
}

/// The candidate that looks most like `word`, if one does: at most a third of the letters may differ.
fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let letters = word.chars().count();
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|&(distance, _)| distance < letters && distance <= (letters / 3).max(1))
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// The number of letters to insert, delete or replace (Levenshtein), one row of the table at a time.
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (line, a) in from.chars().enumerate() {
        let mut diagonal = line;
        let mut left = line + 1;
        for (cell, b) in row.iter_mut().skip(1).zip(to.chars()) {
            left = (diagonal + usize::from(a != b))
                .min(*cell + 1)
                .min(left + 1);
            diagonal = std::mem::replace(cell, left);
        }
        if let Some(first) = row.first_mut() {
            *first = line + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{distance, nearest};

    #[test]
    fn distance_counts_letters_to_change() {
        assert_eq!(distance("ttl", "ttl"), 0);
        assert_eq!(distance("tll", "ttl"), 1);
        assert_eq!(distance("", "key"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn only_a_similar_word_is_suggested() {
        assert_eq!(nearest("prefx", ["ttl", "prefix"]), Some("prefix"));
        assert_eq!(nearest("user", ["user_id", "id"]), None);
        assert_eq!(nearest("a", ["b"]), None);
    }
}
