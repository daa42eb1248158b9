//! The process-wide cache: installed by the program, else opened from the environment at first use.

use std::future::Future;

use once_cell::sync::OnceCell;

use crate::cache::Cache;
use crate::config::{CacheBuilder, CacheConfig};
use crate::error::{Error, ErrorKind};
use crate::log;

static DEFAULT: OnceCell<Cache> = OnceCell::new();

tokio::task_local! {
    static CURRENT: Scope;
}

/// What holds for the calls inside a future.
#[derive(Clone, Default)]
struct Scope {
    /// The cache they use; `None`: the process-wide one.
    cache: Option<Cache>,
    /// Whether they run their bodies, and touch no cache.
    bypass: bool,
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
    current().0
}

/// Uses `cache` for everything annotated inside `future`: in tests, or for a tenant. Tasks spawned inside do not inherit it.
///
/// # Cancellation
/// As the future's own.
pub async fn with_cache<F: Future>(cache: Cache, future: F) -> F::Output {
    let scope = Scope {
        cache: Some(cache),
        ..scope()
    };
    CURRENT.scope(scope, future).await
}

/// Runs a call's body, and touches no cache: neither for it nor for any cached call inside. Tasks spawned inside do not
/// inherit that. Functions that invalidate do invalidate.
///
/// ```
/// # use cache_runtime::cached;
/// #[cached(prefix = "dice")]
/// async fn roll(sides: u32) -> u32 {
///     # static ROLLS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
///     # ROLLS.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % sides
/// }
///
/// # async fn example() {
/// let first = roll(6).await;
/// assert_ne!(cache_runtime::bypass(roll(6)).await, first);
/// assert_eq!(roll(6).await, first);
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(example());
/// ```
///
/// # Cancellation
/// As the future's own.
pub async fn bypass<F: Future>(call: F) -> F::Output {
    let scope = Scope {
        bypass: true,
        ..scope()
    };
    CURRENT.scope(scope, call).await
}

fn scope() -> Scope {
    CURRENT.try_with(Scope::clone).unwrap_or_default()
}

/// Uses the cache of this moment for everything inside, in whichever task that runs.
pub(crate) fn inside<F: Future>(future: F) -> impl Future<Output = F::Output> + use<F> {
    let current = CURRENT.try_with(Scope::clone);
    async move {
        match current {
            Ok(scope) => CURRENT.scope(scope, future).await,
            Err(_) => future.await,
        }
    }
}

/// The cache of this moment, and whether calls are to touch none.
pub(crate) fn current() -> (Cache, bool) {
    let default = || DEFAULT.get_or_init(from_environment).clone();
    let current = CURRENT.try_with(|scope| {
        let cache = scope.cache.clone();
        (cache.unwrap_or_else(default), scope.bypass)
    });
    current.unwrap_or_else(|_| (default(), false))
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
