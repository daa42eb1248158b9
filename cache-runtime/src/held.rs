//! Something that is either there for ever or held for the time being: what is there for ever need not be counted, and
//! counting costs a hit that another thread counts as well more than its look-up.

use std::ops::Deref;

/// A handle that is borrowed for ever, or owned.
#[derive(Debug, Clone)]
pub(crate) enum Held<T: 'static> {
    Forever(&'static T),
    Own(T),
}

impl<T> Deref for Held<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            Self::Forever(held) => held,
            Self::Own(held) => held,
        }
    }
}
