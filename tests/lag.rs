//! P2: that a value in process may lag behind by a second, and no more, holds also where a caller gives up half-way and where
//! Redis does not answer for a while.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_runtime::{Cache, Mode, cached, with_cache};
use support::{Fault, Proxy, RedisServer, wait_until_async};
use tokio::sync::Semaphore;

/// How far a value in process may lag behind what another process has invalidated.
const MAX_LAG: Duration = Duration::from_secs(1);

/// A generation that guards entries of a minute is made for a day, one that guards entries of two days for longer.
const DAY_MS: i64 = 86_400_000;
const TWO_DAYS: Duration = Duration::from_secs(172_800);

struct Truth {
    version: AtomicU64,
    reached: Semaphore,
    open: Semaphore,
}

impl Default for Truth {
    fn default() -> Self {
        Self {
            version: AtomicU64::new(0),
            reached: Semaphore::new(0),
            open: Semaphore::new(0),
        }
    }
}

#[cached(ttl = "1m", prefix = "film", key = "{id}")]
async fn film(truth: &Truth, id: u64) -> u64 {
    truth.version.load(Ordering::SeqCst)
}

#[cached(ttl = "2d", prefix = "film", key = "{id}")]
async fn film_for_long(truth: &Truth, id: u64) -> u64 {
    truth.version.load(Ordering::SeqCst)
}

/// Reads, and is held.
#[cached(ttl = "1m", prefix = "film", key = "{id}")]
async fn film_slowly(truth: &Truth, id: u64) -> u64 {
    let version = truth.version.load(Ordering::SeqCst);
    truth.reached.add_permits(1);
    truth.open.acquire().await.unwrap().forget();
    version
}

/// Soon expired, and then returned while it is loaded anew.
#[cached(
    ttl = "1ms",
    prefix = "film",
    key = "{id}",
    stale_while_revalidate = "1m"
)]
async fn film_even_if_expired(truth: &Truth, id: u64) -> u64 {
    truth.version.load(Ordering::SeqCst)
}

/// The same, held.
#[cached(
    ttl = "1ms",
    prefix = "film",
    key = "{id}",
    stale_while_revalidate = "1m"
)]
async fn film_even_if_expired_slowly(truth: &Truth, id: u64) -> u64 {
    let version = truth.version.load(Ordering::SeqCst);
    truth.reached.add_permits(1);
    truth.open.acquire().await.unwrap().forget();
    version
}

/// A cache behind a network with faults, and one that invalidates.
struct Scene {
    server: RedisServer,
    network: Proxy,
    cache: Cache,
    other: Cache,
    truth: Arc<Truth>,
}

impl Scene {
    async fn new(response_timeout: Duration) -> Self {
        let server = RedisServer::start();
        let network = Proxy::start(server.port());
        let open = async |url: String| {
            let builder = Cache::builder().redis_url(url);
            let builder = builder.response_timeout(response_timeout);
            let builder = builder.fallback_ttl(MAX_LAG);
            builder.open().await.unwrap()
        };
        Self {
            cache: open(network.url()).await,
            other: open(server.url()).await,
            server,
            network,
            truth: Arc::default(),
        }
    }

    async fn read(&self) -> u64 {
        with_cache(self.cache.clone(), film(&self.truth, 1)).await
    }

    /// Has film 1 in process, and its generation made for entries of a minute.
    async fn keep(&self) {
        self.read().await;
        let before = self.cache.stats().near_hits;
        assert_eq!(self.read().await, 0);
        assert_eq!(self.cache.stats().near_hits, before + 1);
    }

    /// The server has prolonged the generation, of which the process learns later.
    async fn prolonged(&self) {
        let left = async || self.server.cli(&["PTTL", "gen@film"]).parse::<i64>();
        let prolonged = async || left().await.unwrap() > 2 * DAY_MS;
        wait_until_async(prolonged, "the generation is prolonged").await;
    }

    /// Another process changes film 1 and invalidates.
    async fn change(&self) {
        self.truth.version.fetch_add(1, Ordering::SeqCst);
        let told = self.other.invalidate_prefix("film").await.unwrap();
        assert!(told.is_confirmed(), "{told:?}");
    }
}

#[tokio::test]
async fn a_call_given_up_while_it_prolongs_a_generation_leaves_nothing_that_lags() {
    let scene = Scene::new(Duration::from_secs(5)).await;
    scene.keep().await;
    scene.network.set(Fault::Delay(Duration::from_millis(100)));
    let call = tokio::spawn(with_cache(scene.cache.clone(), {
        let truth = Arc::clone(&scene.truth);
        async move { film_for_long(&truth, 2).await }
    }));
    scene.prolonged().await;
    call.abort();
    call.await.unwrap_err();
    scene.network.set(Fault::None);

    scene.change().await;
    // It is about time itself: what lags for longer than allowed lags until its ttl ends.
    tokio::time::sleep(MAX_LAG).await;

    assert_eq!(scene.read().await, 1);
}

#[tokio::test]
async fn nor_does_a_set_given_up_while_it_prolongs_one() {
    let scene = Scene::new(Duration::from_secs(5)).await;
    scene.keep().await;
    scene.network.set(Fault::Delay(Duration::from_millis(100)));
    let set = tokio::spawn({
        let cache = scene.cache.clone();
        async move { cache.set("film:2", &0_u64, TWO_DAYS).await }
    });
    scene.prolonged().await;
    set.abort();
    set.await.unwrap_err();
    scene.network.set(Fault::None);

    scene.change().await;
    tokio::time::sleep(MAX_LAG).await;

    assert_eq!(scene.read().await, 1);
}

#[tokio::test]
async fn a_call_that_redis_does_not_answer_does_not_follow_a_load_from_long_ago() {
    let scene = Scene::new(Duration::from_millis(100)).await;
    let slow = tokio::spawn(with_cache(scene.cache.clone(), {
        let truth = Arc::clone(&scene.truth);
        async move { film_slowly(&truth, 1).await }
    }));
    scene.truth.reached.acquire().await.unwrap().forget();
    scene.change().await;
    tokio::time::sleep(MAX_LAG).await;
    scene.network.set(Fault::BlackHole);

    let read = tokio::time::timeout(Duration::from_millis(500), scene.read()).await;

    assert_eq!(read, Ok(1), "it followed the load that is held");
    scene.truth.open.add_permits(1);
    assert_eq!(slow.await.unwrap(), 0);
}

#[tokio::test]
async fn nor_does_one_that_does_not_ask_redis_although_it_is_back() {
    let scene = Scene::new(Duration::from_millis(100)).await;
    scene.network.set(Fault::Refuse);
    // The breaker opens, and stays open until somebody asks after its back-off.
    assert_eq!(scene.cache.health().await.mode, Mode::Fallback);
    let slow = tokio::spawn(with_cache(scene.cache.clone(), {
        let truth = Arc::clone(&scene.truth);
        async move { film_slowly(&truth, 1).await }
    }));
    scene.truth.reached.acquire().await.unwrap().forget();
    scene.change().await;
    tokio::time::sleep(MAX_LAG).await;
    scene.network.set(Fault::None);

    let read = tokio::time::timeout(Duration::from_millis(500), scene.read()).await;

    assert_eq!(read, Ok(1), "it followed the load that is held");
    scene.truth.open.add_permits(1);
    assert_eq!(slow.await.unwrap(), 0);
}

#[tokio::test]
async fn what_the_process_keeps_without_redis_is_not_returned_after_the_fallback_ttl_expired_or_not()
 {
    let scene = Scene::new(Duration::from_millis(100)).await;
    scene.network.set(Fault::Refuse);
    assert_eq!(scene.cache.health().await.mode, Mode::Fallback);
    let read = || with_cache(scene.cache.clone(), film_even_if_expired(&scene.truth, 1));
    assert_eq!(read().await, 0);
    scene.change().await;
    tokio::time::sleep(MAX_LAG).await;
    let slow = tokio::spawn(with_cache(scene.cache.clone(), {
        let truth = Arc::clone(&scene.truth);
        async move { film_even_if_expired_slowly(&truth, 1).await }
    }));
    scene.truth.reached.acquire().await.unwrap().forget();
    scene.truth.open.add_permits(1);

    assert_eq!(read().await, 1);
    assert_eq!(slow.await.unwrap(), 1);
}
