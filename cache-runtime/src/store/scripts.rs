//! The Lua scripts. Each touches one entry and its lease, which share a cluster slot, and nothing else.
//! They are sent by their hash; a server that has forgotten them is told again.

use std::sync::LazyLock;

use redis::Script;

/// `KEYS`: entry, lease. `ARGV`: my token, lifetime of the lease in milliseconds, stamp of the entry I saw ("" for none),
/// the token of a lease that this process is about to give back ("" for none).
///
/// Answers `{0}`: granted. `{1, token}`: held under that token. `{2}`: the entry is not the one I saw.
/// A lease under my own token counts as granted, because an acquire whose reply was lost is sent again;
/// one that is being given back is taken over.
pub(super) static ACQUIRE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local stamp = redis.call('GETRANGE', KEYS[1], 8, 15)
if stamp ~= ARGV[3] then return {2, ''} end
local holder = redis.call('GET', KEYS[2])
if holder and holder ~= ARGV[1] and holder ~= ARGV[4] then return {1, holder} end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return {0, ''}
",
    )
});

/// `KEYS`: entry, lease. `ARGV`: my token, the entry's bytes, its lifetime in milliseconds.
///
/// Answers 1: stored, and the lease is gone. 0: the lease is not mine any more, so an invalidation came during the load.
pub(super) static FILL: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('DEL', KEYS[2])
return 1
",
    )
});

/// `KEYS`: lease. `ARGV`: my token. Gives the lease back, if it still is mine.
pub(super) static RELEASE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
",
    )
});
