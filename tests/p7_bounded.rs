//! P7: in-process memory stays within its limit, in bytes and entries; nothing grows without limit while Redis is away.

mod support;

use std::time::Duration;

use cache_runtime::{Cache, Mode, cached, with_cache};
use support::{Fault, Proxy, RedisServer, wait_until_async};

#[cached(ttl = 300, prefix = "page")]
async fn page(id: u64, size: usize) -> String {
    "x".repeat(size + usize::from(id == u64::MAX))
}

#[cached(ttl = 300, prefix = "failing")]
async fn failing(id: u64) -> Result<u64, String> {
    Err(format!("no {id}"))
}

async fn on(url: &str) -> Cache {
    Cache::builder()
        .redis_url(url)
        .connect_timeout(Duration::from_secs(1))
        .response_timeout(Duration::from_secs(2))
        .open()
        .await
        .unwrap()
}

async fn call(cache: &Cache, id: u64, size: usize) {
    let value = with_cache(cache.clone(), page(id, size)).await;
    assert_eq!(value.len(), size);
}

async fn until_mode(cache: &Cache, mode: Mode) {
    let settled = async || {
        let _ = cache.exists("anything").await;
        cache.mode() == mode
    };
    wait_until_async(settled, &format!("the cache is in {mode:?}")).await;
}

/// Held by those tests that measure the memory of the process, which they share.
static MEASURING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// What this process holds in memory.
fn resident_bytes() -> Option<usize> {
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: usize = pages.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * 4_096)
}

/// How many flights are in the air, in the cache's own words.
fn flights(cache: &Cache) -> String {
    let shown = format!("{cache:?}");
    let start = shown.find("flights: ").expect("it says so");
    let number = shown[start..].chars().filter(char::is_ascii_digit);
    number.collect()
}

// --- the tier in the process ----------------------------------------------------------------

/// Every look, in the middle of an endless stream of keys, finds the tier within its limits.
async fn check_bounds(cache: &Cache, memory: u64, entries: u64, size: usize) {
    for id in 0..20_000 {
        call(cache, id, size).await;
        if id % 500 == 0 {
            let stats = cache.stats();
            assert!(stats.entries <= entries, "{} entries", stats.entries);
            assert!(stats.bytes <= memory, "{} bytes", stats.bytes);
        }
    }
    let stats = cache.stats();
    assert!(stats.entries > 0, "the tier is in use");
    assert!(stats.entries <= entries && stats.bytes <= memory);
    assert_eq!(flights(cache), "0");
}

#[tokio::test]
async fn entries_without_end_stay_within_the_limit_of_entries() {
    let builder = Cache::builder().max_entries(100).memory_limit(64 << 20);
    let cache = builder.open().await.unwrap();

    check_bounds(&cache, 64 << 20, 100, 10).await;
}

#[tokio::test]
async fn entries_without_end_stay_within_the_limit_of_bytes() {
    let builder = Cache::builder()
        .max_entries(1_000_000)
        .memory_limit(1 << 20);
    let cache = builder.open().await.unwrap();

    check_bounds(&cache, 1 << 20, 1_000_000, 2_000).await;
}

#[tokio::test]
async fn a_value_larger_than_the_limit_is_returned_and_not_kept() {
    let cache = Cache::builder().memory_limit(100_000).open().await.unwrap();

    for _ in 0..3 {
        call(&cache, 1, 200_000).await;
        assert_eq!(cache.stats().entries, 0);
        assert!(cache.stats().bytes <= 100_000);
    }

    assert_eq!(cache.stats().loads, 3);
}

#[tokio::test]
async fn large_values_without_end_stay_within_the_limit_though_nobody_looks() {
    let _measuring = MEASURING.lock().await;
    let builder = Cache::builder().memory_limit(8 << 20);
    let cache = builder.open().await.unwrap();
    let before = resident_bytes();
    let mut most = before;

    for id in 0..1_000 {
        call(&cache, id, 1 << 20).await;
        most = most.max(resident_bytes());
    }

    if let (Some(before), Some(most)) = (before, most) {
        let grown = most.saturating_sub(before);
        assert!(grown < 32 << 20, "{grown} bytes for a limit of 8 MiB");
    }
}

#[tokio::test]
async fn small_entries_take_no_more_memory_than_the_limit_says() {
    const LIMIT: u64 = 16 << 20;
    let _measuring = MEASURING.lock().await;
    let builder = Cache::builder().max_entries(10_000_000);
    let cache = builder.memory_limit(LIMIT).open().await.unwrap();
    let before = resident_bytes();

    for id in 0..60_000 {
        // Loaded, and hit, so that it is wherever hits are found.
        call(&cache, id, 10).await;
        call(&cache, id, 10).await;
    }

    assert!(cache.stats().bytes > LIMIT / 2, "the limit is reached");
    if let (Some(before), Some(after)) = (before, resident_bytes()) {
        let grown = after.saturating_sub(before);
        let limit = usize::try_from(LIMIT).unwrap();
        assert!(
            grown < limit * 3 / 2,
            "{grown} bytes for a limit of {limit}"
        );
    }
}

#[tokio::test]
async fn entries_stay_within_their_limits_while_redis_is_away() {
    let server = RedisServer::start();
    let cache = Cache::builder()
        .redis_url(server.url())
        .max_entries(100)
        .memory_limit(1 << 20)
        .open()
        .await
        .unwrap();
    server.kill();
    until_mode(&cache, Mode::Fallback).await;

    check_bounds(&cache, 1 << 20, 100, 2_000).await;
}

#[tokio::test]
async fn entries_stay_within_their_limits_in_front_of_redis() {
    let server = RedisServer::start();
    let cache = Cache::builder()
        .redis_url(server.url())
        .max_entries(100)
        .memory_limit(1 << 20)
        .open()
        .await
        .unwrap();

    check_bounds(&cache, 1 << 20, 100, 2_000).await;
}

#[tokio::test]
async fn nothing_is_kept_in_the_process_where_that_is_not_wanted() {
    let server = RedisServer::start();
    let cache = Cache::builder().redis_url(server.url()).near(false);
    let cache = cache.open().await.unwrap();

    for id in 0..2_000 {
        call(&cache, id, 10).await;
    }

    assert_eq!(cache.stats().entries, 0);
    assert_eq!(flights(&cache), "0");
}

// --- invalidations while Redis is away ------------------------------------------------------

#[tokio::test]
async fn invalidations_without_end_while_redis_is_away_become_one_of_everything() {
    let _measuring = MEASURING.lock().await;
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let cache = on(&proxy.url()).await;
    for id in 0..10_u64 {
        let key = format!("kept:{id}");
        cache.set(&key, &id, None).await.unwrap();
        assert_eq!(cache.get::<u64>(&key).await.unwrap(), Some(id));
    }
    proxy.set(Fault::Refuse);
    until_mode(&cache, Mode::Fallback).await;
    let filler = "x".repeat(1_000);
    let mut resident = None;

    cache.delete("kept:0").await.unwrap();
    for number in 0..100_000 {
        if number == 20_000 {
            resident = resident_bytes();
        }
        cache.delete(&format!("{number}{filler}")).await.unwrap();
    }

    // Their names alone are 160 MB.
    if let (Some(before), Some(after)) = (resident, resident_bytes()) {
        let grown = after.saturating_sub(before);
        assert!(grown < 64 << 20, "{grown} bytes more");
    }
    proxy.set(Fault::None);
    until_mode(&cache, Mode::Redis).await;
    let other = on(&server.url()).await;
    for cache in [&cache, &other] {
        for id in 0..10_u64 {
            let kept = cache.get::<u64>(&format!("kept:{id}")).await.unwrap();
            assert_eq!(kept, None, "everything was invalidated, {id} too");
        }
    }
    cache.set("kept:0", &7_u64, None).await.unwrap();
    assert_eq!(other.get::<u64>("kept:0").await.unwrap(), Some(7));
}

#[tokio::test]
async fn what_is_invalidated_again_and_again_is_remembered_once() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let cache = on(&proxy.url()).await;
    cache.set("kept", &1_u64, None).await.unwrap();
    cache.set("dropped", &1_u64, None).await.unwrap();
    proxy.set(Fault::Refuse);
    until_mode(&cache, Mode::Fallback).await;

    for _ in 0..30_000 {
        cache.delete("dropped").await.unwrap();
    }

    proxy.set(Fault::None);
    until_mode(&cache, Mode::Redis).await;
    assert_eq!(cache.get::<u64>("dropped").await.unwrap(), None);
    let kept = cache.get::<u64>("kept").await.unwrap();
    assert_eq!(kept, Some(1), "the memory has not overflowed");
}

// --- flights, counters and connections ------------------------------------------------------

#[tokio::test]
async fn no_flight_outlives_its_calls() {
    let server = RedisServer::start();
    let in_process = Cache::builder().open().await.unwrap();
    for cache in [in_process, on(&server.url()).await] {
        let calls: Vec<_> = (0..1_000)
            .map(|number| {
                tokio::spawn(with_cache(cache.clone(), async move {
                    if number % 2 == 0 {
                        page(number % 50, 10).await;
                    } else {
                        failing(number % 50).await.unwrap_err();
                    }
                }))
            })
            .collect();
        for (number, call) in (0..).zip(calls) {
            if number % 7 == 0 {
                call.abort();
            }
            let _ = call.await;
        }

        assert_eq!(flights(&cache), "0");
    }
}

#[tokio::test]
async fn prefixes_without_end_are_counted_together() {
    let cache = Cache::builder().open().await.unwrap();

    for number in 0..5_000 {
        let _ = cache.get::<u64>(&format!("{number}:x")).await;
        let _ = cache.invalidate_prefix(&format!("prefix-{number}")).await;
    }

    let stats = cache.stats();
    assert!(stats.prefixes.len() <= 1_001, "{}", stats.prefixes.len());
    assert_eq!((stats.misses, stats.invalidations), (5_000, 5_000));
}

#[tokio::test]
async fn connections_that_were_killed_are_replaced_one_by_one() {
    let server = RedisServer::start();
    let cache = on(&server.url()).await;
    for round in 0..200 {
        server.cli(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        let calls: Vec<_> = (0..20)
            .map(|id| {
                let cache = cache.clone();
                tokio::spawn(async move { call(&cache, round * 100 + id, 10).await })
            })
            .collect();
        for call in calls {
            call.await.unwrap();
        }
    }

    assert_eq!(cache.mode(), Mode::Redis);
    let few = async || {
        let clients = server.cli(&["CLIENT", "LIST", "TYPE", "normal"]);
        clients
            .lines()
            .filter(|line| line.contains("addr="))
            .count()
            <= 2
    };
    wait_until_async(few, "the cache's connection and the test's own are left").await;
}

#[tokio::test]
async fn a_server_that_hangs_again_and_again_leaves_no_connections_behind() {
    let server = RedisServer::start();
    let cache = Cache::builder()
        .redis_url(server.url())
        .connect_timeout(Duration::from_millis(100))
        .response_timeout(Duration::from_millis(50))
        .open()
        .await
        .unwrap();
    for _ in 0..5 {
        server.pause();
        until_mode(&cache, Mode::Fallback).await;
        server.resume();
        until_mode(&cache, Mode::Redis).await;
    }

    let few = async || {
        let clients = server.cli(&["CLIENT", "LIST", "TYPE", "normal"]);
        clients
            .lines()
            .filter(|line| line.contains("addr="))
            .count()
            <= 2
    };
    wait_until_async(few, "the cache's connection and the test's own are left").await;
}
