//! The process-wide caches: installed by the program, the default one else opened from the environment at first use.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use once_cell::sync::{Lazy, OnceCell};
use tokio::task::futures::TaskLocalFuture;

use crate::cache::Cache;
use crate::config::{CacheBuilder, CacheConfig};
use crate::error::{Error, ErrorKind};
use crate::held::Held;
use crate::log;

static DEFAULT: OnceCell<Cache> = OnceCell::new();

/// The further caches. `None`: it was asked for, and there was none; so it stays. Were it installed later, a mutation that
/// began before would invalidate nothing, and what was read during it would stay.
static NAMED: Lazy<RwLock<HashMap<Box<str>, Option<&'static Cache>>>> = Lazy::new(RwLock::default);

tokio::task_local! {
    static CURRENT: Arc<Scope>;
}

/// Whether there was ever a scope, so that programs without one need not look for it.
static SCOPED: AtomicBool = AtomicBool::new(false);

/// What holds for the calls inside a future.
#[derive(Default)]
struct Scope {
    /// The default cache; `None`: that of the whole process.
    cache: Option<Cache>,
    /// Whether calls run their bodies, and touch no cache.
    bypass: bool,
    /// What holds around that future.
    outer: Option<Arc<Self>>,
}

impl Scope {
    /// What holds here, for a future inside of it.
    fn inside_this() -> Self {
        let Ok(outer) = CURRENT.try_with(Arc::clone) else {
            return Self::default();
        };
        Self {
            cache: outer.cache.clone(),
            bypass: outer.bypass,
            outer: Some(outer),
        }
    }

    /// The innermost cache of that name, or the default one.
    fn cache_of(&self, name: Option<&str>) -> Option<Cache> {
        if name.is_none() {
            return self.cache.clone();
        }
        let mut scope = Some(self);
        while let Some(Self { cache, outer, .. }) = scope {
            let named = cache.as_ref().filter(|cache| cache.name() == name);
            if let Some(cache) = named {
                return Some(cache.clone());
            }
            scope = outer.as_deref();
        }
        None
    }
}

/// Makes `cache` one of the whole process: the default one, or, where it was [built](CacheBuilder::name) with a name, the one
/// of that name.
///
/// # Errors
/// When there is one already, or an annotated function has used the default cache, or asked for the named one, before.
pub fn install(cache: Cache) -> Result<(), Error> {
    let installed = |context: String| Error::new(ErrorKind::Installed, context);
    let Some(name) = cache.name().map(Box::<str>::from) else {
        return DEFAULT.try_insert(cache).map(drop).map_err(|_| {
            installed(
                "a cache is in use already; install yours before the first cached call".into(),
            )
        });
    };
    let mut named = NAMED.write().unwrap_or_else(PoisonError::into_inner);
    match named.entry(name) {
        Slot::Vacant(slot) => {
            // It stays for ever, as a static does, so that nobody who uses it has to count himself.
            slot.insert(Some(Box::leak(Box::new(cache))));
            Ok(())
        }
        Slot::Occupied(taken) => Err(installed(match taken.get() {
            Some(_) => format!(
                "a cache `{}` is installed already; name each once",
                taken.key()
            ),
            None => format!(
                "a function of the cache `{}` has run without it; install it before the first call",
                taken.key()
            ),
        })),
    }
}

/// The cache that an annotated function would use here: that of [`with_cache`], else the process-wide one.
///
/// The first call opens it from the environment where none was [installed](install).
/// A malformed environment is logged at ERROR, and the cache then runs in process.
#[must_use]
pub fn cache() -> Cache {
    let (cache, _) = current(None);
    cache.map_or_else(|| default().clone(), |cache| Cache::clone(&cache))
}

impl Cache {
    /// The cache that a function with `cache = name` would use here: one of that name given to [`with_cache`], else the one
    /// that was [installed](install); `None` without any.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let overriding = CURRENT.try_with(|scope| scope.cache_of(Some(name)));
        let installed = || known(name).flatten().cloned();
        overriding.ok().flatten().or_else(installed)
    }
}

/// The cache of a function that names it, or uses the default one, and whether calls are to touch none. `None`: there is none
/// of that name, and there will be none.
pub(crate) fn current(name: Option<&str>) -> (Option<Held<Cache>>, bool) {
    let found = CURRENT.try_with(|scope| (scope.cache_of(name), scope.bypass));
    let (overriding, bypass) = found.unwrap_or_default();
    let installed = || match name {
        None => Some(default()),
        Some(name) => known(name).unwrap_or_else(|| decide(name)),
    };
    let cache = match overriding {
        Some(cache) => Some(Held::Own(cache)),
        None => installed().map(Held::Forever),
    };
    (cache, bypass)
}

/// The cache of a function that names it, or uses the default one, where that is known at once and nothing else holds.
#[inline]
pub(crate) fn usual(name: Option<&str>) -> Option<&'static Cache> {
    // Relaxed: whoever is inside of a scope has seen it set.
    let is_usual = name.is_none() && !SCOPED.load(Ordering::Relaxed);
    if is_usual { DEFAULT.get() } else { None }
}

fn default() -> &'static Cache {
    DEFAULT.get_or_init(from_environment)
}

/// What is settled about a name.
fn known(name: &str) -> Option<Option<&'static Cache>> {
    let named = NAMED.read().unwrap_or_else(PoisonError::into_inner);
    named.get(name).copied()
}

/// Settles that there is no cache of that name, unless one was installed meanwhile.
fn decide(name: &str) -> Option<&'static Cache> {
    let mut named = NAMED.write().unwrap_or_else(PoisonError::into_inner);
    let slot = match named.entry(name.into()) {
        Slot::Occupied(settled) => return *settled.get(),
        Slot::Vacant(slot) => slot,
    };
    slot.insert(None);
    // A subscriber may itself ask for a cache.
    drop(named);
    log::no_cache(name);
    None
}

/// Uses `cache` for everything annotated inside `future`: in tests, or for a tenant. Tasks spawned inside do not inherit it.
///
/// It stands in for the default cache, and where it has a [name](CacheBuilder::name) also for the one of that name; others
/// stay what they are. Where one is used inside another, the innermost counts, of each name by itself.
///
/// # Cancellation
/// As the future's own.
pub async fn with_cache<F: Future>(cache: Cache, future: F) -> F::Output {
    let scope = Scope {
        cache: Some(cache),
        ..Scope::inside_this()
    };
    within(Arc::new(scope), future).await
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
        ..Scope::inside_this()
    };
    within(Arc::new(scope), call).await
}

fn within<F: Future>(scope: Arc<Scope>, future: F) -> TaskLocalFuture<Arc<Scope>, F> {
    SCOPED.store(true, Ordering::Relaxed);
    CURRENT.scope(scope, future)
}

/// Uses the caches of this moment for everything inside, in whichever task that runs.
pub(crate) fn inside<F: Future>(future: F) -> impl Future<Output = F::Output> + use<F> {
    let current = CURRENT.try_with(Arc::clone);
    async move {
        match current {
            Ok(scope) => within(scope, future).await,
            Err(_) => future.await,
        }
    }
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

#[cfg(test)]
mod tests;
