//! What a value weighs in memory, and whether a codec would lose part of it, both read off its own `Serialize`.
//! Nothing is written anywhere; a pass costs less than encoding does.
#![cfg_attr(
    not(any(test, feature = "bincode", feature = "postcard", feature = "json")),
    expect(dead_code, reason = "without a codec nothing can be lost")
)]

use std::fmt;

use serde::Serialize;

use self::survey::Survey;

mod survey;

/// An estimate of the heap bytes `value` holds beyond its own size, leaning upwards.
///
/// Scalars count by their width, strings and byte strings 24 and an allocation of their length, sequences and maps 24 and an
/// allocation of all their elements, maps half as much again and 16 per entry for the empty places of a hash table.
/// Of all that is not inside a string, sequence or map, what fits into the value's own size is taken to be there,
/// and the rest to be boxed.
/// Not seen: spare capacity, fields that are not serialized, and that two `Arc`s share.
/// If the value fails to serialize, what was counted until then is the answer.
pub(crate) fn weight_of<T: Serialize + ?Sized>(value: &T) -> usize {
    let mut survey = Survey::new(Form::Compact);
    // Half an estimate is still one.
    let _ = value.serialize(&mut survey);
    let boxed = survey.inline.saturating_sub(size_of_val(value));
    survey.heap.saturating_add(boxed)
}

/// The first thing in `value` that a codec could not give back, though nothing would fail.
pub(crate) fn loss_of<T: Serialize + ?Sized>(value: &T, form: Form) -> Option<Loss> {
    let mut survey = Survey::new(form);
    // The codec meets the same error and reports it.
    let _ = value.serialize(&mut survey);
    survey.loss
}

/// Which of its two forms a type is asked for: many write themselves as text for people and as numbers for machines.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Form {
    Readable,
    Compact,
}

/// What would silently come back as something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// `skip_serializing_if` left this field out; where fields have no names, the next one takes its place.
    LeftOut(&'static str),
    /// `Some(None)`, `Some(())` or a float that is not finite; where each is a `null`, they come back as `None`.
    AmbiguousNull,
}

impl fmt::Display for Loss {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeftOut(field) => write!(
                out,
                "`skip_serializing_if` left out the field `{field}`; use the codec `json` or drop the attribute"
            ),
            Self::AmbiguousNull => out.write_str(
                "`Some(None)`, `Some(())` or a float that is not finite would become `null`; use another codec",
            ),
        }
    }
}

#[cfg(test)]
mod tests;
