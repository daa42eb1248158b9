//! `sensitive(token)`: which arguments are hashed wherever they are part of a key or a tag, and that they are part of one.

use syn::ext::IdentExt as _;
use syn::{Error, Ident};

use super::{Frame, Part};
use crate::args::Slot;
use crate::errors::Errors;

impl Frame {
    /// Has these arguments hashed; answers those that there are.
    pub(super) fn hash(&mut self, sensitive: Slot<Vec<Ident>>, errors: &mut Errors) -> Vec<Ident> {
        let mut words = sensitive
            .map(|sensitive| sensitive.value)
            .unwrap_or_default();
        self.arguments.hash(&words, errors);
        words.retain(|word| self.arguments.find(word, "").is_ok());
        words
    }
}

/// What is left out of the key cannot be hashed in it.
pub(super) fn none_is_skipped(sensitive: &[Ident], skipped: &[Ident], errors: &mut Errors) {
    for word in sensitive.iter().filter(|word| contains(skipped, word)) {
        let message = format!(
            "`{word}` is also in `skip`, which leaves it out of the key; remove it from one of the two"
        );
        errors.push(Error::new(word.span(), message));
    }
}

/// Who marks an argument takes it to be part of the key; where it is not, two callers would share an entry.
pub(super) fn all_are_named<'a>(
    sensitive: &[Ident],
    templates: impl Iterator<Item = &'a Vec<Part>>,
    errors: &mut Errors,
) {
    // A template with a mistake, which is reported already, may be the one that names it.
    if !errors.is_empty() {
        return;
    }
    let named = templates.flatten().filter_map(|part| match part {
        Part::Text(_) => None,
        Part::Value(argument, ..) => Some(argument),
    });
    let named: Vec<_> = named.cloned().collect();
    for word in sensitive.iter().filter(|word| !contains(&named, word)) {
        let message = format!(
            "no template names `{word}`; name it, as in `{{{word}}}`, or remove it from `sensitive`"
        );
        errors.push(Error::new(word.span(), message));
    }
}

fn contains(words: &[Ident], word: &Ident) -> bool {
    words.iter().any(|one| one.unraw() == word.unraw())
}
