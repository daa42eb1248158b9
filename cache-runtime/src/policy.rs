//! How the entries of one function are kept; every default stands here.

use std::time::Duration;

/// The settings of one annotated function. An expansion sets what the user wrote and takes the rest from [`Policy::DEFAULT`].
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// First part of the key, and what `#[cache_invalidate(prefix = ..)]` names. None: module path and function name.
    pub(crate) prefix: Option<&'static str>,
    /// How long an entry lives. None: the cache's default.
    pub(crate) ttl: Option<Duration>,
}

impl Policy {
    /// What holds where the attribute says nothing.
    pub const DEFAULT: Self = Self {
        prefix: None,
        ttl: None,
    };

    /// Sets the prefix.
    #[must_use]
    pub const fn prefix(mut self, prefix: &'static str) -> Self {
        self.prefix = Some(prefix);
        self
    }

    /// Sets the ttl, in milliseconds.
    #[must_use]
    pub const fn ttl_ms(mut self, ttl: u64) -> Self {
        self.ttl = Some(Duration::from_millis(ttl));
        self
    }
}
