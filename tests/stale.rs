//! Expired values: returned while another is loaded, where the body fails or takes too long, and never once they were
//! invalidated. In process and on Redis.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use cache_runtime::{Cache, cache_invalidate, cached, with_cache};
use support::{RedisServer, wait_until_async};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// What stands behind the cache: a version, which can be held back, and refused.
struct Origin {
    version: AtomicU64,
    runs: AtomicU64,
    reached: Semaphore,
    held: AtomicBool,
    open: Semaphore,
    fails: AtomicBool,
}

impl Origin {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            version: AtomicU64::new(1),
            runs: AtomicU64::new(0),
            reached: Semaphore::new(0),
            held: AtomicBool::new(false),
            open: Semaphore::new(0),
            fails: AtomicBool::new(false),
        })
    }

    async fn ask(&self) -> Result<u64, String> {
        self.runs.fetch_add(1, Ordering::SeqCst);
        let version = self.version.load(Ordering::SeqCst);
        self.reached.add_permits(1);
        if self.held.load(Ordering::SeqCst) {
            self.open.acquire().await.unwrap().forget();
        }
        match self.fails.load(Ordering::SeqCst) {
            true => Err(format!("failed at version {version}")),
            false => Ok(version),
        }
    }

    fn runs(&self) -> u64 {
        self.runs.load(Ordering::SeqCst)
    }

    /// Waits until a body has begun that nobody has waited for yet.
    async fn reached(&self) {
        self.reached.acquire().await.unwrap().forget();
    }

    fn hold(&self) {
        self.held.store(true, Ordering::SeqCst);
        // What earlier bodies have left.
        for left in [&self.reached, &self.open] {
            left.forget_permits(usize::MAX >> 4);
        }
    }

    fn release(&self) {
        self.held.store(false, Ordering::SeqCst);
        self.open.add_permits(1_000);
    }
}

// Each expires at once, and is then of use for a minute.

#[cached(
    ttl = "1ms",
    prefix = "film",
    key = "{id}",
    tags = "films",
    stale_if_error = "1m"
)]
async fn or_stale(origin: &Origin, id: u64) -> Result<u64, String> {
    origin.ask().await
}

#[cached(
    ttl = "1ms",
    prefix = "film",
    key = "{id}",
    tags = "films",
    stale_while_revalidate = "1m"
)]
async fn behind(origin: Arc<Origin>, id: u64) -> Result<u64, String> {
    origin.ask().await
}

#[cached(
    ttl = "1ms",
    prefix = "film",
    key = "{id}",
    tags = "films",
    stale_while_revalidate = "1m",
    background = false
)]
async fn in_front(origin: Arc<Origin>, id: u64) -> Result<u64, String> {
    origin.ask().await
}

const TIMEOUT: Duration = Duration::from_millis(100);

#[cached(
    ttl = "1ms",
    prefix = "film",
    key = "{id}",
    tags = "films",
    stale_if_error = "1m",
    load_timeout = "100ms"
)]
async fn in_time(origin: Arc<Origin>, id: u64) -> Result<u64, String> {
    origin.ask().await
}

#[cached(
    ttl = "1ms",
    prefix = "film",
    key = "{id}",
    tags = "films",
    stale_if_error = "1m",
    load_timeout = "1m"
)]
async fn panicking(origin: Arc<Origin>, id: u64) -> Result<u64, String> {
    match origin.ask().await {
        Ok(1) => Ok(1),
        _ => panic!("the body's own panic"),
    }
}

#[cached(
    ttl = "1ms",
    prefix = "film",
    key = "{id}",
    tags = "films",
    stale_while_revalidate = "1m",
    early_refresh = true
)]
async fn in_front_or_early(origin: &Origin, id: u64) -> Result<u64, String> {
    origin.ask().await
}

#[cached(ttl = "1h", prefix = "film", key = "{id}:kept", tags = "films")]
async fn kept(origin: Arc<Origin>, id: u64) -> Result<u64, String> {
    origin.ask().await
}

/// What it returns was stored by another function, so it must find the same cache inside.
#[cached(
    ttl = "1ms",
    prefix = "film",
    key = "{id}:outer",
    stale_while_revalidate = "1m"
)]
async fn outer(origin: Arc<Origin>, id: u64) -> Result<u64, String> {
    origin.ask().await?;
    kept(origin, id).await
}

#[cache_invalidate(prefix = "film", key = "{id}")]
async fn change_entry(id: u64) {}

#[cache_invalidate(prefix = "film")]
async fn change_prefix() {}

#[cache_invalidate(tags = "films")]
async fn change_tag() {}

/// A cache and what stands behind it.
struct Scene {
    cache: Cache,
    origin: Arc<Origin>,
    _server: Option<RedisServer>,
}

impl Scene {
    async fn both() -> [Self; 2] {
        let server = RedisServer::start();
        let redis = Cache::builder().redis_url(server.url()).open();
        [
            Self {
                cache: Cache::builder().open().await.unwrap(),
                origin: Origin::new(),
                _server: None,
            },
            Self {
                cache: redis.await.unwrap(),
                origin: Origin::new(),
                _server: Some(server),
            },
        ]
    }

    async fn inside<F: Future>(&self, future: F) -> F::Output {
        with_cache(self.cache.clone(), future).await
    }

    fn origin(&self) -> Arc<Origin> {
        Arc::clone(&self.origin)
    }

    /// Has the first version stored, and goes on to the second.
    async fn expired(&self) {
        let stored = self.inside(behind(self.origin(), 1)).await;
        assert_eq!(stored, Ok(1));
        self.origin.version.store(2, Ordering::SeqCst);
        // One millisecond by the server's clock, which is read to the millisecond.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    fn spawn<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        tokio::spawn(with_cache(self.cache.clone(), future))
    }

    async fn invalidate(&self, way: usize) {
        match way {
            0 => self.inside(change_entry(1)).await,
            1 => self.inside(change_prefix()).await,
            _ => self.inside(change_tag()).await,
        }
    }
}

#[tokio::test]
async fn where_the_body_fails_an_expired_value_is_returned() {
    for scene in Scene::both().await {
        scene.expired().await;
        scene.origin.fails.store(true, Ordering::SeqCst);
        let before = scene.cache.stats();

        assert_eq!(scene.inside(or_stale(&scene.origin, 1)).await, Ok(1));

        let after = scene.cache.stats();
        assert_eq!(after.loads - before.loads, 1, "the body was tried");
        assert_eq!(after.stale_served - before.stale_served, 1);
        scene.origin.fails.store(false, Ordering::SeqCst);
        assert_eq!(scene.inside(or_stale(&scene.origin, 1)).await, Ok(2));
    }
}

#[tokio::test]
async fn without_a_window_or_a_value_the_error_is_the_callers() {
    for scene in Scene::both().await {
        scene.expired().await;
        scene.origin.fails.store(true, Ordering::SeqCst);
        let failure = Err("failed at version 2".to_owned());

        assert_eq!(scene.inside(or_stale(&scene.origin, 2)).await, failure);
        assert_eq!(scene.inside(kept(scene.origin(), 1)).await, failure);
        // Expired values of `in_front` are for those who need not load.
        assert_eq!(scene.inside(in_front(scene.origin(), 1)).await, failure);
        let read = scene.inside(in_front_or_early(&scene.origin, 1)).await;
        assert_eq!(
            read, failure,
            "a value that has expired is none to fall back on"
        );
    }
}

#[tokio::test]
async fn who_follows_a_load_that_fails_gets_the_expired_value_without_another_try() {
    for scene in Scene::both().await {
        scene.expired().await;
        scene.origin.fails.store(true, Ordering::SeqCst);
        scene.origin.hold();
        let runs = scene.origin.runs();
        let calls: Vec<_> = (0..50)
            .map(|_| {
                let origin = scene.origin();
                scene.spawn(async move { or_stale(&origin, 1).await })
            })
            .collect();
        scene.origin.reached().await;
        // Everybody has looked, and follows.
        wait_until_async(
            async || format!("{:?}", scene.cache).contains("flights: 1"),
            "one flight",
        )
        .await;
        scene.origin.release();

        for call in calls {
            assert_eq!(call.await.unwrap(), Ok(1));
        }
        assert!(
            scene.origin.runs() - runs <= 2,
            "each tried for itself: {}",
            scene.origin.runs() - runs
        );
    }
}

#[tokio::test]
async fn what_was_invalidated_is_not_returned_even_if_that_was_during_the_load_that_fails() {
    for scene in Scene::both().await {
        for way in 0..3 {
            scene.origin.version.store(1, Ordering::SeqCst);
            scene.origin.fails.store(false, Ordering::SeqCst);
            scene.invalidate(1).await;
            scene.expired().await;
            scene.origin.fails.store(true, Ordering::SeqCst);
            scene.origin.hold();
            let origin = scene.origin();
            let call = scene.spawn(async move { or_stale(&origin, 1).await });
            scene.origin.reached().await;
            scene.invalidate(way).await;
            scene.origin.release();

            let failure = Err("failed at version 2".to_owned());
            assert_eq!(call.await.unwrap(), failure, "way {way}, during the load");
            assert_eq!(
                scene.inside(or_stale(&scene.origin, 1)).await,
                failure,
                "way {way}, afterwards"
            );
        }
    }
}

#[tokio::test]
async fn an_expired_value_is_returned_at_once_while_a_task_loads_another() {
    for scene in Scene::both().await {
        scene.expired().await;
        scene.origin.hold();
        let runs = scene.origin.runs();

        for _ in 0..20 {
            // The body is held, so nobody can have waited for it.
            assert_eq!(scene.inside(behind(scene.origin(), 1)).await, Ok(1));
        }
        scene.origin.reached().await;
        assert_eq!(scene.origin.runs() - runs, 1);
        scene.origin.release();

        let fresh = async || scene.inside(behind(scene.origin(), 1)).await == Ok(2);
        wait_until_async(fresh, "the new value is there").await;
    }
}

#[tokio::test]
async fn a_caller_that_is_dropped_leaves_the_load_behind_it_alone() {
    for scene in Scene::both().await {
        scene.expired().await;
        scene.origin.hold();
        let caller = scene.spawn(behind(scene.origin(), 1));
        assert_eq!(caller.await.unwrap(), Ok(1));
        scene.origin.reached().await;
        scene.origin.release();
        let runs = scene.origin.runs();
        wait_until_async(
            async || format!("{:?}", scene.cache).contains("flights: 0"),
            "the load has ended",
        )
        .await;
        assert_eq!(scene.origin.runs(), runs);
    }
}

#[tokio::test]
async fn where_it_is_not_to_run_behind_one_caller_loads_and_the_others_do_not_wait() {
    for scene in Scene::both().await {
        scene.expired().await;
        scene.origin.hold();
        let loads = scene.spawn(in_front(scene.origin(), 1));
        scene.origin.reached().await;

        assert_eq!(scene.inside(in_front(scene.origin(), 1)).await, Ok(1));
        assert!(!loads.is_finished());
        scene.origin.release();
        assert_eq!(loads.await.unwrap(), Ok(2));
    }
}

#[tokio::test]
async fn a_load_behind_that_was_overtaken_by_an_invalidation_stores_nothing() {
    for scene in Scene::both().await {
        for way in 0..3 {
            scene.origin.version.store(1, Ordering::SeqCst);
            scene.invalidate(1).await;
            scene.expired().await;
            scene.origin.hold();
            assert_eq!(scene.inside(behind(scene.origin(), 1)).await, Ok(1));
            scene.origin.reached().await;
            scene.origin.version.store(3, Ordering::SeqCst);
            scene.invalidate(way).await;
            scene.origin.release();

            let read = scene.inside(behind(scene.origin(), 1)).await;
            assert_eq!(read, Ok(3), "way {way}");
        }
    }
}

#[tokio::test]
async fn what_runs_behind_uses_the_cache_of_its_caller() {
    for scene in Scene::both().await {
        assert_eq!(scene.inside(outer(scene.origin(), 1)).await, Ok(1));
        tokio::time::sleep(Duration::from_millis(5)).await;
        scene.inside(change_prefix()).await;
        assert_eq!(scene.inside(outer(scene.origin(), 1)).await, Ok(1));
        tokio::time::sleep(Duration::from_millis(5)).await;
        scene.origin.version.store(2, Ordering::SeqCst);
        let runs = scene.origin.runs();

        assert_eq!(scene.inside(outer(scene.origin(), 1)).await, Ok(1));
        let ran = async || scene.origin.runs() > runs;
        wait_until_async(ran, "the load behind has begun").await;
        wait_until_async(
            async || format!("{:?}", scene.cache).contains("flights: 0"),
            "and ended",
        )
        .await;
        assert_eq!(scene.origin.runs(), runs + 1, "the inner one was a hit");
    }
}

#[tokio::test]
async fn a_load_that_takes_too_long_goes_on_while_the_expired_value_is_returned() {
    for scene in Scene::both().await {
        scene.expired().await;
        scene.origin.hold();
        let runs = scene.origin.runs();
        let began = tokio::time::Instant::now();
        let calls: Vec<_> = (0..20)
            .map(|_| scene.spawn(in_time(scene.origin(), 1)))
            .collect();
        for call in calls {
            assert_eq!(call.await.unwrap(), Ok(1));
        }
        assert!(began.elapsed() >= TIMEOUT, "nobody waited");
        assert_eq!(scene.origin.runs() - runs, 1);
        scene.origin.release();

        let ended = async || format!("{:?}", scene.cache).contains("flights: 0");
        wait_until_async(ended, "the load has ended").await;
        scene.origin.fails.store(true, Ordering::SeqCst);
        // What it loaded was stored, by a load whose caller had left.
        assert_eq!(scene.inside(in_time(scene.origin(), 1)).await, Ok(2));
    }
}

#[tokio::test]
async fn without_a_value_to_return_a_load_is_waited_for_to_its_end() {
    for scene in Scene::both().await {
        scene.origin.hold();
        let call = scene.spawn(in_time(scene.origin(), 1));
        scene.origin.reached().await;
        tokio::time::sleep(TIMEOUT * 2).await;
        assert!(!call.is_finished());
        scene.origin.release();
        assert_eq!(call.await.unwrap(), Ok(1));
    }
}

#[tokio::test]
async fn what_was_invalidated_during_a_load_is_waited_for_however_long_it_takes() {
    for scene in Scene::both().await {
        for way in 0..3 {
            scene.origin.version.store(1, Ordering::SeqCst);
            scene.invalidate(1).await;
            scene.expired().await;
            scene.origin.hold();
            let call = scene.spawn(in_time(scene.origin(), 1));
            scene.origin.reached().await;
            scene.invalidate(way).await;
            tokio::time::sleep(TIMEOUT * 2).await;
            assert!(!call.is_finished(), "way {way}");
            scene.origin.release();
            assert_eq!(call.await.unwrap(), Ok(2), "way {way}");
        }
    }
}

#[tokio::test]
async fn the_panic_of_a_body_in_a_task_of_its_own_is_its_callers() {
    for scene in Scene::both().await {
        scene.expired().await;
        let call = scene.spawn(panicking(scene.origin(), 1));
        let ended = call.await.unwrap_err();
        let panic = *ended.into_panic().downcast::<&str>().unwrap();
        assert_eq!(panic, "the body's own panic");
        // And nothing is left of it.
        assert_eq!(scene.inside(behind(scene.origin(), 1)).await, Ok(1));
    }
}

/// Takes a tenth of its ttl.
#[cached(ttl = "1s", prefix = "early", skip(origin), early_refresh = true)]
async fn early(origin: Arc<Origin>, id: u64) -> Result<u64, String> {
    tokio::time::sleep(Duration::from_millis(100)).await;
    origin.ask().await
}

#[cached(ttl = "1s", prefix = "late", skip(origin))]
async fn late(origin: Arc<Origin>, id: u64) -> Result<u64, String> {
    tokio::time::sleep(Duration::from_millis(100)).await;
    origin.ask().await
}

/// Of so many calls, 10 ms apart, how many had to wait.
async fn waits<F: Future<Output = Result<u64, String>>>(call: impl Fn() -> F) -> u32 {
    let mut waited = 0;
    for _ in 0..10_000 {
        let began = tokio::time::Instant::now();
        call().await.unwrap();
        waited += u32::from(began.elapsed() > Duration::from_millis(50));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    waited
}

#[tokio::test(start_paused = true)]
async fn a_value_that_is_loaded_early_is_hardly_ever_waited_for() {
    let cache = Cache::builder().open().await.unwrap();
    let origin = Origin::new();
    with_cache(cache, async {
        let late = waits(|| late(Arc::clone(&origin), 1)).await;
        let early = waits(|| early(Arc::clone(&origin), 1)).await;
        println!("{late} of 10,000 calls waited, {early} with early_refresh");
        assert!(late >= 80, "{late}");
        assert!(early * 4 < late, "{early} of {late}");
    })
    .await;
}

#[tokio::test]
async fn of_many_readers_of_redis_one_loads_early_and_nobody_returns_its_failure() {
    let server = RedisServer::start();
    let open = || Cache::builder().redis_url(server.url()).open();
    let (one, other) = (open().await.unwrap(), open().await.unwrap());
    let origin = Origin::new();
    assert_eq!(
        with_cache(one.clone(), early(Arc::clone(&origin), 1)).await,
        Ok(1)
    );
    origin.fails.store(true, Ordering::SeqCst);
    let began = tokio::time::Instant::now();
    let mut reads = 0;
    // As long as it has certainly not expired.
    while began.elapsed() < Duration::from_millis(800) {
        for cache in [&one, &other] {
            let read = with_cache(cache.clone(), early(Arc::clone(&origin), 1)).await;
            if began.elapsed() < Duration::from_millis(800) {
                assert_eq!(read, Ok(1), "after {:?}", began.elapsed());
                reads += 1;
            }
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(reads > 100, "{reads}");
    assert!(origin.runs() > 1, "none of them loaded");
}
