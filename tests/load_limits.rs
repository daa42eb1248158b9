//! What stands behind the cache is spared: bodies at once are bounded, entries loaded together do not expire together, and a
//! failure of Redis is told apart from a miss.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_runtime::{Cache, ErrorKind, Mode, cached, with_cache};
use support::{RedisServer, wait_until_async};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// Bodies that are counted while they run, and wait for leave to end.
struct Origin {
    running: AtomicU64,
    most: AtomicU64,
    runs: AtomicU64,
    open: Semaphore,
}

impl Origin {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            running: AtomicU64::new(0),
            most: AtomicU64::new(0),
            runs: AtomicU64::new(0),
            open: Semaphore::new(0),
        })
    }

    async fn ask(&self) -> u64 {
        self.runs.fetch_add(1, Ordering::SeqCst);
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        self.open.acquire().await.unwrap().forget();
        self.running.fetch_sub(1, Ordering::SeqCst);
        running
    }

    fn running(&self) -> u64 {
        self.running.load(Ordering::SeqCst)
    }

    fn most(&self) -> u64 {
        self.most.load(Ordering::SeqCst)
    }

    async fn wait_for(&self, running: u64) {
        let here = async || self.running() == running;
        wait_until_async(here, &format!("{running} bodies run")).await;
    }
}

#[cached(prefix = "page", skip(origin), max_loads = 3)]
async fn page(origin: Arc<Origin>, id: u64) -> u64 {
    let _ = id;
    origin.ask().await
}

#[cached(prefix = "row", skip(origin))]
async fn row(origin: Arc<Origin>, id: u64) -> u64 {
    let _ = id;
    origin.ask().await
}

#[cached(prefix = "nested", skip(origin))]
async fn outer(origin: Arc<Origin>, id: u64) -> u64 {
    row(origin, id).await
}

#[cached(
    ttl = "1ms",
    prefix = "news",
    key = "{id}",
    max_loads = 1,
    stale_if_error = "1m"
)]
async fn news(origin: Arc<Origin>, id: u64) -> u64 {
    let _ = id;
    origin.ask().await
}

fn spawn<T: Send + 'static>(
    cache: &Cache,
    future: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<T> {
    tokio::spawn(with_cache(cache.clone(), future))
}

/// Both tiers, with a wait for a place that outlasts the test.
async fn both(
    set: impl Fn(cache_runtime::CacheBuilder) -> cache_runtime::CacheBuilder,
) -> [(Cache, Option<RedisServer>); 2] {
    let server = RedisServer::start();
    let long = Cache::builder().max_load_wait(Duration::from_secs(60));
    let redis = set(long).redis_url(server.url()).open().await.unwrap();
    let long = Cache::builder().max_load_wait(Duration::from_secs(60));
    let memory = set(long).open().await.unwrap();
    [(memory, None), (redis, Some(server))]
}

#[tokio::test]
async fn no_more_bodies_of_a_function_run_at_once_than_it_allows() {
    for (cache, _server) in both(|builder| builder).await {
        let origin = Origin::new();
        let calls: Vec<_> = (0..20)
            .map(|id| spawn(&cache, page(Arc::clone(&origin), id)))
            .collect();
        // Others are not held up.
        let other = spawn(&cache, row(Arc::clone(&origin), 1));
        origin.wait_for(4).await;
        origin.open.add_permits(21);
        for call in calls {
            assert!(call.await.unwrap() <= 4);
        }
        other.await.unwrap();
        assert_eq!(origin.most(), 4);
        assert_eq!(
            origin.runs.load(Ordering::SeqCst),
            21,
            "every key was loaded once"
        );
    }
}

#[tokio::test]
async fn no_more_bodies_of_all_functions_and_loaders_run_at_once_than_the_cache_allows() {
    for (cache, _server) in both(|builder| builder.max_loads(2)).await {
        let origin = Origin::new();
        let mut calls: Vec<_> = (0..5)
            .flat_map(|id| {
                [
                    spawn(&cache, page(Arc::clone(&origin), id)),
                    spawn(&cache, row(Arc::clone(&origin), id)),
                ]
            })
            .collect();
        let (by_hand, asked) = (cache.clone(), Arc::clone(&origin));
        calls.push(tokio::spawn(async move {
            let load = || async { Ok::<_, String>(asked.ask().await) };
            by_hand.get_or_set("hand", None, load).await.unwrap()
        }));
        origin.wait_for(2).await;
        origin.open.add_permits(11);
        for call in calls {
            call.await.unwrap();
        }
        assert_eq!(origin.most(), 2);
    }
}

#[tokio::test]
async fn a_body_inside_a_body_does_not_wait_for_the_place_of_the_outer_one() {
    for (cache, _server) in both(|builder| builder.max_loads(1)).await {
        let origin = Origin::new();
        origin.open.add_permits(10);
        for id in 0..5 {
            let call = with_cache(cache.clone(), outer(Arc::clone(&origin), id));
            tokio::time::timeout(support::DEADLINE, call)
                .await
                .expect("it waits for itself");
        }
    }
}

#[tokio::test]
async fn beyond_the_bound_an_expired_value_is_returned_where_that_is_allowed() {
    for (cache, _server) in both(|builder| builder).await {
        let origin = Origin::new();
        origin.open.add_permits(1);
        assert_eq!(
            with_cache(cache.clone(), news(Arc::clone(&origin), 1)).await,
            1
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
        let busy = spawn(&cache, news(Arc::clone(&origin), 2));
        origin.wait_for(1).await;

        // Its own body would be held.
        assert_eq!(
            with_cache(cache.clone(), news(Arc::clone(&origin), 1)).await,
            1
        );
        assert_eq!(cache.stats().stale_served, 1);
        origin.open.add_permits(1);
        busy.await.unwrap();
    }
}

#[tokio::test]
async fn who_waits_long_enough_runs_all_the_same() {
    let wait = Duration::from_millis(50);
    let builder = Cache::builder().max_loads(1).max_load_wait(wait);
    let cache = builder.open().await.unwrap();
    let origin = Origin::new();
    let first = spawn(&cache, row(Arc::clone(&origin), 1));
    origin.wait_for(1).await;
    let began = tokio::time::Instant::now();
    let second = spawn(&cache, row(Arc::clone(&origin), 2));
    origin.wait_for(2).await;
    assert!(began.elapsed() >= wait, "after {:?}", began.elapsed());
    origin.open.add_permits(2);
    first.await.unwrap();
    second.await.unwrap();
}

#[tokio::test]
async fn whoever_is_dropped_leaves_its_place_and_its_turn() {
    for (cache, _server) in both(|builder| builder.max_loads(1)).await {
        let origin = Origin::new();
        let first = spawn(&cache, row(Arc::clone(&origin), 1));
        origin.wait_for(1).await;
        let waiting = spawn(&cache, row(Arc::clone(&origin), 2));
        let third = spawn(&cache, row(Arc::clone(&origin), 3));
        tokio::task::yield_now().await;
        waiting.abort();
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        // The dropped body did not count itself out.
        origin.wait_for(2).await;
        origin.open.add_permits(1);
        third.await.unwrap();
        assert_eq!(origin.runs.load(Ordering::SeqCst), 2);
    }
}

#[tokio::test]
async fn entries_loaded_together_do_not_expire_together_and_none_outlives_its_ttl() {
    let server = RedisServer::start();
    let builder = Cache::builder().redis_url(server.url());
    let cache = builder.ttl_jitter(0.5).open().await.unwrap();
    let ttl = Duration::from_secs(1_000);
    for id in 0..100 {
        let load = || async { Ok::<_, String>(id) };
        let key = format!("row:{id}");
        cache.get_or_set(&key, ttl, load).await.unwrap();
        cache.set(&format!("hand:{id}"), &id, ttl).await.unwrap();
    }
    let ttls = |family: &str| -> Vec<u64> {
        let ttl = |id| server.command(&["PTTL", &format!("{family}:{id}")]);
        (0..100)
            .map(|id| u64::try_from(ttl(id).integer()).unwrap())
            .collect()
    };
    let (loaded, by_hand) = (ttls("row"), ttls("hand"));
    let (shortest, longest) = (loaded.iter().min().unwrap(), loaded.iter().max().unwrap());
    assert!(*longest <= 1_000_000, "{longest}");
    assert!(*shortest >= 450_000, "{shortest}");
    assert!(longest - shortest > 350_000, "{shortest} to {longest}");
    // What is set by hand lives as long as it was told to.
    assert!(by_hand.iter().all(|left| *left > 900_000), "{by_hand:?}");
}

#[tokio::test]
async fn settings_that_make_no_sense_are_refused_by_name() {
    for (builder, setting) in [
        (Cache::builder().max_loads(0), "max_loads"),
        (
            Cache::builder().max_load_wait(Duration::ZERO),
            "max_load_wait",
        ),
        (Cache::builder().ttl_jitter(-0.1), "ttl_jitter"),
        (Cache::builder().ttl_jitter(1.0), "ttl_jitter"),
        (Cache::builder().ttl_jitter(f64::NAN), "ttl_jitter"),
    ] {
        let refusal = builder.open().await.unwrap_err();
        assert_eq!(refusal.kind(), ErrorKind::Config);
        assert!(refusal.to_string().contains(setting), "{refusal}");
    }
}

#[tokio::test]
async fn a_redis_that_fails_is_an_error_and_no_miss() {
    let server = RedisServer::start();
    let builder = Cache::builder().redis_url(server.url());
    let builder = builder.response_timeout(Duration::from_millis(30));
    let cache = builder.open().await.unwrap();
    let origin = Origin::new();
    origin.open.add_permits(10);
    let call = |id| with_cache(cache.clone(), row(Arc::clone(&origin), id));

    call(1).await;
    let well = cache.stats();
    assert_eq!((well.misses, well.loads, well.errors), (1, 1, 0));

    server.pause();
    call(2).await;
    let hung = cache.stats();
    assert_eq!(
        (hung.misses, hung.loads),
        (1, 2),
        "nobody knows whether it was there"
    );
    assert!(hung.errors >= 1);

    // Once it is known to be away the process is the tier that is asked.
    let mut id = 3;
    while cache.mode() == Mode::Redis {
        call(id).await;
        id += 1;
    }
    let before = cache.stats();
    call(100).await;
    let away = cache.stats();
    assert_eq!(away.misses, before.misses + 1);
    assert_eq!(away.errors, before.errors);
    server.resume();
}
