//! P4: concurrent calls for one key in one process run the body once, and no end of the leader hangs or fails the others.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_runtime::{Cache, cached, with_cache};
use support::{DEADLINE, Process, RedisServer, on, process, wait_until_async};
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

/// Callers that wait for the load of another, and nobody else in between: seen in the cache's own words.
async fn flights(cache: &Cache) -> String {
    let shown = format!("{cache:?}");
    let at = shown.find("flights: ").unwrap();
    shown[at..].to_owned()
}

#[tokio::test]
async fn a_thousand_concurrent_calls_run_the_body_once() {
    for (cache, server) in tiers().await {
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
        no_lease_is_left(server.as_ref()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn so_do_a_thousand_on_many_threads_by_hand() {
    for (cache, server) in tiers().await {
        for round in 0..20 {
            let runs = Arc::new(AtomicU64::new(0));
            let key = format!("by:hand:{round}");
            let calls: Vec<_> = (0..1_000)
                .map(|_| {
                    let (cache, runs, key) = (cache.clone(), Arc::clone(&runs), key.clone());
                    tokio::spawn(async move {
                        let load = || async {
                            let run = runs.fetch_add(1, Ordering::SeqCst) + 1;
                            tokio::task::yield_now().await;
                            Ok::<_, String>(run)
                        };
                        cache.get_or_set(&key, None, load).await
                    })
                })
                .collect();

            for call in calls {
                assert_eq!(call.await.unwrap(), Ok(1));
            }
            assert_eq!(runs.load(Ordering::SeqCst), 1, "{:?}", cache.mode());
        }
        no_lease_is_left(server.as_ref()).await;
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
        assert_eq!(start(body.clone()).await.unwrap(), 2, "it was not stored");
        assert_eq!(body.runs(), 2);
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

#[cached(ttl = 300, prefix = "video", skip(body))]
async fn always_failing(body: &Body) -> Result<u64, String> {
    Err(format!("run {}", body.run().await))
}

#[tokio::test]
async fn where_every_load_fails_everybody_gets_an_error_and_nothing_is_stored() {
    const CALLS: u64 = 50;
    for (cache, server) in tiers().await {
        let body = Body::new();
        body.open.add_permits(usize::try_from(CALLS).unwrap() + 1);
        let start = || {
            let body = body.clone();
            tokio::spawn(with_cache(cache.clone(), async move {
                always_failing(&body).await
            }))
        };
        let calls: Vec<_> = (0..CALLS).map(|_| start()).collect();

        for call in calls {
            let answer = tokio::time::timeout(DEADLINE, call).await;
            answer.expect("a call hangs").unwrap().unwrap_err();
        }

        assert!(body.runs() <= CALLS, "{} loads", body.runs());
        assert_eq!(cache.clear("*").await.unwrap(), 0, "something was stored");
        let before = body.runs();
        start().await.unwrap().unwrap_err();
        assert_eq!(body.runs(), before + 1);
        no_lease_is_left(server.as_ref()).await;
    }
}

/// Leaders and followers give up at random moments; whoever stays gets a value, and the seat passes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_stays_gets_a_value_whoever_gives_up() {
    for (cache, server) in tiers().await {
        for round in 0..30 {
            let body = Body::new();
            let calls: Vec<_> = (0..60).map(|_| call(&cache, &body, round)).collect();
            let (mut leaving, mut staying) = (Vec::new(), Vec::new());
            for (number, call) in calls.into_iter().enumerate() {
                if number % 3 == 2 {
                    staying.push(call);
                } else {
                    leaving.push(call);
                }
            }
            for call in leaving {
                call.abort();
                tokio::task::yield_now().await;
            }
            body.open.add_permits(1_000);

            for call in staying {
                let value = tokio::time::timeout(DEADLINE, call).await;
                let value = value.expect("a call hangs").unwrap();
                assert!((1..=body.runs()).contains(&value));
            }
        }
        assert!(flights(&cache).await.starts_with("flights: 0"));
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

/// Played by a second process, which dies of it.
#[tokio::test]
async fn the_second_process() {
    let Some(part) = process::part() else { return };
    let cache = Cache::builder()
        .redis_url(&part.server)
        .lease(Duration::from_millis(500))
        .open()
        .await
        .unwrap();
    let body = Body::new();
    let held = call(&cache, &body, 1);
    body.wait_for_runs(1).await;
    process::pause_here();
    held.abort();
}

#[tokio::test]
async fn a_process_that_dies_while_it_loads_leaves_no_more_than_a_lease_that_ends() {
    let server = RedisServer::start();
    let cache = on(&server).await;
    let body = Body::new();
    body.open.add_permits(1_000);
    let mut other = Process::start("the_second_process", "load", &server.url());
    other.paused();
    assert_eq!(server.keys("lease@*").len(), 1);

    drop(other);

    let answer = tokio::time::timeout(DEADLINE, call(&cache, &body, 1)).await;
    answer.expect("it waits for the dead").unwrap();
    let stored = async || {
        call(&cache, &body, 1).await.unwrap();
        !server.keys("video:*").is_empty()
    };
    wait_until_async(stored, "the lease has ended and a fill is accepted").await;
    let runs = body.runs();
    assert_eq!(call(&cache, &body, 1).await.unwrap(), runs);
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
        assert_eq!(bodies.load(Ordering::SeqCst), KEYS, "{:?}", cache.mode());
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
