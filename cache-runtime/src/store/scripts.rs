//! The Lua scripts. Each touches one entry and its lease, which share a cluster slot; only `PUT` reads generations as well.
//! They are sent by their hash; a server that has forgotten them is told again.

use std::sync::LazyLock;

use redis::Script;

/// `KEYS`: entry, lease. `ARGV`: my token, lifetime of the lease in milliseconds, stamp of the entry I saw ("" for none),
/// the token of a lease that may be taken over ("" for none).
///
/// Answers `{0}`: granted. `{1, token}`: held under that token. `{2}`: the entry is not the one I saw.
/// A lease under my own token counts as granted, because an acquire whose reply was lost is sent again;
/// so does one that this process is about to give back, or whose load has been overtaken by the end of a generation.
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
/// The last command is a read, so that the server tells this connection of changes to what it has just stored.
pub(super) static FILL: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('DEL', KEYS[2])
redis.call('EXISTS', KEYS[1])
return 1
",
    )
});

/// `KEYS`: entry, lease, and the generation of each group. `ARGV`: the entry's bytes before and after its generations, its
/// lifetime and that of the generations in milliseconds, a token for each generation that is missing.
///
/// Answers 1: stored, and whoever loads this entry may not fill. 2: the same, and a generation that would have ended before
/// the entry was prolonged. 0: something that is no generation stands where one should.
/// The lease goes last: a server that is out of memory lets a script store whatever it likes once it has deleted something.
pub(super) static PUT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local generations = {}
local answer = 1
for i = 3, #KEYS do
  local token = redis.call('GET', KEYS[i])
  if not token then
    token = ARGV[i + 2]
    redis.call('SET', KEYS[i], token, 'PX', ARGV[4])
  end
  local left = redis.call('PTTL', KEYS[i])
  if left >= 0 and left <= tonumber(ARGV[3]) then
    redis.call('PEXPIRE', KEYS[i], ARGV[4])
    answer = 2
  end
  if #token ~= 16 or string.find(token, '%X') then return 0 end
  generations[i - 2] = string.gsub(token, '..', function(hex) return string.char(tonumber(hex, 16)) end)
end
redis.call('SET', KEYS[1], ARGV[1] .. table.concat(generations) .. ARGV[2], 'PX', ARGV[3])
redis.call('DEL', KEYS[2])
return answer
",
    )
});

/// `KEYS`: entry, and its lease where a load that is under way may not fill. `ARGV`: the stamp of the entry I saw ("" for none),
/// the bytes of the new one, its lifetime in milliseconds, how long the one I saw could still be used ("" for none).
///
/// Answers 1: stored, and kept beyond its lifetime for as long as the other one was. 0: the entry is not the one I saw.
/// One with the stamp of mine is mine, whose reply was lost.
pub(super) static SWAP: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local stamp = redis.call('GETRANGE', KEYS[1], 8, 15)
if stamp == string.sub(ARGV[2], 9, 16) then return 1 end
if stamp ~= ARGV[1] then return 0 end
local life = tonumber(ARGV[3])
if ARGV[4] ~= '' then life = life + math.max(0, redis.call('PTTL', KEYS[1]) - tonumber(ARGV[4])) end
redis.call('SET', KEYS[1], ARGV[2], 'PX', string.format('%.0f', life))
if KEYS[2] then redis.call('DEL', KEYS[2]) end
return 1
",
    )
});

/// `KEYS`: lease. `ARGV`: my token, its new lifetime in milliseconds. Prolongs the lease, if it still is mine.
pub(super) static EXTEND: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
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

/// `KEYS`: a lease that nobody asks for. Does everything that the other scripts do, and leaves nothing behind.
pub(super) static TRY: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
redis.call('SET', KEYS[1], '', 'PX', 1000)
redis.call('PEXPIRE', KEYS[1], 1000)
redis.call('PTTL', KEYS[1])
redis.call('EXISTS', KEYS[1])
redis.call('GETRANGE', KEYS[1], 8, 15)
redis.call('GET', KEYS[1])
redis.call('DEL', KEYS[1])
",
    )
});

/// `KEYS`: the marker of a data set, the generation of the root. `ARGV`: the `run_id` of this server, that of the server which
/// the caller saw before ("" for none).
///
/// Answers 0: this server was the last to serve this data set, and the other one has served it too, so there is nothing to do.
/// 1: it was not, or has not, and the root had no generation. 2: the same, and its generation was deleted.
/// A server that is full deletes and cannot write the marker; then it is done again.
pub(super) const RENEW_ROOT: &str = r"
local marker = redis.pcall('GET', KEYS[1])
if type(marker) ~= 'string' then marker = '' end
local served = {}
local first
for id in string.gmatch(marker, '%w+') do
  first = first or id
  served[id] = true
end
if first == ARGV[1] and (ARGV[2] == '' or served[ARGV[2]]) then return 0 end
local deleted = redis.call('DEL', KEYS[2])
local all = {ARGV[1]}
local named = {[ARGV[1]] = true}
for id in string.gmatch(ARGV[2] .. ' ' .. marker, '%w+') do
  if not named[id] and #all < 16 then
    named[id] = true
    all[#all + 1] = id
  end
end
redis.pcall('SET', KEYS[1], table.concat(all, ' '))
return 1 + deleted
";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_attempt_to_write_does_everything_that_the_other_scripts_do() {
        let done = |script: &Script| -> BTreeSet<String> {
            let text = redis::pipe().load_script(script).get_packed_pipeline();
            let text = String::from_utf8(text).unwrap();
            let commands = text.split("redis.call('").skip(1);
            let names = commands.filter_map(|rest| rest.split('\'').next());
            names.map(str::to_owned).collect()
        };
        let tried = done(&TRY);

        for script in [&ACQUIRE, &FILL, &PUT, &SWAP, &EXTEND, &RELEASE] {
            assert!(done(script).is_subset(&tried), "{script:?}");
        }
        assert!(tried.len() > 5, "{tried:?}");
    }
}
