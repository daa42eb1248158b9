//! How the entries of one function are kept; every default stands here.

use std::time::Duration;

/// The longest life of a value in front of a Redis that does not tell of changes, where nothing else is said.
pub(crate) const UNTOLD_TTL: Duration = Duration::from_secs(1);

/// The settings of one annotated function. An expansion sets what the user wrote and takes the rest from [`Policy::DEFAULT`].
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// First part of the key, and what `#[cache_invalidate(prefix = ..)]` names. None: module path and function name.
    pub(crate) prefix: Option<&'static str>,
    /// How long an entry lives. None: the cache's default.
    pub(crate) ttl: Option<Duration>,
    pub(crate) terms: Terms,
}

/// Whose concurrent loads of one key are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coalesce {
    /// Those of this process.
    Process,
    /// Those of all processes.
    Fleet,
    /// Nobody's: each call runs its body.
    Off,
}

/// What holds for a call beside its key and its ttl.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) near: NearTerms,
    pub(crate) coalesce: Coalesce,
    /// How long after its ttl a value may still be returned while it is loaded anew.
    pub(crate) stale: Duration,
    /// A number for the templates of the tags, 0 without any: what the process keeps under other ones, or none, is no answer.
    pub(crate) tagging: u64,
}

/// Whether, and for how long, values are kept in process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NearTerms {
    /// Not at all.
    Off,
    /// As long as the entry lives, where Redis tells of changes.
    On,
    /// In front of Redis at most so long.
    AtMost(Duration),
}

impl NearTerms {
    /// Whether a value may be kept in process.
    pub(crate) fn allow(self) -> bool {
        self != Self::Off
    }

    /// The longest life of a value in front of Redis.
    pub(crate) fn bound(self, told: bool) -> Duration {
        match (self, told) {
            (Self::Off, _) => Duration::ZERO,
            (Self::AtMost(bound), _) => bound,
            (Self::On, true) => Duration::MAX,
            (Self::On, false) => UNTOLD_TTL,
        }
    }
}

impl Policy {
    /// What holds where the attribute says nothing.
    pub const DEFAULT: Self = Self {
        prefix: None,
        ttl: None,
        terms: Terms {
            near: NearTerms::On,
            coalesce: Coalesce::Process,
            stale: Duration::ZERO,
            tagging: 0,
        },
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

    /// Switches the in-process tier off.
    #[must_use]
    pub const fn near(mut self, near: bool) -> Self {
        self.terms.near = if near { NearTerms::On } else { NearTerms::Off };
        self
    }

    /// Bounds the life in the in-process tier in front of Redis, in milliseconds.
    #[must_use]
    pub const fn near_ttl_ms(mut self, ttl: u64) -> Self {
        self.terms.near = NearTerms::AtMost(Duration::from_millis(ttl));
        self
    }

    /// Names the templates of the tags.
    #[must_use]
    pub const fn tagging(mut self, templates: &str) -> Self {
        // FNV-1a, <http://www.isthe.com/chongo/tech/comp/fnv/>: a hash that can be had at compile time.
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut rest = templates.as_bytes();
        while let [byte, others @ ..] = rest {
            hash = (hash ^ *byte as u64).wrapping_mul(0x0100_0000_01b3);
            rest = others;
        }
        // 0 is for no tags.
        self.terms.tagging = hash | 1;
        self
    }

    /// Sets whose loads are one.
    #[must_use]
    pub const fn coalesce(mut self, coalesce: Coalesce) -> Self {
        self.terms.coalesce = coalesce;
        self
    }

    /// Sets how long an expired value is returned while it is loaded anew, in milliseconds.
    #[must_use]
    pub const fn stale_while_revalidate_ms(mut self, window: u64) -> Self {
        self.terms.stale = Duration::from_millis(window);
        self
    }
}
