//! What is said of functions whose options cannot do what they say: exactly once each, with what to do; and nothing of any
//! other function.

mod support;

use std::time::Duration;

use cache_runtime::{Cache, cache_invalidate, cached, with_cache};
use support::{Log, RedisServer};
use tracing::Level;

/// In process, and on Redis.
async fn tiers(server: &RedisServer) -> [Cache; 2] {
    let redis = Cache::builder().redis_url(server.url());
    let redis = redis.response_timeout(Duration::from_secs(5));
    [
        Cache::builder().open().await.unwrap(),
        redis.open().await.unwrap(),
    ]
}

/// What was said of a function, which must be one line.
#[track_caller]
fn said(log: &Log, function: &str) -> String {
    let field = format!("function=advice::{function}");
    let mut lines = log.at(Level::WARN);
    lines.retain(|line| line.split_whitespace().any(|word| word == field));
    assert_eq!(lines.len(), 1, "{function}: {lines:#?}");
    lines.remove(0)
}

#[cached(ttl = "5ms", prefix = "slow", key = "{id}")]
async fn slow(id: u64) -> u64 {
    tokio::time::sleep(Duration::from_millis(10)).await;
    id
}

#[cached(ttl = "5ms", prefix = "slow_plain", key = "{id}")]
fn slow_and_not_async(id: u64) -> u64 {
    std::thread::sleep(Duration::from_millis(10));
    id
}

#[cached(ttl = "50ms", prefix = "slow_once", key = "{id}")]
async fn slow_at_first(id: u64) -> u64 {
    if id < 2 || id == 3 {
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    id
}

#[cached(ttl = |_: &u64| Duration::from_millis(1), prefix = "ruled", key = "{id}")]
async fn short_by_its_value(id: u64) -> u64 {
    tokio::time::sleep(Duration::from_millis(5)).await;
    id
}

#[cached(ttl = "5ms", negative_ttl = "1h", prefix = "absent", key = "{id}")]
async fn hardly_ever_there(id: u64) -> Option<u64> {
    tokio::time::sleep(Duration::from_millis(10)).await;
    (id > 100).then_some(id)
}

#[tokio::test]
async fn loads_that_take_longer_than_their_values_are_kept_are_said_after_three_in_a_row() {
    let server = RedisServer::start();
    let (log, _guard) = Log::of_this_thread();
    let [in_process, redis] = tiers(&server).await;
    for id in 0..2 {
        with_cache(in_process.clone(), slow(id)).await;
    }
    assert_eq!(log.at(Level::WARN), Vec::<String>::new());
    for id in 0..5 {
        with_cache(redis.clone(), slow(id)).await;
        with_cache(redis.clone(), async { slow_and_not_async(id) }).await;
    }
    said(&log, "slow_and_not_async");
    let text = said(&log, "slow");
    assert!(text.contains("raise `ttl`"), "{text}");
    assert!(text.contains("ttl=5ms") && text.contains("took="), "{text}");
}

#[tokio::test]
async fn a_load_that_is_slow_now_and_then_is_no_flaw_nor_is_a_short_ttl_over_the_value() {
    let server = RedisServer::start();
    let (log, _guard) = Log::of_this_thread();
    for cache in tiers(&server).await {
        for id in 0..5 {
            with_cache(cache.clone(), slow_at_first(id)).await;
            with_cache(cache.clone(), short_by_its_value(id)).await;
            with_cache(cache.clone(), hardly_ever_there(id)).await;
        }
    }
    assert_eq!(log.at(Level::WARN), Vec::<String>::new());
}

#[cached(ttl = "1m", near_ttl = "1h", prefix = "long", key = "{id}")]
async fn long_near(id: u64) -> u64 {
    id
}

#[tokio::test]
async fn a_near_ttl_that_is_longer_than_the_ttl_bounds_nothing() {
    let server = RedisServer::start();
    let (log, _guard) = Log::of_this_thread();
    for cache in tiers(&server).await {
        for id in 0..5 {
            with_cache(cache.clone(), long_near(id)).await;
        }
    }
    let text = said(&log, "long_near");
    assert!(text.contains("near_ttl=3600s ttl=60s"), "{text}");
}

#[cached(near = false, prefix = "nowhere", key = "{id}")]
async fn nowhere(id: u64) -> u64 {
    id
}

#[tokio::test]
async fn without_redis_a_function_without_the_tier_in_process_keeps_nothing() {
    let server = RedisServer::start();
    let [in_process, redis] = tiers(&server).await;
    let (log, _guard) = Log::of_this_thread();
    for id in 0..5 {
        with_cache(redis.clone(), nowhere(id)).await;
    }
    assert_eq!(log.at(Level::WARN), Vec::<String>::new());
    for id in 0..5 {
        with_cache(in_process.clone(), nowhere(id)).await;
    }
    assert!(said(&log, "nowhere").contains("`REDIS_URL`"));
}

#[cached(prefix = "limited", key = "{id}", max_loads = 4)]
async fn loosely_limited(id: u64) -> u64 {
    id
}

#[cached(prefix = "strict", key = "{id}", max_loads = 3)]
async fn strictly_limited(id: u64) -> u64 {
    id
}

#[tokio::test]
async fn max_loads_of_a_function_is_below_that_of_the_cache() {
    let cache = Cache::builder().max_loads(4).open().await.unwrap();
    let (log, _guard) = Log::of_this_thread();
    for id in 0..5 {
        with_cache(cache.clone(), loosely_limited(id)).await;
        with_cache(cache.clone(), strictly_limited(id)).await;
    }
    assert!(said(&log, "loosely_limited").contains("own=4 of_the_cache=4"));
    assert_eq!(log.at(Level::WARN).len(), 1);
}

#[cached(prefix = "never", key = "{id}", stale_if_error = "1h")]
async fn never_fails(id: u64) -> u64 {
    id
}

#[cached(prefix = "may", key = "{id}", stale_if_error = "1h")]
async fn may_fail(id: u64) -> Result<u64, ()> {
    Ok(id)
}

#[cached(
    prefix = "late",
    key = "{id}",
    stale_if_error = "1h",
    load_timeout = "1m"
)]
async fn may_be_late(id: u64) -> u64 {
    id
}

#[cached(prefix = "full", key = "{id}", stale_if_error = "1h", max_loads = 4)]
async fn may_be_full(id: u64) -> u64 {
    id
}

#[tokio::test]
async fn stale_if_error_needs_something_that_can_fail() {
    let server = RedisServer::start();
    let (log, _guard) = Log::of_this_thread();
    for cache in tiers(&server).await {
        for id in 0..5 {
            with_cache(cache.clone(), may_fail(id)).await.unwrap();
            with_cache(cache.clone(), may_be_late(id)).await;
            with_cache(cache.clone(), may_be_full(id)).await;
        }
        let limited = Cache::builder().max_loads(8).open().await.unwrap();
        if cache.stats().using_redis {
            assert_eq!(log.at(Level::WARN).len(), 1);
        } else {
            with_cache(limited, never_fails(7)).await;
            assert_eq!(log.at(Level::WARN), Vec::<String>::new());
        }
        for id in 0..5 {
            with_cache(cache.clone(), never_fails(id)).await;
        }
    }
    assert!(said(&log, "never_fails").contains("return a `Result`"));
}

#[cached(prefix = "large", key = "{size}")]
async fn large(size: usize) -> Vec<u8> {
    vec![7; size]
}

#[cached(prefix = "large_far", key = "{size}", near = false)]
async fn large_in_redis_alone(size: usize) -> Vec<u8> {
    vec![7; size]
}

#[tokio::test]
async fn a_value_that_is_larger_than_the_memory_limit_is_not_kept_in_process() {
    const LIMIT: usize = 64 << 10;
    let server = RedisServer::start();
    let (log, _guard) = Log::of_this_thread();
    for redis in [true, false] {
        let builder = Cache::builder().memory_limit(LIMIT as u64);
        let cache = match redis {
            true => builder.redis_url(server.url()).open().await.unwrap(),
            false => builder.open().await.unwrap(),
        };
        with_cache(cache.clone(), large(LIMIT / 2)).await;
        if redis {
            with_cache(cache.clone(), large_in_redis_alone(2 * LIMIT)).await;
            assert_eq!(log.at(Level::WARN), Vec::<String>::new());
        }
        for more in 0..3 {
            with_cache(cache.clone(), large(2 * LIMIT + more)).await;
        }
    }
    assert!(said(&log, "large").contains("limit=65536"));
    assert_eq!(log.at(Level::WARN).len(), 1);
}

mod here {
    #[cache_runtime::cached(prefix = "same")]
    pub async fn twice(id: u64) -> u64 {
        id
    }
}

mod there {
    #[cache_runtime::cached(prefix = "same")]
    pub async fn twice(id: u64) -> u64 {
        id
    }
}

#[cached(prefix = "shared", key = "{id}")]
async fn number(id: u64) -> u64 {
    id
}

#[cached(prefix = "shared", key = "{id}")]
async fn text(id: u64) -> String {
    id.to_string()
}

#[cached(prefix = "shared", key = "{id}")]
async fn other_number(id: u64) -> u64 {
    id
}

#[tokio::test]
async fn two_functions_that_replace_each_others_values_under_one_key_are_named() {
    let server = RedisServer::start();
    for (round, cache) in tiers(&server).await.into_iter().enumerate() {
        let (log, _guard) = Log::of_this_thread();
        for id in 0..5 {
            with_cache(cache.clone(), number(id)).await;
            cache.delete(&format!("shared:{id}")).await.unwrap();
            with_cache(cache.clone(), other_number(id)).await;
        }
        assert_eq!(log.at(Level::WARN), Vec::<String>::new());
        for id in 10..15 {
            with_cache(cache.clone(), number(id)).await;
            with_cache(cache.clone(), text(id)).await;
            with_cache(cache.clone(), here::twice(id)).await;
            with_cache(cache.clone(), there::twice(id)).await;
        }
        if round > 0 {
            assert_eq!(log.at(Level::WARN), Vec::<String>::new(), "said before");
            continue;
        }
        let line = said(&log, "text");
        assert!(
            line.contains("other=advice::number key=shared:10"),
            "{line}"
        );
        let line = said(&log, "there::twice");
        assert!(line.contains("other=advice::here::twice"), "{line}");
        assert_eq!(log.at(Level::WARN).len(), 2);
    }
}

#[cache_invalidate(pattern = "user:*")]
async fn by_a_pattern() {}

#[cache_invalidate(pattern = ["user:*:profile", "user_*", "*", "*:1", "user:7:*", "us?r:*", r"us\*r:*"])]
async fn by_patterns_that_are_needed() {}

#[tokio::test]
async fn a_pattern_for_which_a_prefix_would_do() {
    let server = RedisServer::start();
    let (log, _guard) = Log::of_this_thread();
    let prefixed = Cache::builder().key_prefix("app:team");
    let [in_process, redis] = tiers(&server).await;
    for cache in [prefixed.open().await.unwrap(), in_process, redis] {
        with_cache(cache.clone(), by_patterns_that_are_needed()).await;
        with_cache(cache, by_a_pattern()).await;
    }
    assert!(said(&log, "by_a_pattern").contains("pattern=user:* prefix=user"));
    assert_eq!(log.at(Level::WARN).len(), 1);
}

#[cached(
    ttl = "1h",
    near_ttl = "1m",
    prefix = "good",
    key = "{id}",
    tags = "all",
    version = 2,
    stale_if_error = "1h",
    stale_while_revalidate = "1m",
    early_refresh = true,
    negative_ttl = "1s",
    max_loads = 8,
    coalesce = "fleet"
)]
async fn good(id: u64) -> Result<Option<u64>, ()> {
    Ok((id > 0).then_some(id))
}

#[cached]
async fn plain(id: u64) -> u64 {
    id
}

#[cached(prefix = "plain")]
fn not_async(id: u64) -> u64 {
    id
}

#[tokio::test]
async fn of_a_function_that_does_what_it_says_nothing_is_said() {
    let server = RedisServer::start();
    let (log, _guard) = Log::of_this_thread();
    for cache in tiers(&server).await {
        for id in 0..20 {
            with_cache(cache.clone(), good(id)).await.unwrap();
            with_cache(cache.clone(), plain(id)).await;
            with_cache(cache.clone(), async { not_async(id) }).await;
            cache.set("good:1", &1_u64, None).await.unwrap();
        }
    }
    assert_eq!(log.at(Level::WARN), Vec::<String>::new());
}
