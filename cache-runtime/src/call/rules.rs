//! What a loaded value says of its own entry: whether there is to be one, and for how long.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::Ttl;
use crate::clock::{self, Instant};
use crate::value::Shared;

/// What is asked of the value at the fill; each without a capture, so that it can be asked in any task.
pub struct Rules<T> {
    keep: Option<fn(&T) -> bool>,
    ttl: Option<fn(&T) -> Duration>,
    negative: Option<Negatives<T>>,
}

/// Which values say that there is nothing, and how long these are kept.
struct Negatives<T> {
    is_one: fn(&T) -> bool,
    ttl: Duration,
}

/// The answer for one value: how long its entry lives, `None` where there is to be none. It is asked with the ttl that holds
/// for any other value, and the time of the fill.
pub(crate) type Ruling = Arc<dyn Fn(&Shared, Ttl, Instant) -> Option<Ttl> + Send + Sync>;

/// A value that may say that there is nothing.
#[diagnostic::on_unimplemented(
    message = "`negative_ttl` is how long a `None` is kept, but the value is `{Self}`, which is never one",
    label = "this option needs a value of type `Option<..>`",
    note = "remove the option, or give a ttl over the value: `ttl = |value| ..`"
)]
pub trait Negative {
    /// Whether it says so.
    fn is_negative(&self) -> bool;
}

impl<T> Negative for Option<T> {
    fn is_negative(&self) -> bool {
        self.is_none()
    }
}

impl<T> Rules<T> {
    pub(crate) fn new() -> Self {
        Self {
            keep: None,
            ttl: None,
            negative: None,
        }
    }

    /// Keeps only the values of which this is true.
    pub fn cache_if(&mut self, keep: fn(&T) -> bool) {
        self.keep = Some(keep);
    }

    /// Keeps each value for as long as this says; not at all where that is zero.
    pub fn ttl(&mut self, ttl: fn(&T) -> Duration) {
        self.ttl = Some(ttl);
    }

    /// Keeps `None` for so many milliseconds, whatever holds for other values.
    pub fn negative_ttl_ms(&mut self, ttl: u64)
    where
        T: Negative,
    {
        self.negative = Some(Negatives {
            is_one: T::is_negative,
            ttl: Duration::from_millis(ttl).min(clock::FAR),
        });
    }

    /// The rules for a value whose type is not known any more.
    pub(crate) fn ruling(self) -> Ruling
    where
        T: 'static,
    {
        Arc::new(move |value, ttl, now| match value.downcast_ref() {
            Some(value) => self.rule(value, ttl, now),
            None => None,
        })
    }

    fn rule(&self, value: &T, ttl: Ttl, now: Instant) -> Option<Ttl> {
        if self.keep.is_some_and(|keep| !keep(value)) {
            return None;
        }
        if let Some(negative) = &self.negative
            && (negative.is_one)(value)
        {
            return Some(Ttl::Fixed(negative.ttl));
        }
        // Whoever computes the end means it, so it is not spread.
        Some(
            self.ttl
                .map_or(ttl, |of| Ttl::Until(clock::after(now, of(value)))),
        )
    }
}

impl<T> fmt::Debug for Rules<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules").finish_non_exhaustive()
    }
}
