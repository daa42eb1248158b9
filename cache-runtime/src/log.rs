//! The log lines of the cache: constant messages, what varies in fields, one line per change of state.
//! Keys and addresses appear here or nowhere, and never a password or a value.

use std::io;
use std::path::Path;
use std::time::Duration;

use tracing::{debug, error, info, warn};

use crate::error::Error;
use crate::key::Unwritable;
use crate::mode::Mode;
use crate::store::{Refusal, Trouble};
use crate::value::codec::CodecError;

pub(crate) fn away(trouble: &Trouble) {
    match trouble {
        Trouble::Refused(refusal) => warn!(
            refusal = refusal.name(),
            advice = refusal.advice(),
            "redis refuses everything, going on without it"
        ),
        trouble => warn!(%trouble, "redis unreachable, going on without it"),
    }
}

pub(crate) fn back(away: Duration, replayed: usize) {
    warn!(?away, replayed, "redis is back");
}

pub(crate) fn replayed(replayed: usize) {
    info!(
        replayed,
        "redis has confirmed what it had refused to invalidate"
    );
}

#[cfg(feature = "redis")]
pub(crate) fn data_set_distrusted(run_id: &str) {
    warn!(
        run_id,
        "redis was restarted or replaced, and its data may be older than what was invalidated; all of it is invalidated (`on_restart`, CACHE_ON_RESTART: `trust` keeps it)"
    );
}

#[cfg(feature = "redis")]
pub(crate) fn data_set_unknown(reason: &str) {
    warn!(
        reason,
        "it cannot be known whether the data of redis is older than what was invalidated; none of it is believed until all of it could be invalidated (`on_restart`, CACHE_ON_RESTART: `trust` believes it)"
    );
}

pub(crate) fn journal_taken(path: &Path) {
    warn!(
        path = %path.display(),
        "another process uses this journal, what redis does not confirm is remembered in memory only; give each process a `journal` (CACHE_JOURNAL) of its own"
    );
}

pub(crate) fn journal_not_written(problem: &io::Error) {
    error!(
        %problem,
        "the journal cannot be written, what redis does not confirm may be lost with this process"
    );
}

pub(crate) fn no_journal(problem: &Error) {
    error!(%problem, "going on without a journal");
}

#[cfg(feature = "redis")]
pub(crate) fn untold(trouble: &Trouble) {
    warn!(
        %trouble,
        "redis does not tell of changes (CLIENT TRACKING), values are kept in process for `near_ttl` only"
    );
}

pub(crate) fn unwritable(refusal: &Refusal) {
    warn!(
        refusal = refusal.name(),
        advice = refusal.advice(),
        "redis refuses to be written to, nothing is stored there"
    );
}

pub(crate) fn writable(away: Duration, refusal: &Refusal) {
    warn!(
        ?away,
        refusal = refusal.name(),
        "redis can be written to again"
    );
}

pub(crate) fn refused(what: &str, refusal: &Refusal) {
    warn!(
        what,
        refusal = refusal.name(),
        advice = refusal.advice(),
        "redis refuses, going on without it for this"
    );
}

pub(crate) fn accepted(what: &str, refusal: &Refusal) {
    warn!(what, refusal = refusal.name(), "redis refuses it no more");
}

pub(crate) fn no_runtime(trouble: &Trouble) {
    warn!(%trouble, "redis cannot be asked from here, going on without it for this");
}

pub(crate) fn unconfirmed(confirmed: u32, wanted: u32) {
    warn!(
        confirmed,
        wanted, "replicas have not confirmed an invalidation in time, a failover may forget it"
    );
}

pub(crate) fn not_stored(type_name: &str, problem: &CodecError) {
    warn!(
        type_name,
        %problem,
        "values of this type cannot be stored in redis; choose a codec that carries them, or change their serde attributes"
    );
}

pub(crate) fn no_key(function: &str, problem: &Unwritable) {
    warn!(function, %problem, "an argument cannot be part of a key, running uncached");
}

pub(crate) fn reaches_nothing(what: &str) {
    error!(
        what,
        "the call reaches no cached function at once; give it the future of an annotated one, not awaited"
    );
}

pub(crate) fn no_tag(key: &str, problem: &Unwritable) {
    warn!(key, %problem, "an argument cannot be part of a tag, running uncached");
}

pub(crate) fn misfits(function: &str) {
    error!(
        function,
        "the body has returned another number of values than it was given ids; they are returned as they are, and none is stored"
    );
}

pub(crate) fn no_hash_key() {
    warn!(
        "sensitive arguments need a key that all processes share, running uncached; set `CACHE_HASH_KEY`, or `hash_key` of the builder"
    );
}

pub(crate) fn no_cache(name: &str) {
    warn!(
        name,
        "no cache of this name is installed, its functions run uncached; build one with `name`, and `install` it before their first call"
    );
}

pub(crate) fn rejected(key: &str, reason: &dyn std::fmt::Display) {
    debug!(key, %reason, "entry not usable, taken for a miss");
}

pub(crate) fn stale(key: &str) {
    debug!(
        key,
        "could not be loaded in time, an expired value was returned"
    );
}

pub(crate) fn fill_refused(key: &str) {
    debug!(
        key,
        "invalidated while loading, or loaded for longer than the lease; not stored"
    );
}

pub(crate) fn kept_nowhere(function: &str) {
    warn!(
        function,
        "nothing is kept: the in-process tier is off and no redis is configured; set `REDIS_URL`, or leave `near = false` out"
    );
}

pub(crate) fn loose_limit(function: &str, own: usize, of_the_cache: usize) {
    warn!(
        function,
        own,
        of_the_cache,
        "`max_loads` of the function bounds nothing, that of the cache is reached first; lower it, or leave it out"
    );
}

pub(crate) fn never_stale(function: &str) {
    warn!(
        function,
        "`stale_if_error` needs a function that can fail; return a `Result`, add `load_timeout` or `max_loads`, or leave it out"
    );
}

pub(crate) fn short_ttl(function: &str, took: Duration, ttl: Duration) {
    warn!(
        function,
        ?took,
        ?ttl,
        "loads take longer than their values are kept, so there are hardly any hits; raise `ttl`"
    );
}

pub(crate) fn long_near_ttl(function: &str, near_ttl: Duration, ttl: Duration) {
    warn!(
        function,
        ?near_ttl,
        ?ttl,
        "`near_ttl` is longer than `ttl`, so it bounds nothing; lower it, or leave it out"
    );
}

pub(crate) fn too_large(function: &str, bytes: usize, limit: u64) {
    warn!(
        function,
        bytes,
        limit,
        "a value is larger than all that the process may keep, so it is not kept there; raise `memory_limit`, or set `near = false`"
    );
}

pub(crate) fn shared_key(function: &str, other: &str, key: &str) {
    warn!(
        function,
        other,
        key,
        "two functions store values that the other one cannot use under one key, and replace each other's; give one of them another `prefix` or `key`"
    );
}

pub(crate) fn prefix_would_do(function: &str, pattern: &str, prefix: &str) {
    warn!(
        function,
        pattern,
        prefix,
        "a pattern walks over every key where a prefix would do at the cost of one deletion; write `prefix` instead"
    );
}

pub(crate) fn bad_environment(problem: &Error) {
    error!(%problem, "the environment is malformed, caching in process only");
}

pub(crate) fn no_ttl(problem: &str) {
    error!(
        problem,
        "a ttl cannot be read from the environment, the default is used"
    );
}

pub(crate) fn no_compression() {
    warn!(
        "values are to be compressed, and this program is built without the feature `compression` of `cache-runtime`: they are stored as they are"
    );
}

pub(crate) fn opened(mode: Mode, location: &str) {
    info!(?mode, location, "cache opened");
}
