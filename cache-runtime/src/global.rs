//! The process-wide cache: installed by the program, else opened from the environment at first use.

use std::future::Future;

use once_cell::sync::OnceCell;

use crate::cache::Cache;
use crate::config::{CacheBuilder, CacheConfig};
use crate::error::{Error, ErrorKind};
use crate::log;

static DEFAULT: OnceCell<Cache> = OnceCell::new();

tokio::task_local! {
    static CURRENT: Cache;
}

/// Makes `cache` the one that annotated functions use.
///
/// # Errors
/// When a cache was installed before, or an annotated function was called already.
pub fn install(cache: Cache) -> Result<(), Error> {
    DEFAULT.try_insert(cache).map(drop).map_err(|_| {
        Error::new(
            ErrorKind::Installed,
            "a cache is in use already; install yours before the first cached call",
        )
    })
}

/// The cache that an annotated function would use here: that of [`with_cache`], else the process-wide one.
///
/// The first call opens it from the environment where none was [installed](install).
/// A malformed environment is logged at ERROR, and the cache then runs in process.
#[must_use]
pub fn cache() -> Cache {
    with_current(Cache::clone)
}

/// Uses `cache` for everything annotated inside `future`: in tests, or for a tenant. Tasks spawned inside do not inherit it.
///
/// # Cancellation
/// As the future's own.
pub async fn with_cache<F: Future>(cache: Cache, future: F) -> F::Output {
    CURRENT.scope(cache, future).await
}

/// Uses the cache of this moment for everything inside, in whichever task that runs.
pub(crate) fn inside<F: Future>(future: F) -> impl Future<Output = F::Output> + use<F> {
    let current = CURRENT.try_with(Cache::clone);
    async move {
        match current {
            Ok(cache) => CURRENT.scope(cache, future).await,
            Err(_) => future.await,
        }
    }
}

/// Lends the current cache, without touching its count.
pub(crate) fn with_current<T>(borrow: impl Fn(&Cache) -> T) -> T {
    CURRENT
        .try_with(&borrow)
        .unwrap_or_else(|_| borrow(DEFAULT.get_or_init(from_environment)))
}

fn from_environment() -> Cache {
    let opened = CacheConfig::from_env().and_then(|config| {
        Cache::without_connecting(config.clone()).or_else(|problem| {
            if config.journal.is_none() {
                return Err(problem);
            }
            // Nobody is there to be told: better without it than without Redis.
            log::no_journal(&problem);
            Cache::without_connecting(CacheConfig {
                journal: None,
                ..config
            })
        })
    });
    opened.unwrap_or_else(|problem| {
        log::bad_environment(&problem);
        Cache::in_process(CacheBuilder::new().config)
    })
}
