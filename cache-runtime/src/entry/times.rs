//! When a value was stored, and how long it is of use.

use std::time::Duration;

/// When a value was stored, and how long it is of use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// How long it still lives.
    pub(crate) left: Duration,
    /// How long its load took.
    pub(crate) took: Duration,
    /// How long ago it was stored.
    pub(crate) age: Duration,
}

impl Times {
    pub(crate) fn of_a_new_value(left: Duration, took: Duration) -> Self {
        let age = Duration::ZERO;
        Self { left, took, age }
    }
}
