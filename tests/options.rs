//! What the options of `#[cached]` mean that concern the value: which meaning it has, whether it is kept, and for how long.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_runtime::{
    Cache, CacheBuilder, Codec, cache_invalidate, cached, until_midnight, with_cache,
};
use serde::{Deserialize, Serialize};
use support::{Log, RedisServer, wait_until_async};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tracing::Level;

/// Bodies that are counted, and wait for leave to end where they are held up.
struct Origin {
    runs: AtomicU64,
    open: Semaphore,
}

impl Origin {
    fn open() -> Arc<Self> {
        Self::with(Semaphore::MAX_PERMITS)
    }

    fn held_up() -> Arc<Self> {
        Self::with(0)
    }

    fn with(permits: usize) -> Arc<Self> {
        Arc::new(Self {
            runs: AtomicU64::new(0),
            open: Semaphore::new(permits),
        })
    }

    async fn ask<T>(&self, answer: T) -> T {
        self.runs.fetch_add(1, Ordering::SeqCst);
        self.open.acquire().await.unwrap().forget();
        answer
    }

    fn runs(&self) -> u64 {
        self.runs.load(Ordering::SeqCst)
    }

    async fn wait_for(&self, runs: u64) {
        let here = async || self.runs() == runs;
        wait_until_async(here, &format!("{runs} bodies run")).await;
    }
}

fn spawn<T: Send + 'static>(
    cache: &Cache,
    future: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<T> {
    tokio::spawn(with_cache(cache.clone(), future))
}

fn at(server: &RedisServer) -> CacheBuilder {
    let builder = Cache::builder().redis_url(server.url());
    builder.response_timeout(Duration::from_secs(5))
}

/// In process; in Redis with and without a tier in front; and while Redis is away.
async fn tiers(server: &RedisServer) -> Vec<(&'static str, Cache)> {
    let gone = RedisServer::start();
    let away = at(&gone).open().await.unwrap();
    gone.kill();
    // The first to notice.
    let _ = away.get::<u64>("noticed").await;
    let in_front = at(server).key_prefix("near").open().await.unwrap();
    let in_redis = at(server).key_prefix("far").near(false);
    let in_redis = in_redis.open().await.unwrap();
    vec![
        ("in process", Cache::builder().open().await.unwrap()),
        ("in front of redis", in_front),
        ("in redis", in_redis),
        ("redis away", away),
    ]
}

// --- version --------------------------------------------------------------------------------

#[cached(prefix = "account", key = "{id}:balance", tags = "accounts")]
async fn in_cents(origin: &Origin, id: u64) -> u64 {
    let _ = id;
    origin.ask(100).await
}

#[cached(
    prefix = "account",
    key = "{id}:balance",
    tags = "accounts",
    version = 1
)]
async fn in_euros(origin: &Origin, id: u64) -> u64 {
    let _ = id;
    origin.ask(1).await
}

#[cached(
    prefix = "account",
    key = "{id}:balance",
    tags = "accounts",
    version = 2
)]
async fn in_dollars(origin: &Origin, id: u64) -> u64 {
    let _ = id;
    origin.ask(2).await
}

#[cache_invalidate(prefix = "account", key = "{id}:balance")]
async fn pay(id: u64) {}

#[tokio::test]
async fn another_version_of_an_entry_is_a_miss() {
    let server = RedisServer::start();
    for (tier, cache) in tiers(&server).await {
        let origin = Origin::open();
        let calls = async {
            for round in 0..2 {
                assert_eq!(in_cents(&origin, 1).await, 100, "{tier}");
                assert_eq!(in_euros(&origin, 1).await, 1, "{tier}");
                assert_eq!(in_dollars(&origin, 1).await, 2, "{tier}");
                assert_eq!(in_dollars(&origin, 1).await, 2, "{tier}");
                assert_eq!(origin.runs(), 3 * (round + 1), "{tier}");
            }
        };
        with_cache(cache, calls).await;
    }
}

#[tokio::test]
async fn every_invalidation_reaches_every_version() {
    let server = RedisServer::start();
    for (tier, cache) in tiers(&server).await {
        let origin = Origin::open();
        for way in ["entry", "by hand", "prefix", "level", "tag", "pattern"] {
            if (tier, way) == ("redis away", "pattern") {
                // An error: what cannot be reached is not remembered.
                continue;
            }
            for version in 0..3 {
                let call = async || match version {
                    0 => in_cents(&origin, 7).await,
                    1 => in_euros(&origin, 7).await,
                    _ => in_dollars(&origin, 7).await,
                };
                let call = || with_cache(cache.clone(), call());
                call().await;
                let before = origin.runs();
                call().await;
                assert_eq!(origin.runs(), before, "{tier}, {way}: a hit");
                match way {
                    "entry" => with_cache(cache.clone(), pay(7)).await,
                    "by hand" => assert!(cache.delete("account:7:balance").await.unwrap()),
                    "tag" => drop(cache.invalidate_tag("accounts").await.unwrap()),
                    "pattern" => assert_eq!(cache.clear("account:*").await.unwrap(), 1),
                    "level" => drop(cache.invalidate_prefix("account:7").await.unwrap()),
                    _ => drop(cache.invalidate_prefix("account").await.unwrap()),
                }
                call().await;
                assert_eq!(
                    origin.runs(),
                    before + 1,
                    "{tier}, {way}: version {version}"
                );
            }
        }
    }
}

#[tokio::test]
async fn code_that_knows_no_version_reads_and_answers_none() {
    let server = RedisServer::start();
    for (tier, cache) in tiers(&server).await {
        let origin = Origin::open();
        let versioned = || with_cache(cache.clone(), in_dollars_untagged(&origin, 3));
        versioned().await;
        let key = "account:3:plain";
        assert!(
            cache.exists(key).await.unwrap() || tier == "redis away",
            "{tier}"
        );
        assert_eq!(cache.get::<u64>(key).await.unwrap(), None, "{tier}");
        assert_eq!(
            cache.get_many::<u64>(&[key]).await.unwrap(),
            [None],
            "{tier}"
        );

        cache.set(key, &100_u64, None).await.unwrap();
        assert_eq!(versioned().await, 2, "{tier}");
        assert_eq!(origin.runs(), 2, "{tier}");
    }
}

#[cached(prefix = "account", key = "{id}:plain", version = 2)]
async fn in_dollars_untagged(origin: &Origin, id: u64) -> u64 {
    let _ = id;
    origin.ask(2).await
}

#[tokio::test]
async fn nobody_follows_a_load_of_another_version() {
    let server = RedisServer::start();
    for (tier, cache) in tiers(&server).await {
        let origin = Origin::held_up();
        let euros = {
            let origin = Arc::clone(&origin);
            spawn(&cache, async move { in_euros(&origin, 9).await })
        };
        origin.wait_for(1).await;
        let dollars = {
            let origin = Arc::clone(&origin);
            spawn(&cache, async move { in_dollars(&origin, 9).await })
        };
        origin.wait_for(2).await;
        origin.open.add_permits(2);
        assert_eq!(euros.await.unwrap(), 1, "{tier}");
        assert_eq!(dollars.await.unwrap(), 2, "{tier}");
    }
}

// --- braces ---------------------------------------------------------------------------------

#[cached(prefix = "brace", key = "{{{id}}}:{{id}}", tags = "{{{id}}}")]
async fn in_braces(origin: &Origin, id: &str) -> String {
    origin.ask(id.to_owned()).await
}

#[cache_invalidate(prefix = "brace", key = "{{{id}}}:{{id}}")]
async fn forget_in_braces(id: &str) {}

#[tokio::test]
async fn braces_in_a_key_are_the_users_and_no_value_imitates_them() {
    let server = RedisServer::start();
    for (tier, cache) in tiers(&server).await {
        let origin = Origin::open();
        let call = |id| with_cache(cache.clone(), in_braces(&origin, id));
        for id in ["7", "{7}", "}:{id}"] {
            let before = origin.runs();
            for _ in 0..2 {
                assert_eq!(call(id).await, id, "{tier}");
                assert_eq!(origin.runs(), before + 1, "{tier}, {id}");
            }
        }
        for way in 0..3 {
            assert_eq!(call("7").await, "7", "{tier}");
            let before = origin.runs();
            match way {
                0 => assert!(cache.delete("brace:{7}:{id}").await.unwrap()),
                1 => drop(cache.invalidate_tag("{7}").await.unwrap()),
                _ => with_cache(cache.clone(), forget_in_braces("7")).await,
            }
            assert_eq!(call("{7}").await, "{7}", "{tier}");
            assert_eq!(origin.runs(), before, "{tier}: another entry");
            call("7").await;
            assert_eq!(origin.runs(), before + 1, "{tier}, {way}");
        }
    }
}

// --- cache_if -------------------------------------------------------------------------------

#[cached(
    prefix = "list",
    key = "{id}",
    cache_if = |list| !list.is_empty()
)]
async fn list(origin: &Origin, id: u64, length: usize) -> Result<Vec<u64>, String> {
    Ok(origin.ask(vec![id; length]).await)
}

#[cached(prefix = "found", key = "{id}", cache_if = Option::is_some)]
async fn found(origin: &Origin, id: u64, value: Option<u64>) -> Option<u64> {
    let _ = id;
    origin.ask(value).await
}

#[cached(prefix = "fleet", key = "{id}", coalesce = "fleet", cache_if = |value| *value > 0)]
async fn fleet(origin: &Origin, id: u64, value: u64) -> u64 {
    let _ = id;
    origin.ask(value).await
}

#[tokio::test]
async fn what_is_not_to_be_cached_is_returned_and_stored_nowhere() {
    let server = RedisServer::start();
    for (tier, cache) in tiers(&server).await {
        let origin = Origin::open();
        let calls = async {
            for run in 1..=3 {
                assert_eq!(list(&origin, 1, 0).await, Ok(vec![]), "{tier}");
                assert_eq!(origin.runs(), run, "{tier}");
                assert!(!cache.exists("list:1").await.unwrap(), "{tier}");
            }
            // Without waiting for a lease that was left behind.
            for _ in 0..2 {
                assert_eq!(list(&origin, 1, 2).await, Ok(vec![1, 1]), "{tier}");
                assert_eq!(origin.runs(), 4, "{tier}");
            }
            // What is asked is what was loaded, not what is returned.
            assert_eq!(list(&origin, 1, 0).await, Ok(vec![1, 1]), "{tier}");

            for (value, runs) in [(None, 5), (None, 6), (Some(1), 7), (None, 7)] {
                found(&origin, 1, value).await;
                assert_eq!(origin.runs(), runs, "{tier}, {value:?}");
            }
        };
        with_cache(cache.clone(), calls).await;
    }
}

#[tokio::test]
async fn who_followed_the_load_gets_what_is_not_to_be_cached_all_the_same() {
    let server = RedisServer::start();
    for (tier, cache) in tiers(&server).await {
        let origin = Origin::held_up();
        let call = || {
            let origin = Arc::clone(&origin);
            spawn(&cache, async move { list(&origin, 2, 0).await })
        };
        let leader = call();
        origin.wait_for(1).await;
        let followers: Vec<_> = (0..5).map(|_| call()).collect();
        // Answered on the same connection after what they ask, so that they wait for the leader by then.
        for _ in 0..3 {
            let _ = cache.get::<u64>("nothing").await;
            tokio::task::yield_now().await;
        }
        origin.open.add_permits(1);
        for call in followers.into_iter().chain([leader]) {
            assert_eq!(call.await.unwrap(), Ok(vec![]), "{tier}");
        }
        assert_eq!(origin.runs(), 1, "{tier}");
        assert_eq!(cache.stats().coalesced, 5, "{tier}");
        assert!(!cache.exists("list:2").await.unwrap(), "{tier}");
    }
}

#[tokio::test]
async fn another_process_that_waited_loads_what_was_not_stored() {
    let server = RedisServer::start();
    let one = at(&server).open().await.unwrap();
    let other = at(&server).open().await.unwrap();
    let origin = Origin::held_up();
    let call = |cache: &Cache, value| {
        let origin = Arc::clone(&origin);
        spawn(cache, async move { fleet(&origin, 1, value).await })
    };
    let leader = call(&one, 0);
    origin.wait_for(1).await;
    let waiting = call(&other, 7);
    origin.open.add_permits(2);
    assert_eq!(leader.await.unwrap(), 0);
    assert_eq!(waiting.await.unwrap(), 7);
    assert_eq!(call(&one, 0).await.unwrap(), 7);
    assert_eq!(origin.runs(), 2);
}

#[cached(prefix = "panics", key = "{id}", cache_if = |value| *value > 0 || panic!("asked"))]
async fn panics(origin: &Origin, id: u64, value: u64) -> u64 {
    let _ = id;
    origin.ask(value).await
}

#[tokio::test]
async fn a_panic_of_what_is_asked_is_the_callers_and_leaves_nothing_behind() {
    let server = RedisServer::start();
    for (tier, cache) in tiers(&server).await {
        let origin = Origin::open();
        let call = |value| {
            let origin = Arc::clone(&origin);
            spawn(&cache, async move { panics(&origin, 1, value).await })
        };
        assert!(call(0).await.unwrap_err().is_panic(), "{tier}");
        assert!(format!("{cache:?}").contains("flights: 0"), "{tier}");
        for _ in 0..2 {
            assert_eq!(call(3).await.unwrap(), 3, "{tier}");
        }
        assert_eq!(origin.runs(), 2, "{tier}: the second call is stored");
    }
}

// --- ttl of a value, and of none ------------------------------------------------------------

#[cached(ttl = 300, prefix = "maybe", key = "{id}", negative_ttl = "30ms")]
async fn maybe(origin: &Origin, id: u64, value: Option<u64>) -> Result<Option<u64>, String> {
    let _ = id;
    Ok(origin.ask(value).await)
}

#[cached(prefix = "timed", key = "{id}", ttl = |ms: &u64| Duration::from_millis(*ms))]
async fn timed(origin: &Origin, id: u64, ms: u64) -> u64 {
    let _ = id;
    origin.ask(ms).await
}

#[cached(
    prefix = "both",
    key = "{id}",
    ttl = |value: &Option<u64>| value.map(Duration::from_secs).expect("is never asked of `None`"),
    negative_ttl = "30ms",
    cache_if = |value| *value != Some(13)
)]
async fn both(origin: &Origin, id: u64, value: Option<u64>) -> Option<u64> {
    let _ = id;
    origin.ask(value).await
}

async fn gone(cache: &Cache, key: &str) {
    let gone = async || !cache.exists(key).await.unwrap();
    wait_until_async(gone, &format!("`{key}` has expired")).await;
}

#[tokio::test]
async fn none_is_kept_for_its_own_time() {
    let server = RedisServer::start();
    for (tier, cache) in tiers(&server).await {
        let origin = Origin::open();
        let calls = async {
            assert_eq!(maybe(&origin, 1, Some(5)).await, Ok(Some(5)), "{tier}");
            assert_eq!(maybe(&origin, 2, None).await, Ok(None), "{tier}");
            // The default is minutes.
            let expired = async || maybe(&origin, 2, Some(6)).await == Ok(Some(6));
            wait_until_async(expired, "`None` has expired").await;
            assert_eq!(maybe(&origin, 2, None).await, Ok(Some(6)), "{tier}");
            assert_eq!(maybe(&origin, 1, None).await, Ok(Some(5)), "{tier}");
            assert_eq!(origin.runs(), 3, "{tier}");

            assert_eq!(both(&origin, 1, None).await, None, "{tier}");
            let expired = async || both(&origin, 1, Some(13)).await == Some(13);
            wait_until_async(expired, "`None` has expired").await;
            assert_eq!(origin.runs(), 5, "{tier}");
            for (value, runs) in [(Some(13), 6), (Some(60), 7), (None, 7)] {
                both(&origin, 1, value).await;
                assert_eq!(origin.runs(), runs, "{tier}, {value:?}");
            }
        };
        with_cache(cache.clone(), calls).await;
    }
}

#[cached(prefix = "absent", key = "{id}", ttl = "1ms", negative_ttl = 300)]
async fn absent(origin: &Origin, id: u64) -> Option<u64> {
    let _ = id;
    origin.ask(None).await
}

#[tokio::test]
async fn none_may_be_kept_longer_than_a_value() {
    let server = RedisServer::start();
    for (tier, cache) in tiers(&server).await {
        let origin = Origin::open();
        let calls = async {
            absent(&origin, 1).await;
            // What lives five times as long as any other value of this function.
            timed(&origin, 5, 5).await;
            gone(&cache, "timed:5").await;
            absent(&origin, 1).await;
            assert_eq!(origin.runs(), 2, "{tier}");
        };
        with_cache(cache.clone(), calls).await;
    }
}

#[tokio::test]
async fn a_value_says_how_long_it_is_kept() {
    let server = RedisServer::start();
    for (tier, cache) in tiers(&server).await {
        let origin = Origin::open();
        let calls = async {
            // Zero is not at all.
            for run in 1..=2 {
                assert_eq!(timed(&origin, 1, 0).await, 0, "{tier}");
                assert_eq!(origin.runs(), run, "{tier}");
                assert!(!cache.exists("timed:1").await.unwrap(), "{tier}");
            }
            timed(&origin, 2, 60_000).await;
            timed(&origin, 3, 30).await;
            gone(&cache, "timed:3").await;
            assert_eq!(timed(&origin, 2, 1).await, 60_000, "{tier}");
            // Longer than any clock can count.
            timed(&origin, 4, u64::MAX).await;
            assert_eq!(timed(&origin, 4, 1).await, u64::MAX, "{tier}");
            assert_eq!(origin.runs(), 5, "{tier}");
        };
        with_cache(cache.clone(), calls).await;
    }
    let lives = |key| server.command(&["PTTL", key]).integer();
    assert!((1..=60_000).contains(&lives("far:timed:2")));
}

// --- bypass ---------------------------------------------------------------------------------

#[cached(
    prefix = "fresh",
    skip(origin, fresh),
    bypass = {
        origin.runs.fetch_add(1_000, Ordering::SeqCst);
        fresh
    }
)]
async fn fresh(origin: &Origin, id: u64, fresh: bool) -> u64 {
    let _ = id;
    origin.ask(()).await;
    origin.runs()
}

#[tokio::test]
async fn a_bypassing_call_runs_its_body_and_touches_no_cache() {
    let server = RedisServer::start();
    for (tier, cache) in tiers(&server).await {
        let origin = Origin::open();
        let calls = async {
            // Asked once for each call, also for a hit; and bodies 1, 2, 3.
            assert_eq!(fresh(&origin, 1, true).await, 1_001, "{tier}");
            assert_eq!(cache.stats().loads, 0, "{tier}");
            assert!(!cache.exists("fresh:fresh:1").await.unwrap(), "{tier}");
            assert_eq!(fresh(&origin, 1, false).await, 2_002, "{tier}");
            assert_eq!(fresh(&origin, 1, true).await, 3_003, "{tier}");
            assert_eq!(fresh(&origin, 1, false).await, 2_002, "{tier}: a hit");
            assert_eq!(origin.runs(), 4_003, "{tier}");
        };
        with_cache(cache.clone(), calls).await;
        let stats = cache.stats();
        assert_eq!((stats.loads, stats.hits), (1, 1), "{tier}");
    }
}

#[tokio::test]
async fn a_bypassing_call_follows_nobody_and_waits_for_no_redis() {
    let server = RedisServer::start();
    for (tier, cache) in tiers(&server).await {
        let origin = Origin::held_up();
        let call = |bypass| {
            let origin = Arc::clone(&origin);
            spawn(&cache, async move { fresh(&origin, 9, bypass).await })
        };
        let leader = call(false);
        origin.wait_for(1_001).await;
        server.pause();
        let bypassing = call(true);
        origin.wait_for(2_002).await;
        server.resume();
        origin.open.add_permits(2);
        assert_eq!(leader.await.unwrap(), 2_002, "{tier}");
        assert_eq!(bypassing.await.unwrap(), 2_002, "{tier}");
    }
}

// --- codec ----------------------------------------------------------------------------------

/// What bincode writes and cannot read again: a field that is left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Sparse {
    name: String,
    #[serde(skip_serializing, default)]
    visits: u32,
}

fn sparse(id: u64) -> Sparse {
    Sparse {
        name: format!("Ann {id}"),
        visits: 0,
    }
}

#[cached(prefix = "sparse", key = "json:{id}", codec = "json")]
async fn as_json(origin: &Origin, id: u64) -> Sparse {
    origin.ask(sparse(id)).await
}

#[cached(prefix = "sparse", key = "{id}")]
async fn as_the_cache_does(origin: &Origin, id: u64) -> Sparse {
    origin.ask(sparse(id)).await
}

#[tokio::test]
async fn a_function_has_a_codec_of_its_own_and_each_is_checked_for_each_type() {
    let server = RedisServer::start();
    let cache = at(&server).near(false).codec(Codec::Bincode);
    let cache = cache.open().await.unwrap();
    let (log, _guard) = Log::of_this_thread();
    let origin = Origin::open();
    let calls = async {
        for runs in [1, 1] {
            assert_eq!(as_json(&origin, 1).await, sparse(1));
            assert_eq!(origin.runs(), runs);
        }
        // A hit in another codec than it was stored in is a hit.
        assert_eq!(
            cache.get::<Sparse>("sparse:json:1").await.unwrap(),
            Some(sparse(1))
        );
        // What JSON carries, bincode need not.
        for runs in [2, 3] {
            assert_eq!(as_the_cache_does(&origin, 1).await, sparse(1));
            assert_eq!(origin.runs(), runs);
        }
    };
    with_cache(cache.clone(), calls).await;
    let text = |key| String::from_utf8_lossy(server.command(&["GET", key]).bytes()).into_owned();
    assert!(text("sparse:json:1").contains(r#"{"name":"Ann 1"}"#));
    assert_eq!(server.keys("sparse:*"), ["sparse:json:1"]);
    let warnings = log.at(Level::WARN);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("Sparse"), "{warnings:?}");
}

#[tokio::test]
async fn in_process_nothing_is_encoded() {
    let cache = Cache::builder().open().await.unwrap();
    let origin = Origin::open();
    let calls = async {
        for _ in 0..2 {
            as_the_cache_does(&origin, 1).await;
        }
    };
    with_cache(cache, calls).await;
    assert_eq!(origin.runs(), 1);
}

// --- ttl from the environment, and from the clock -------------------------------------------

#[cached(ttl = "$OPTIONS_LIFE", prefix = "life", key = "{id}")]
async fn life(id: u64) -> u64 {
    id
}

#[cached(ttl = "$OPTIONS_LIFE|1d", prefix = "same", key = "{id}")]
async fn same_life(id: u64) -> u64 {
    id
}

#[cached(ttl = "$OPTIONS_UNSET|1h", prefix = "default", key = "{id}")]
async fn default_life(id: u64) -> u64 {
    id
}

#[cached(ttl = "$OPTIONS_UNSET", prefix = "unset", key = "{id}")]
async fn unset_life(id: u64) -> u64 {
    id
}

#[cached(ttl = "$OPTIONS_UNSET", prefix = "unset", key = "other:{id}")]
async fn also_unset_life(id: u64) -> u64 {
    id
}

#[cached(ttl = "$OPTIONS_MALFORMED", prefix = "malformed", key = "{id}")]
async fn malformed_life(id: u64) -> u64 {
    id
}

#[cached(ttl = "$OPTIONS_ZERO|1h", prefix = "zero", key = "{id}")]
async fn zero_life(id: u64) -> u64 {
    id
}

#[tokio::test]
async fn a_variable_says_the_ttl_and_what_it_does_not_say_is_an_error_in_the_log_once() {
    const SECOND: &str = "OPTIONS_SECOND";
    if std::env::var_os(SECOND).is_none() {
        let program = std::env::current_exe().unwrap();
        let name = "a_variable_says_the_ttl_and_what_it_does_not_say_is_an_error_in_the_log_once";
        let status = std::process::Command::new(program)
            .args([name, "--exact", "--nocapture"])
            .envs([(SECOND, "1"), ("OPTIONS_LIFE", " 30m ")])
            .envs([("OPTIONS_MALFORMED", "hunter2"), ("OPTIONS_ZERO", "0")])
            .env_remove("OPTIONS_UNSET")
            .status();
        assert!(status.unwrap().success());
        return;
    }
    let server = RedisServer::start();
    let default = Duration::from_secs(2 * 3_600);
    let cache = at(&server).default_ttl(default).open().await.unwrap();
    let (log, _guard) = Log::of_this_thread();
    let calls = async {
        for id in 0..3 {
            life(id).await;
            same_life(id).await;
            default_life(id).await;
            unset_life(id).await;
            also_unset_life(id).await;
            malformed_life(id).await;
            zero_life(id).await;
        }
    };
    with_cache(cache, calls).await;

    let minutes = |key: &str| server.command(&["PTTL", key]).integer() / 60_000;
    for id in 0..3 {
        for (key, between) in [
            (format!("life:{id}"), 20..=30),
            (format!("same:{id}"), 20..=30),
            (format!("default:{id}"), 50..=60),
            (format!("unset:{id}"), 110..=120),
            (format!("unset:other:{id}"), 110..=120),
            (format!("malformed:{id}"), 110..=120),
            (format!("zero:{id}"), 50..=60),
        ] {
            assert!(between.contains(&minutes(&key)), "{key}: {}", minutes(&key));
        }
    }
    let errors = log.at(Level::ERROR);
    assert_eq!(errors.len(), 3, "{errors:?}");
    for (error, says) in errors.iter().zip([
        "OPTIONS_UNSET is not set; set it to a duration",
        "OPTIONS_MALFORMED cannot be used: expected a duration",
        "OPTIONS_ZERO cannot be used: expected a duration",
    ]) {
        assert!(
            error.contains(says) && !error.contains("hunter2"),
            "{error}"
        );
    }
}

#[cached(ttl = until_midnight(), prefix = "today")]
async fn today(origin: &str) -> String {
    origin.to_owned()
}

#[tokio::test]
async fn until_midnight_is_a_ttl() {
    let left = until_midnight();
    assert!(Duration::ZERO < left && left <= Duration::from_secs(86_400));
    let server = RedisServer::start();
    let cache = at(&server).open().await.unwrap();
    with_cache(cache, today("dawn")).await;
    let lives = server.command(&["PTTL", "today:today:dawn"]).integer();
    let over = until_midnight() > left;
    assert!((1..=86_400_000).contains(&lives) || over, "{lives}");
}
