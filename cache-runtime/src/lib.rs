#![doc = include_str!("../docs/crate.md")]

#[cfg(any(test, fuzzing))]
#[doc(hidden)]
#[path = "fuzz/mod.rs"]
pub mod __fuzz;
#[cfg(any(test, benching))]
#[doc(hidden)]
#[path = "pieces.rs"]
pub mod __pieces;
#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
mod acting;
mod advice;
mod batch;
mod blocking;
mod breaker;
mod cache;
mod call;
mod check;
mod clock;
mod collection;
mod config;
mod counter;
mod duration;
mod entry;
mod env;
mod error;
mod flight;
mod global;
mod health;
mod inner;
mod intent;
mod invalidate;
mod invalidated;
mod key;
mod lease;
mod life;
mod limit;
mod location;
mod log;
mod many;
mod mode;
mod near;
mod outage;
mod outcome;
mod patience;
mod policy;
mod put;
mod random;
mod remote;
mod secret;
mod seen;
mod site;
mod stats;
mod store;
mod together;
mod traced;
mod turns;
mod value;
mod variable;
mod warm;

pub use acting::{invalidate, key_of, peek, refresh, traced};
pub use cache::Cache;
#[cfg(feature = "macros")]
pub use cache_macros::{cache_invalidate, cache_put, cached};
pub use check::{Check, CheckStep};
pub use clock::until_midnight;
pub use config::{CacheBuilder, CacheConfig, Durability, OnRestart};
pub use error::{Error, ErrorKind};
pub use global::{bypass, cache, install, with_cache};
pub use health::{Health, HealthState};
pub use invalidated::{Invalidated, Reach};
pub use key::KeyPart;
pub use mode::Mode;
pub use stats::Stats;
pub use traced::{Source, Traced};
pub use value::Value;
pub use value::codec::{Codec, UnknownCodec};
pub use warm::{Warm, Warmed, warm};

/// The examples of the reference and of the README, which run as doc tests here because they use this crate.
#[cfg(all(
    doctest,
    feature = "macros",
    feature = "fallback",
    feature = "compression"
))]
mod documentation {
    #[doc = include_str!("../../cache-macros/docs/cached.md")]
    pub struct Cached;

    #[doc = include_str!("../../cache-macros/docs/cache_invalidate.md")]
    pub struct CacheInvalidate;

    #[doc = include_str!("../../cache-macros/docs/cache_put.md")]
    pub struct CachePut;

    #[doc = include_str!("../../README.md")]
    pub struct Readme;
}
