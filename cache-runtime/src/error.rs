//! What can go wrong, as the manual API reports it.
//! A cached function never returns one of these: it logs, counts, and runs its body.

use std::error::Error as StdError;
use std::fmt;

/// Why an operation of the manual API, or a set-up step, did not succeed.
///
/// `Display` is one line; it never holds a password, and it does not repeat its [`source`](StdError::source).
pub struct Error {
    kind: ErrorKind,
    context: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The kinds of [`Error`], to match on.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// A setting, an environment variable or an address is malformed.
    Config,
    /// A cache was installed already.
    Installed,
    /// A key, prefix or pattern cannot be used.
    Key,
    /// A value could not be encoded.
    Encode,
    /// What stands under a key is no number, or a sum is beyond what one can hold.
    Value,
    /// Redis cannot be reached, or did not answer in time, and nothing could stand in for it.
    Unreachable,
    /// Redis answered with an error.
    Refused,
    /// The cache is closed.
    Closed,
    /// A call reaches no cached function.
    NotCached,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, context: impl Into<String>) -> Self {
        Self {
            kind,
            context: context.into(),
            source: None,
        }
    }

    #[must_use]
    pub(crate) fn caused_by(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// The kind, to match on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.context)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Error");
        shown
            .field("kind", &self.kind)
            .field("context", &self.context);
        if let Some(source) = &self.source {
            shown.field("source", &format_args!("{source}"));
        }
        shown.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.source {
            Some(source) => Some(&**source),
            None => None,
        }
    }
}
