//! P2 in front of Redis: what the process keeps follows whatever changes in Redis, and is never older than a second.
//!
//! A push stands in order with the replies of its connection, so after a round trip over it everything is known that was
//! changed before. That is how these tests wait.

mod support;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cache_runtime::{Cache, CacheBuilder, Mode, cache_invalidate, cached, with_cache};
use support::proxy::Proxy;
use support::{Log, RedisServer, dice, wait_until_async};

/// How far a value in the process may lag behind what another process has invalidated.
const MAX_LAG: Duration = Duration::from_secs(1);

fn at(server: &RedisServer) -> CacheBuilder {
    Cache::builder()
        .redis_url(server.url())
        .response_timeout(Duration::from_secs(5))
}

async fn on(server: &RedisServer) -> Cache {
    at(server).open().await.unwrap()
}

/// A source of truth.
#[derive(Default)]
struct Truth {
    version: AtomicU64,
    bodies: AtomicU64,
}

impl Truth {
    fn read(&self) -> u64 {
        self.bodies.fetch_add(1, Ordering::SeqCst);
        self.version.load(Ordering::SeqCst)
    }

    fn change(&self) -> u64 {
        self.version.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn bodies(&self) -> u64 {
        self.bodies.load(Ordering::SeqCst)
    }
}

#[cached(ttl = 300, prefix = "video", key = "{id}:meta", tags = ["genre:{genre}"])]
async fn video(truth: &Truth, id: u64, genre: &str) -> u64 {
    truth.read()
}

#[cached(ttl = 300, prefix = "video", key = "{id}:remark")]
async fn remark(truth: &Truth, id: u64) -> u64 {
    truth.read()
}

#[cached(ttl = 300, prefix = "asked", key = "{id}", near = false)]
async fn asked(truth: &Truth, id: u64) -> u64 {
    truth.read()
}

#[cached(ttl = 300, prefix = "short", key = "{id}", near_ttl = "60ms")]
async fn short(truth: &Truth, id: u64) -> u64 {
    truth.read()
}

#[cache_invalidate(prefix = "video", key = "{id}:meta")]
async fn change_entry(truth: &Truth, id: u64) {
    truth.change();
}

#[cache_invalidate(prefix = "video")]
async fn change_prefix(truth: &Truth) {
    truth.change();
}

#[cache_invalidate(tags = ["genre:{genre}"])]
async fn change_tag(truth: &Truth, genre: &str) {
    truth.change();
}

async fn read(cache: &Cache, truth: &Truth) -> u64 {
    with_cache(cache.clone(), video(truth, 7, "noir")).await
}

/// Read twice, so that the process has it.
async fn keep(cache: &Cache, truth: &Truth) -> u64 {
    read(cache, truth).await;
    let before = cache.stats().near_hits;
    let value = read(cache, truth).await;
    assert_eq!(
        cache.stats().near_hits,
        before + 1,
        "it is not kept in process"
    );
    value
}

/// A round trip over the connection that reads.
async fn round_trip(cache: &Cache) {
    assert!(cache.health().await.round_trip.is_some());
}

fn calls(server: &RedisServer, command: &str) -> u64 {
    let stats = server.cli(&["INFO", "commandstats"]);
    let line = stats
        .lines()
        .find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
    line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
}

#[tokio::test]
async fn a_read_that_repeats_asks_nobody() {
    let server = RedisServer::start();
    let (cache, truth) = (on(&server).await, Truth::default());
    keep(&cache, &truth).await;

    let asked = calls(&server, "mget");
    for _ in 0..100 {
        read(&cache, &truth).await;
    }

    assert_eq!(calls(&server, "mget"), asked);
    assert_eq!(truth.bodies(), 1);
    assert_eq!(cache.mode(), Mode::Redis);
}

#[tokio::test]
async fn nor_does_one_by_hand_that_would_load() {
    let server = RedisServer::start();
    let (cache, truth) = (on(&server).await, Truth::default());
    let get = || cache.get_or_set("by:hand", None, async || Ok::<_, Infallible>(truth.read()));
    get().await.unwrap();
    get().await.unwrap();

    let (asked, hits) = (calls(&server, "mget"), cache.stats().near_hits);
    for _ in 0..100 {
        get().await.unwrap();
    }

    assert_eq!(calls(&server, "mget"), asked);
    assert_eq!(truth.bodies(), 1);
    assert_eq!(cache.stats().near_hits, hits + 100);
}

#[tokio::test]
async fn what_another_process_invalidates_is_followed() {
    let server = RedisServer::start();
    let (one, other, truth) = (on(&server).await, on(&server).await, Truth::default());
    for way in [
        "entry",
        "prefix",
        "tag",
        "level",
        "delete",
        "delete_many",
        "set",
        "set_many",
        "clear",
        "by tag",
    ] {
        keep(&one, &truth).await;
        match way {
            "entry" => with_cache(other.clone(), change_entry(&truth, 7)).await,
            "prefix" => with_cache(other.clone(), change_prefix(&truth)).await,
            "tag" => with_cache(other.clone(), change_tag(&truth, "noir")).await,
            _ => drop(truth.change()),
        }
        let now = truth.version.load(Ordering::SeqCst);
        let key = "video:7:meta";
        match way {
            "level" => drop(other.invalidate_prefix("video:7").await.unwrap()),
            "delete" => assert!(other.delete(key).await.unwrap()),
            "delete_many" => assert_eq!(other.delete_many([key, "other"]).await.unwrap(), 1),
            "set" => other.set(key, &now, None).await.unwrap(),
            "set_many" => other.set_many(&[(key, now)], None).await.unwrap(),
            "clear" => assert_eq!(other.clear("video:*").await.unwrap(), 1),
            "by tag" => assert!(
                other
                    .invalidate_tag("genre:noir")
                    .await
                    .unwrap()
                    .is_confirmed()
            ),
            _ => {}
        }
        round_trip(&one).await;

        assert_eq!(read(&one, &truth).await, now, "{way}");
    }
}

#[tokio::test]
async fn what_is_changed_by_hand_is_followed() {
    let server = RedisServer::start();
    let (cache, truth) = (on(&server).await, Truth::default());
    for command in [
        &["DEL", "video:7:meta"][..],
        &["DEL", "gen@video"],
        &["DEL", "gen@"],
        &["DEL", "gen@video:7"],
        &["DEL", "gen@tag@genre:noir"],
        &["RENAME", "video:7:meta", "elsewhere"],
        &["SET", "video:7:meta", "not an entry"],
        &["FLUSHDB"],
        &["FLUSHALL"],
        &["PEXPIRE", "video:7:meta", "0"],
        &["PEXPIRE", "gen@video", "0"],
    ] {
        keep(&cache, &truth).await;
        truth.change();
        assert_ne!(server.cli(command), "0", "{command:?} found nothing");
        round_trip(&cache).await;

        let now = truth.version.load(Ordering::SeqCst);
        assert_eq!(read(&cache, &truth).await, now, "{command:?}");
        server.cli(&["DEL", "elsewhere"]);
    }
}

#[tokio::test]
async fn expiry_and_eviction_in_redis_are_followed() {
    let server = RedisServer::start();
    let (cache, truth) = (on(&server).await, Truth::default());

    keep(&cache, &truth).await;
    let version = truth.change();
    server.cli(&["PEXPIRE", "gen@tag@genre:noir", "20"]);
    let follows = async || read(&cache, &truth).await == version;
    wait_until_async(follows, "the tag's generation expires").await;

    keep(&cache, &truth).await;
    let version = truth.change();
    server.cli(&["CONFIG", "SET", "maxmemory-policy", "allkeys-random"]);
    server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    // The server evicts at its next command that may need memory.
    let evicted = async || {
        server.cli(&["SET", "more", "x"]);
        server.keys("video*").is_empty()
    };
    wait_until_async(evicted, "everything is evicted").await;
    round_trip(&cache).await;
    assert_eq!(read(&cache, &truth).await, version);
}

#[tokio::test]
async fn what_this_process_has_stored_itself_is_told_of_too() {
    let server = RedisServer::start();
    let (one, other, truth) = (on(&server).await, on(&server).await, Truth::default());

    // Kept from the fill, without a read of the entry after it.
    read(&one, &truth).await;
    let before = one.stats().near_hits;
    read(&one, &truth).await;
    assert_eq!(
        one.stats().near_hits,
        before + 1,
        "it is not kept from the fill"
    );
    let version = truth.change();
    other.set("video:7:meta", &100_u64, None).await.unwrap();
    other.delete("video:7:meta").await.unwrap();
    round_trip(&one).await;
    assert_eq!(read(&one, &truth).await, version);

    one.set("key", &1_u64, None).await.unwrap();
    assert_eq!(one.get::<u64>("key").await.unwrap(), Some(1));
    other.set("key", &2_u64, None).await.unwrap();
    round_trip(&one).await;
    assert_eq!(one.get::<u64>("key").await.unwrap(), Some(2));
}

#[tokio::test]
async fn a_generation_that_this_process_prolongs_is_still_told_of() {
    let server = RedisServer::start();
    let (other, truth) = (on(&server).await, Truth::default());
    for by in ["a fill", "a set"] {
        read(&other, &truth).await;
        // Too short for the next entry under it, so that whoever stores that prolongs it. The last that a script comes to:
        // Redis 7.0 takes any later read of a script for one of all its keys.
        server.cli(&["PEXPIRE", "gen@video:7", "100000"]);
        // One that does not know how long it was to live.
        let one = on(&server).await;
        keep(&one, &truth).await;
        match by {
            "a fill" => drop(with_cache(one.clone(), remark(&truth, 7)).await),
            _ => one.set("video:7:mark", &1_u64, None).await.unwrap(),
        }
        let left: u64 = server.cli(&["PTTL", "gen@video:7"]).parse().unwrap();
        assert!(left > 300_000, "{by}: it ends before what it guards");

        // Kept before the prolonging, or anew after it.
        read(&one, &truth).await;
        let version = truth.change();
        other.invalidate_prefix("video:7").await.unwrap();
        round_trip(&one).await;
        assert_eq!(read(&one, &truth).await, version, "{by}");
    }
}

/// Of a reader that takes the value in after it was told of the change, thousands of rounds in other caches are stale for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_push_is_overtaken_by_what_was_read_before_it() {
    let server = RedisServer::start();
    let (one, other) = (on(&server).await, on(&server).await);
    for round in 1..=1_500_u64 {
        let reads = tokio::spawn({
            let one = one.clone();
            async move {
                for _ in 0..2 {
                    one.get::<u64>("key").await.unwrap();
                }
            }
        });
        other.set("key", &round, None).await.unwrap();
        reads.await.unwrap();
        round_trip(&one).await;
        assert_eq!(one.get::<u64>("key").await.unwrap(), Some(round));
    }
    assert!(one.stats().near_hits > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_the_process_that_invalidates_it_holds_at_once() {
    let mut dice = support::Dice(dice::seed("NEAR_SEED"));
    let server = RedisServer::start();
    let (cache, truth) = (on(&server).await, Arc::new(Truth::default()));
    for round in 0..1_500 {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let (cache, truth) = (cache.clone(), Arc::clone(&truth));
                tokio::spawn(async move {
                    for _ in 0..3 {
                        read(&cache, &truth).await;
                    }
                })
            })
            .collect();
        if dice.one_in(2) {
            tokio::task::yield_now().await;
        }
        let way = dice.below(5);
        match way {
            0 => with_cache(cache.clone(), change_entry(&truth, 7)).await,
            1 => with_cache(cache.clone(), change_prefix(&truth)).await,
            2 => with_cache(cache.clone(), change_tag(&truth, "noir")).await,
            3 => {
                truth.change();
                cache.delete("video:7:meta").await.unwrap();
            }
            _ => {
                truth.change();
                cache.invalidate_tag("genre:noir").await.unwrap();
            }
        }
        let due = truth.version.load(Ordering::SeqCst);
        assert_eq!(read(&cache, &truth).await, due, "round {round}, way {way}");
        for reader in readers {
            reader.await.unwrap();
        }
        assert_eq!(read(&cache, &truth).await, due, "round {round}, way {way}");
    }
    assert!(cache.stats().near_hits > 100);
}

// --- connections that are lost, or silent ---------------------------------------------------

#[tokio::test]
async fn what_changed_while_the_connection_was_lost_is_not_served() {
    let server = RedisServer::start();
    let (cache, truth) = (on(&server).await, Truth::default());
    for round in 0..20 {
        keep(&cache, &truth).await;
        let version = truth.change();
        server.cli(&["CLIENT", "KILL", "TYPE", "normal"]);
        // Nobody is there to be told.
        server.cli(&["DEL", "video:7:meta"]);
        // The loss is noticed by the driver, which runs as soon as this task waits.
        round_trip(&cache).await;
        assert_eq!(read(&cache, &truth).await, version, "round {round}");
        keep(&cache, &truth).await;
        let version = truth.change();
        server.cli(&["DEL", "gen@tag@genre:noir"]);
        round_trip(&cache).await;
        assert_eq!(
            read(&cache, &truth).await,
            version,
            "round {round}: tracking is off"
        );
    }
}

/// What was looked up over one connection and stored over the next is told of by neither.
#[tokio::test]
async fn nor_is_what_was_loaded_while_the_connection_was_lost() {
    let server = RedisServer::start();
    let (one, other) = (on(&server).await, on(&server).await);
    for round in 0..10_u64 {
        let load = async || {
            server.cli(&["CLIENT", "KILL", "TYPE", "normal"]);
            round_trip(&one).await;
            Ok::<_, Infallible>(round)
        };
        let Ok(loaded) = one.get_or_set("video:1", None, load).await;
        assert_eq!(loaded, round);

        assert!(
            other
                .invalidate_prefix("video")
                .await
                .unwrap()
                .is_confirmed()
        );
        round_trip(&one).await;
        assert_eq!(
            one.get::<u64>("video:1").await.unwrap(),
            None,
            "round {round}"
        );
    }
}

#[tokio::test]
async fn under_a_network_that_swallows_everything_nothing_is_served_that_was_changed_a_lag_ago() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let cache = Cache::builder()
        .redis_url(proxy.url())
        .response_timeout(Duration::from_millis(50))
        .fallback_ttl(Duration::from_millis(1))
        .open()
        .await
        .unwrap();
    let truth = Truth::default();
    keep(&cache, &truth).await;

    proxy.set(support::proxy::Fault::BlackHole);
    let version = truth.change();
    server.cli(&["DEL", "video:7:meta"]);
    let changed = Instant::now();

    let mut old = 0;
    loop {
        let began = Instant::now();
        let value = read(&cache, &truth).await;
        if began > changed + MAX_LAG {
            assert_eq!(value, version, "{:?} after the change", began - changed);
        }
        old += u64::from(value != version);
        if began > changed + 2 * MAX_LAG {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(old > 0, "the network did not swallow anything");
}

#[tokio::test]
async fn what_is_asked_for_is_kept_for_longer_than_the_lag_without_asking_for_it() {
    let server = RedisServer::start();
    let (cache, truth) = (on(&server).await, Truth::default());
    keep(&cache, &truth).await;
    let asked = calls(&server, "mget");

    let start = Instant::now();
    while start.elapsed() < 4 * MAX_LAG {
        read(&cache, &truth).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    // On a busy machine one sign of life may be late; without any, each lag costs a question.
    assert!(
        calls(&server, "mget") <= asked + 1,
        "the proof is not kept young"
    );
    assert_eq!(truth.bodies(), 1);
}

#[test]
fn what_was_read_in_a_runtime_that_has_ended_is_asked_for_again() {
    let server = RedisServer::start();
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let truth = Truth::default();
    let cache = runtime().block_on(async {
        let cache = on(&server).await;
        keep(&cache, &truth).await;
        cache
    });
    let version = truth.change();
    server.cli(&["DEL", "video:7:meta"]);

    assert_eq!(runtime().block_on(read(&cache, &truth)), version);
}

#[test]
fn a_change_by_one_runtime_is_followed_by_another() {
    let server = RedisServer::start();
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let (one, other) = (runtime(), runtime());
    let truth = Truth::default();
    let cache = one.block_on(on(&server));
    for _ in 0..10 {
        one.block_on(keep(&cache, &truth));
        other.block_on(with_cache(cache.clone(), change_entry(&truth, 7)));
        // One process: it holds at once, whichever connection was told.
        let due = truth.version.load(Ordering::SeqCst);
        assert_eq!(one.block_on(read(&cache, &truth)), due);
        assert_eq!(other.block_on(read(&cache, &truth)), due);
    }
}

#[tokio::test]
async fn nothing_outlives_a_cache_that_is_closed_or_dropped() {
    let server = RedisServer::start();
    let clients = async || server.cli(&["CLIENT", "LIST"]).lines().count() == 1;
    for close in [true, false] {
        let (cache, truth) = (on(&server).await, Truth::default());
        keep(&cache, &truth).await;
        if close {
            cache.close().await;
        }
        drop(cache);
        wait_until_async(clients, "its connections are gone").await;
    }
}

// --- servers that do not tell ---------------------------------------------------------------

#[tokio::test]
async fn where_redis_does_not_tell_of_changes_values_are_kept_for_a_moment_only() {
    let (log, _guard) = Log::of_this_thread();
    for options in [
        &["--rename-command", "CLIENT", ""][..],
        &["--rename-command", "HELLO", ""],
        &[
            "--user",
            "default",
            "on",
            "nopass",
            "~*",
            "&*",
            "+@all",
            "-client|tracking",
        ],
    ] {
        let server = RedisServer::start_with(options);
        log.clear();
        let near_ttl = Duration::from_millis(200);
        let (one, other) = (
            at(&server).near_ttl(near_ttl).open().await.unwrap(),
            at(&server).near(false).open().await.unwrap(),
        );
        let truth = Truth::default();
        keep(&one, &truth).await;

        let version = truth.change();
        other.delete("video:7:meta").await.unwrap();
        let changed = Instant::now();
        let follows = async || {
            let began = Instant::now();
            let value = read(&one, &truth).await;
            assert!(
                value == version || began < changed + near_ttl,
                "{options:?}"
            );
            value == version
        };
        wait_until_async(follows, "the value's time in process ends").await;

        // What this process does itself holds at once all the same.
        keep(&one, &truth).await;
        with_cache(one.clone(), change_entry(&truth, 7)).await;
        assert_eq!(read(&one, &truth).await, version + 1);
        let said = log.mentions("redis does not tell of changes");
        assert!(said, "{options:?}: not said");
        let warnings = log
            .events()
            .into_iter()
            .filter(|event| format!("{event:?}").contains("does not tell"));
        assert_eq!(warnings.count(), 1, "{options:?}");
    }
}

// --- where it is not wanted, or not for long ------------------------------------------------

#[tokio::test]
async fn a_function_that_is_never_old_asks_each_time_and_keeps_nothing() {
    let server = RedisServer::start();
    let (one, other, truth) = (on(&server).await, on(&server).await, Truth::default());
    let read = async || with_cache(one.clone(), asked(&truth, 1)).await;
    for _ in 0..50 {
        read().await;
        let version = truth.change();
        other.delete("asked:1").await.unwrap();
        assert_eq!(read().await, version);
        read().await;
    }
    let stats = one.stats();
    assert_eq!((stats.near_hits, stats.entries), (0, 0));

    let in_process = Cache::builder().open().await.unwrap();
    let bodies = truth.bodies();
    for _ in 0..2 {
        with_cache(in_process.clone(), asked(&truth, 1)).await;
    }
    assert_eq!(
        truth.bodies(),
        bodies + 2,
        "kept in a process without Redis"
    );
}

#[tokio::test]
async fn a_cache_that_keeps_nothing_does_not_ask_to_be_told() {
    let server = RedisServer::start();
    let cache = at(&server).near(false).open().await.unwrap();
    let truth = Truth::default();
    for _ in 0..3 {
        read(&cache, &truth).await;
    }
    assert_eq!(cache.stats().near_hits, 0);
    assert!(!server.cli(&["CLIENT", "LIST"]).contains("flags=t"));
    let tracking = on(&server).await;
    assert!(server.cli(&["CLIENT", "LIST"]).contains("flags=t"));
    drop(tracking);
}

#[tokio::test]
async fn a_near_ttl_bounds_the_time_in_process() {
    let server = RedisServer::start();
    let (cache, truth) = (on(&server).await, Truth::default());
    let asked_again = async || {
        let before = cache.stats().near_hits;
        with_cache(cache.clone(), short(&truth, 1)).await;
        cache.stats().near_hits == before
    };
    asked_again().await;
    assert!(!asked_again().await, "it is kept for a moment");
    wait_until_async(asked_again, "its time in process ends").await;
    assert_eq!(truth.bodies(), 1, "Redis still has it");
}

#[tokio::test]
async fn a_set_that_is_cancelled_leaves_nothing_old_in_process() {
    let server = RedisServer::start();
    let cache = on(&server).await;
    for round in 0..200_u64 {
        cache.set("key", &round, None).await.unwrap();
        cache.get::<u64>("key").await.unwrap();
        let patience = Duration::from_micros(round * 3);
        let value = round + 1;
        let set = cache.set("key", &value, None);
        let finished = tokio::time::timeout(patience, set).await.is_ok();
        // Others may be reading while nobody knows what became of it.
        cache.get::<u64>("key").await.unwrap();
        round_trip(&cache).await;
        round_trip(&cache).await;
        let here = cache.get::<u64>("key").await.unwrap();
        let there = at(&server).near(false).open().await.unwrap();
        let there = there.get::<u64>("key").await.unwrap();
        assert_eq!(here, there, "round {round}, finished: {finished}");
    }
}
