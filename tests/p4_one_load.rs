//! P4: concurrent calls for one key in one process run the body once, and no end of the leader hangs or fails the others.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_runtime::{Cache, cached, with_cache};
use support::{RedisServer, wait_until_async};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// A body that counts its runs and waits for leave to end.
#[derive(Clone)]
struct Body {
    runs: Arc<AtomicU64>,
    open: Arc<Semaphore>,
}

impl Body {
    fn new() -> Self {
        Self {
            runs: Arc::default(),
            open: Arc::new(Semaphore::new(0)),
        }
    }

    fn runs(&self) -> u64 {
        self.runs.load(Ordering::SeqCst)
    }

    async fn run(&self) -> u64 {
        let run = self.runs.fetch_add(1, Ordering::SeqCst) + 1;
        self.open.acquire().await.unwrap().forget();
        run
    }

    async fn wait_for_runs(&self, runs: u64) {
        wait_until_async(async || self.runs() >= runs, "the body runs").await;
    }
}

#[cached(ttl = 300, prefix = "video", skip(body))]
async fn video(body: &Body, id: u64) -> u64 {
    let _ = id;
    body.run().await
}

#[cached(ttl = 300, prefix = "video", skip(body))]
async fn panicking_at_first(body: &Body) -> u64 {
    let run = body.run().await;
    assert_ne!(run, 1, "the body's own panic");
    run
}

#[cached(ttl = 300, prefix = "video", skip(body))]
async fn failing_at_first(body: &Body) -> Result<u64, String> {
    match body.run().await {
        1 => Err("not now".into()),
        run => Ok(run),
    }
}

fn call(cache: &Cache, body: &Body, id: u64) -> JoinHandle<u64> {
    let body = body.clone();
    tokio::spawn(with_cache(
        cache.clone(),
        async move { video(&body, id).await },
    ))
}

/// In process, and on a server that lives as long as the tuple.
async fn tiers() -> Vec<(Cache, Option<RedisServer>)> {
    let server = RedisServer::start();
    let in_process = Cache::builder().open().await.unwrap();
    vec![(in_process, None), (on(&server).await, Some(server))]
}

async fn on(server: &RedisServer) -> Cache {
    Cache::builder()
        .redis_url(server.url())
        .response_timeout(Duration::from_secs(5))
        .open()
        .await
        .unwrap()
}

/// Callers that wait for the load of another, and nobody else in between: seen in the cache's own words.
async fn flights(cache: &Cache) -> String {
    let shown = format!("{cache:?}");
    let at = shown.find("flights: ").unwrap();
    shown[at..].to_owned()
}

#[tokio::test]
async fn a_thousand_concurrent_calls_run_the_body_once() {
    for (cache, _server) in tiers().await {
        let body = Body::new();
        let calls: Vec<_> = (0..1_000).map(|_| call(&cache, &body, 1)).collect();
        body.wait_for_runs(1).await;

        body.open.add_permits(1);

        for call in calls {
            assert_eq!(call.await.unwrap(), 1);
        }
        assert_eq!(body.runs(), 1);
        let stats = cache.stats();
        assert_eq!(stats.loads, 1);
        assert_eq!(stats.hits + stats.coalesced, 999);
    }
}

#[tokio::test]
async fn a_cancelled_leader_leaves_the_load_and_the_leave_to_store_it_to_another() {
    for (cache, server) in tiers().await {
        let body = Body::new();
        let leader = call(&cache, &body, 1);
        body.wait_for_runs(1).await;
        let followers: Vec<_> = (0..100).map(|_| call(&cache, &body, 1)).collect();
        settle().await;

        leader.abort();
        body.wait_for_runs(2).await;
        body.open.add_permits(100);

        for follower in followers {
            assert_eq!(follower.await.unwrap(), 2);
        }
        assert_eq!(
            call(&cache, &body, 1).await.unwrap(),
            2,
            "it was not stored"
        );
        assert_eq!(body.runs(), 2);
        no_lease_is_left(server.as_ref()).await;
    }
}

#[tokio::test]
async fn a_leader_that_is_cancelled_alone_leaves_nothing_behind() {
    for (cache, server) in tiers().await {
        let body = Body::new();
        let leader = call(&cache, &body, 1);
        body.wait_for_runs(1).await;

        leader.abort();

        assert!(leader.await.unwrap_err().is_cancelled());
        assert!(flights(&cache).await.starts_with("flights: 0"));
        no_lease_is_left(server.as_ref()).await;
        body.open.add_permits(1);
        assert_eq!(call(&cache, &body, 1).await.unwrap(), 2);
    }
}

#[tokio::test]
async fn a_panic_in_the_leader_reaches_its_own_caller_only() {
    for (cache, server) in tiers().await {
        let body = Body::new();
        let start = |body: Body| {
            tokio::spawn(with_cache(cache.clone(), async move {
                panicking_at_first(&body).await
            }))
        };
        let leader = start(body.clone());
        body.wait_for_runs(1).await;
        let followers: Vec<_> = (0..10).map(|_| start(body.clone())).collect();
        settle().await;

        body.open.add_permits(100);

        assert!(leader.await.unwrap_err().is_panic());
        for follower in followers {
            assert_eq!(follower.await.unwrap(), 2);
        }
        no_lease_is_left(server.as_ref()).await;
    }
}

#[tokio::test]
async fn an_error_in_the_leader_is_its_callers_alone_and_is_not_stored() {
    for (cache, server) in tiers().await {
        let body = Body::new();
        let start = |body: Body| {
            tokio::spawn(with_cache(cache.clone(), async move {
                failing_at_first(&body).await
            }))
        };
        let leader = start(body.clone());
        body.wait_for_runs(1).await;
        let followers: Vec<_> = (0..10).map(|_| start(body.clone())).collect();
        settle().await;

        body.open.add_permits(100);

        assert_eq!(leader.await.unwrap(), Err("not now".into()));
        for follower in followers {
            assert_eq!(follower.await.unwrap(), Ok(2));
        }
        assert_eq!(body.runs(), 2);
        no_lease_is_left(server.as_ref()).await;
    }
}

#[tokio::test]
async fn calls_for_other_keys_do_not_wait() {
    for (cache, _server) in tiers().await {
        let (slow, quick) = (Body::new(), Body::new());
        let held = call(&cache, &slow, 1);
        slow.wait_for_runs(1).await;

        quick.open.add_permits(1);
        assert_eq!(call(&cache, &quick, 2).await.unwrap(), 1);

        slow.open.add_permits(1);
        held.await.unwrap();
    }
}

#[tokio::test]
async fn a_load_in_another_process_neither_blocks_nor_is_overwritten() {
    let server = RedisServer::start();
    let (one, other) = (on(&server).await, on(&server).await);
    let (slow, quick) = (Body::new(), Body::new());
    quick.runs.store(100, Ordering::SeqCst);
    quick.open.add_permits(1);
    let held = call(&one, &slow, 1);
    slow.wait_for_runs(1).await;

    assert_eq!(call(&other, &quick, 1).await.unwrap(), 101);
    slow.open.add_permits(1);
    held.await.unwrap();

    assert_eq!(call(&other, &quick, 1).await.unwrap(), 1);
    assert_eq!(call(&one, &slow, 1).await.unwrap(), 1);
}

#[cached(ttl = 300, prefix = "quick", skip(bodies))]
async fn quick(bodies: &AtomicU64, id: u64) -> u64 {
    bodies.fetch_add(1, Ordering::SeqCst);
    id
}

/// A caller may look, find nothing, and come to the lead only when the load it missed has ended: it must then find the value.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_load_that_ends_between_a_look_and_the_lead_is_not_repeated() {
    const KEYS: u64 = 1_500;
    for (cache, _server) in tiers().await {
        let bodies = Arc::new(AtomicU64::new(0));
        for id in 0..KEYS {
            let calls: Vec<_> = (0..6)
                .map(|_| {
                    let bodies = Arc::clone(&bodies);
                    tokio::spawn(with_cache(cache.clone(), async move {
                        quick(&bodies, id).await
                    }))
                })
                .collect();
            for call in calls {
                assert_eq!(call.await.unwrap(), id);
            }
        }
        assert_eq!(bodies.load(Ordering::SeqCst), KEYS);
    }
}

/// Lets every task that can run do so: the followers take their seats.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}

async fn no_lease_is_left(server: Option<&RedisServer>) {
    if let Some(server) = server {
        let none = async || server.keys("lease@*").is_empty();
        wait_until_async(none, "every lease is given back").await;
    }
}
