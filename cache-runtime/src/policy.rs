//! How the entries of one function are kept; every default stands here.

use std::time::Duration;

use crate::random;

/// The longest life of a value in front of a Redis that does not tell of changes, where nothing else is said.
pub(crate) const UNTOLD_TTL: Duration = Duration::from_secs(1);

/// The settings of one annotated function. An expansion sets what the user wrote and takes the rest from [`Policy::DEFAULT`].
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// The name of the cache. None: the default one.
    pub(crate) cache: Option<&'static str>,
    /// First part of the key, and what `#[cache_invalidate(prefix = ..)]` names. None: module path and function name.
    pub(crate) prefix: Option<&'static str>,
    /// How long an entry lives. None: the cache's default.
    pub(crate) ttl: Option<Duration>,
    /// The environment variable that says so in the first place.
    pub(crate) ttl_from: Option<&'static str>,
    /// Which meaning the values have; the same entry with another one is a miss.
    pub(crate) version: u32,
    /// How many bodies may run at once. None: any number.
    pub(crate) max_loads: Option<usize>,
    /// Whether values may be loaded anew before they expire.
    pub(crate) early: bool,
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

/// What a cargo feature has to bring into the build.
#[diagnostic::on_unimplemented(
    message = "`compress = true` needs the feature `compression` of `cache-runtime`",
    label = "this program is built without it",
    note = "enable it where the program names its dependencies: `cache-runtime = {{ .., features = [\"compression\"] }}`"
)]
pub trait BuiltIn {}

/// The feature `compression`.
#[derive(Debug)]
pub struct Compression;

#[cfg(feature = "compression")]
impl BuiltIn for Compression {}

/// What holds for a call beside its key and its ttl.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) near: NearTerms,
    pub(crate) coalesce: Coalesce,
    pub(crate) stale: Windows,
    /// How many times as long before it expires as its load took a value is loaded anew by this call: a number drawn for each
    /// call, so that of many callers one comes first; 0 without `early_refresh`, infinite for a call that loads in any case.
    ///
    /// XFetch: Vattani, Chierichetti, Lowenstein, "Optimal Probabilistic Cache Stampede Prevention", PVLDB 8(8), 2015, with
    /// its parameter at 1.
    pub(crate) early: f64,
    /// How values are encoded for Redis, if not as the cache does; the name of a codec that may not be built in.
    pub(crate) codec: Option<&'static str>,
    /// Whether large values are compressed in Redis, if not as the cache does.
    pub(crate) compress: Option<bool>,
    /// How long a load is waited for where an expired value could be returned instead.
    pub(crate) load_timeout: Option<Duration>,
    /// A number for the templates of the tags, 0 without any: what the process keeps under other ones, or none, is no answer.
    pub(crate) tagging: u64,
    /// Whether the function is not async, and so cannot ask Redis.
    pub(crate) plain: bool,
}

/// How long after its ttl a value may still be returned (RFC 5861); zero is not at all.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Windows {
    /// While it is loaded anew.
    pub(crate) revalidate: Duration,
    /// Because it cannot be loaded anew: the body fails, or too many run, or it takes too long.
    pub(crate) if_error: Duration,
}

impl Windows {
    pub(crate) const NONE: Self = Self {
        revalidate: Duration::ZERO,
        if_error: Duration::ZERO,
    };

    /// How long after its ttl a value is of any use.
    pub(crate) fn longest(self) -> Duration {
        self.revalidate.max(self.if_error)
    }
}

/// A value that calls for another one, and what it is good for until that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Age {
    /// It has not expired, but is to be loaded early.
    Early,
    /// It expired so long ago.
    Expired(Duration),
}

impl Terms {
    /// Whether a value of that age may be returned while another one is loaded.
    pub(crate) fn return_while_loading(&self, age: Age) -> bool {
        match age {
            Age::Early => true,
            Age::Expired(since) => since < self.stale.revalidate,
        }
    }

    /// Whether it may be returned where no other one can be had.
    pub(crate) fn return_on_error(&self, age: Age) -> bool {
        match age {
            Age::Early => true,
            Age::Expired(since) => since < self.stale.if_error,
        }
    }
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
        cache: None,
        prefix: None,
        ttl: None,
        ttl_from: None,
        version: 0,
        max_loads: None,
        early: false,
        terms: Terms {
            near: NearTerms::On,
            coalesce: Coalesce::Process,
            stale: Windows::NONE,
            early: 0.0,
            codec: None,
            compress: None,
            load_timeout: None,
            tagging: 0,
            plain: false,
        },
    };

    /// The number of one call, see [`Terms::early`].
    #[inline]
    pub(crate) fn draw(&self) -> f64 {
        if self.early {
            random::exponential()
        } else {
            0.0
        }
    }

    /// Names the cache.
    #[must_use]
    pub const fn cache(mut self, name: &'static str) -> Self {
        self.cache = Some(name);
        self
    }

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

    /// Names the environment variable that says the ttl.
    #[must_use]
    pub const fn ttl_from(mut self, variable: &'static str) -> Self {
        self.ttl_from = Some(variable);
        self
    }

    /// Sets the version.
    #[must_use]
    pub const fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// Names the codec.
    #[must_use]
    pub const fn codec(mut self, name: &'static str) -> Self {
        self.terms.codec = Some(name);
        self
    }

    /// Has large values compressed, which takes a build that can.
    #[must_use]
    pub const fn compress<F: BuiltIn>(mut self) -> Self {
        self.terms.compress = Some(true);
        self
    }

    /// Has values stored as they are, whatever the cache does.
    #[must_use]
    pub const fn uncompressed(mut self) -> Self {
        self.terms.compress = Some(false);
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

    /// The function is not async.
    #[must_use]
    pub const fn plain(mut self) -> Self {
        self.terms.plain = true;
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
        self.terms.stale.revalidate = Duration::from_millis(window);
        self
    }

    /// Sets how long an expired value is returned where the body fails, in milliseconds.
    #[must_use]
    pub const fn stale_if_error_ms(mut self, window: u64) -> Self {
        self.terms.stale.if_error = Duration::from_millis(window);
        self
    }

    /// Has values loaded before they expire.
    #[must_use]
    pub const fn early_refresh(mut self, early: bool) -> Self {
        self.early = early;
        self
    }

    /// Bounds how long a load is waited for where an expired value could be returned instead, in milliseconds.
    #[must_use]
    pub const fn load_timeout_ms(mut self, timeout: u64) -> Self {
        self.terms.load_timeout = Some(Duration::from_millis(timeout));
        self
    }

    /// Bounds how many bodies run at once.
    #[must_use]
    pub const fn max_loads(mut self, loads: usize) -> Self {
        self.max_loads = Some(loads);
        self
    }
}
