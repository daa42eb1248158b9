//! What the options of `#[cached]` mean that concern the value: which meaning it has, whether it is kept, and for how long.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_runtime::{Cache, CacheBuilder, cache_invalidate, cached, with_cache};
use support::{RedisServer, wait_until_async};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

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
