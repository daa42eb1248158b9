//! `#[cache_invalidate(pattern = ..)]`: every entry whose key matches a glob, whatever function stored it. That nothing
//! stale is read, stored or brought back by it is shown where it is for the other targets: `p2_read_after_invalidate.rs`,
//! `p3_no_stale_fill.rs`, `outage.rs`.

mod support;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_runtime::{Cache, CacheBuilder, Durability, cache_invalidate, cached, with_cache};
use support::{Fault, Log, Proxy, RedisServer, wait_until_async};

#[derive(Default)]
struct Bodies(AtomicU64);

impl Bodies {
    fn run(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }

    fn count(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

#[cached(ttl = "1h", prefix = "user", key = "{id}:profile")]
async fn profile(bodies: &Bodies, id: &str) -> u64 {
    bodies.run()
}

#[cached(ttl = "1h", prefix = "user", skip(bodies))]
async fn posts(bodies: &Bodies, id: &str, page: u64) -> u64 {
    bodies.run()
}

#[cached(ttl = "1h", prefix = "part", key = "{owner}_{name}")]
async fn part(bodies: &Bodies, owner: &str, name: &str) -> u64 {
    bodies.run()
}

#[cached(
    ttl = "1h",
    prefix = "letter",
    key = "{mail}:{id}",
    sensitive(mail),
    tags = "all"
)]
async fn letter(bodies: &Bodies, mail: &str, id: u64) -> u64 {
    bodies.run()
}

#[cache_invalidate(pattern = "user:*:pro*")]
async fn change_profiles() {}

#[cache_invalidate(pattern = "user:*:profil?")]
fn change_profiles_at_once() {}

#[cache_invalidate(pattern = "user:posts:{id}:*")]
async fn change_posts_of(id: &str) {}

#[cache_invalidate(pattern = "part:{owner}_*")]
async fn change_parts_of(owner: &str) {}

#[cache_invalidate(pattern = "*:{mail}:?", sensitive(mail))]
async fn change_letters_of(mail: &str) {}

#[cache_invalidate(pattern = ["user:*:profile", "part:*"], tags = "all", when = "ok")]
async fn change_several(outcome: Result<(), ()>) -> Result<(), ()> {
    outcome
}

fn on(server: &RedisServer) -> CacheBuilder {
    let builder = Cache::builder()
        .redis_url(server.url())
        .hash_key("a key of the test");
    builder.response_timeout(Duration::from_secs(5))
}

/// In process, on Redis, and under a key prefix.
async fn tiers(server: &RedisServer) -> Vec<Cache> {
    vec![
        Cache::builder().open().await.unwrap(),
        on(server).open().await.unwrap(),
        on(server).near(false).open().await.unwrap(),
        on(server).key_prefix("app:team").open().await.unwrap(),
    ]
}

/// How many bodies run for these reads.
async fn misses(bodies: &Bodies, reads: impl Future<Output = ()>) -> u64 {
    let before = bodies.count();
    reads.await;
    bodies.count() - before
}

#[tokio::test]
async fn what_matches_is_loaded_anew_and_nothing_else() {
    let server = RedisServer::start();
    for cache in tiers(&server).await {
        let bodies = Bodies::default();
        cache.clear("*").await.unwrap();
        let all = async || {
            for id in ["1", "2"] {
                profile(&bodies, id).await;
                posts(&bodies, id, 1).await;
                posts(&bodies, id, 2).await;
            }
        };
        let check = async {
            assert_eq!(misses(&bodies, all()).await, 6);
            change_profiles().await;
            assert_eq!(misses(&bodies, all()).await, 2, "{cache:?}");
            change_posts_of("1").await;
            assert_eq!(misses(&bodies, all()).await, 2, "{cache:?}");
            change_posts_of("3").await;
            assert_eq!(misses(&bodies, all()).await, 0, "{cache:?}");
        };
        with_cache(cache.clone(), check).await;
        assert_eq!(cache.stats().prefixes["(patterns)"].invalidations, 4);
    }
}

#[tokio::test]
async fn by_a_function_that_is_not_async_it_holds_here_at_once_and_in_redis_a_moment_later() {
    let server = RedisServer::start();
    for cache in tiers(&server).await {
        let bodies = Bodies::default();
        cache.clear("*").await.unwrap();
        let check = async {
            assert_eq!(profile(&bodies, "1").await, 0);
            change_profiles_at_once();
            assert_eq!(profile(&bodies, "1").await, 1);
        };
        with_cache(cache.clone(), check).await;
        let told = async || cache.health().await.unconfirmed == 0;
        wait_until_async(told, "redis is told").await;
    }
}

#[tokio::test]
async fn an_argument_is_never_a_pattern() {
    let server = RedisServer::start();
    let names = ["*", "?", "a", "[ab]", r"\", "^", "", "{a}"];
    for cache in tiers(&server).await {
        let bodies = Bodies::default();
        cache.clear("*").await.unwrap();
        let check = async {
            for id in names {
                let all = async || {
                    for id in names {
                        posts(&bodies, id, 1).await;
                    }
                };
                all().await;
                change_posts_of(id).await;
                assert_eq!(misses(&bodies, all()).await, 1, "{id:?}");
            }
        };
        with_cache(cache.clone(), check).await;
    }
}

#[tokio::test]
async fn an_argument_is_found_where_the_character_after_it_is_escaped_in_it() {
    let server = RedisServer::start();
    for cache in tiers(&server).await {
        let bodies = Bodies::default();
        cache.clear("*").await.unwrap();
        let all = async || {
            for (owner, name) in [("a", "b_c"), ("a_b", "c"), ("a_b", "d"), ("b", "c")] {
                part(&bodies, owner, name).await;
            }
        };
        let check = async {
            assert_eq!(misses(&bodies, all()).await, 4);
            change_parts_of("a_b").await;
            // Its own two, and `b_c` of `a`, which a pattern cannot tell from a `c` of `a_b`.
            assert_eq!(misses(&bodies, all()).await, 3);
            change_parts_of("a").await;
            assert_eq!(misses(&bodies, all()).await, 1);
        };
        with_cache(cache.clone(), check).await;
    }
}

#[tokio::test]
async fn a_sensitive_argument_is_looked_for_by_its_hash() {
    let server = RedisServer::start();
    for cache in tiers(&server).await {
        let bodies = Bodies::default();
        cache.clear("*").await.unwrap();
        let all = async || {
            letter(&bodies, "ada@example.org", 1).await;
            letter(&bodies, "ada@example.org", 2).await;
            letter(&bodies, "eve@example.org", 1).await;
        };
        let check = async {
            assert_eq!(misses(&bodies, all()).await, 3);
            change_letters_of("ada@example.org").await;
            assert_eq!(misses(&bodies, all()).await, 2);
        };
        with_cache(cache.clone(), check).await;
    }
}

#[tokio::test]
async fn several_patterns_and_other_targets_are_invalidated_together_and_when_it_is_said() {
    let server = RedisServer::start();
    for cache in tiers(&server).await {
        let bodies = Bodies::default();
        cache.clear("*").await.unwrap();
        let all = async || {
            profile(&bodies, "1").await;
            posts(&bodies, "1", 1).await;
            part(&bodies, "1", "a").await;
            letter(&bodies, "1", 1).await;
        };
        let check = async {
            assert_eq!(misses(&bodies, all()).await, 4);
            change_several(Err(())).await.unwrap_err();
            assert_eq!(misses(&bodies, all()).await, 0, "it failed");
            change_several(Ok(())).await.unwrap();
            assert_eq!(misses(&bodies, all()).await, 3);
        };
        with_cache(cache.clone(), check).await;
    }
}

#[tokio::test]
async fn what_a_pattern_that_is_owed_does_not_match_is_read_from_redis_as_ever() {
    let server = RedisServer::start();
    let network = Proxy::start(server.port());
    let cache = on(&server).redis_url(network.url()).near(false);
    let cache = cache.response_timeout(Duration::from_millis(200));
    let cache = cache.open().await.unwrap();
    let bodies = Bodies::default();
    let check = async {
        posts(&bodies, "1", 1).await;
        profile(&bodies, "1").await;
        network.set(Fault::Refuse);
        change_profiles().await;
        network.set(Fault::None);
        let back = async || cache.health().await.unconfirmed == 0;
        wait_until_async(back, "the pattern is replayed").await;

        assert_eq!(
            misses(&bodies, async { _ = posts(&bodies, "1", 1).await }).await,
            0
        );
        assert_eq!(
            misses(&bodies, async { _ = profile(&bodies, "1").await }).await,
            1
        );
    };
    with_cache(cache.clone(), check).await;
}

#[tokio::test]
async fn replicas_are_asked_for_what_was_deleted_by_a_pattern_as_well() {
    let server = RedisServer::start();
    let cache = on(&server).durability(Durability::Replicas(1));
    let cache = cache.response_timeout(Duration::from_secs(2));
    let cache = cache.open().await.unwrap();
    let (log, _guard) = Log::of_this_thread();

    with_cache(cache, change_profiles()).await;

    assert!(log.mentions("replicas have not confirmed"));
}
