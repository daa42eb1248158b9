//! Encryption at rest without the feature `encryption`: there are no keys.

use super::envelope::{Bound, Sealed};

#[derive(Debug, Clone)]
pub(crate) enum Keys {}

impl Keys {
    /// Keys without the means to use them are refused: values must not be stored in clear where encryption was asked for.
    pub(crate) fn parse(_text: &str) -> Result<Self, &'static str> {
        Err(
            "this program is built without the feature `encryption` of `cache-runtime`; enable it, or unset the variable",
        )
    }

    pub(crate) fn seal(
        &self,
        _bound: Bound<'_>,
        _out: &mut Vec<u8>,
        _start: usize,
    ) -> Result<(), Sealed> {
        match *self {}
    }

    pub(crate) fn open(&self, _bound: Bound<'_>, _sealed: &[u8]) -> Result<Vec<u8>, Sealed> {
        match *self {}
    }
}
