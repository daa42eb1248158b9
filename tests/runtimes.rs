//! One cache in many runtimes, in calls dropped at any moment, and outside tokio.

mod support;

use std::future::{Future, poll_fn};
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use cache_runtime::{Cache, Mode, cache_invalidate, cached, with_cache};
use support::{Log, RedisServer, wait_until_async};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;
use tracing::Level;

#[derive(Clone, Default)]
struct Source {
    bodies: Arc<AtomicU64>,
    /// Times the body gives way before it returns.
    pauses: usize,
    /// What the body waits for.
    gate: Option<Arc<Semaphore>>,
}

impl Source {
    fn bodies(&self) -> u64 {
        self.bodies.load(Ordering::SeqCst)
    }
}

#[cached(ttl = 300, prefix = "video", skip(source))]
async fn video(source: &Source, id: u64) -> String {
    source.bodies.fetch_add(1, Ordering::SeqCst);
    for _ in 0..source.pauses {
        pause().await;
    }
    if let Some(gate) = &source.gate {
        gate.acquire().await.unwrap().forget();
    }
    format!("video {id}")
}

/// Gives way once, in any executor.
async fn pause() {
    let mut paused = false;
    poll_fn(|context| {
        if std::mem::replace(&mut paused, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn multi_thread() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap()
}

async fn on(server: &RedisServer) -> Cache {
    Cache::builder()
        .redis_url(server.url())
        .near(false)
        .response_timeout(Duration::from_secs(5))
        .open()
        .await
        .unwrap()
}

/// Loads an entry and finds it again, in Redis.
async fn check(cache: &Cache, source: &Source, id: u64) {
    let before = cache.stats();
    for _ in 0..2 {
        let value = with_cache(cache.clone(), video(source, id)).await;
        assert_eq!(value, format!("video {id}"));
    }
    assert_eq!(cache.mode(), Mode::Redis);
    let after = cache.stats();
    assert!(after.hits > before.hits);
    assert_eq!(after.near_hits, before.near_hits, "answered from Redis");
}

// --- many runtimes --------------------------------------------------------------------------

#[test]
fn runtimes_one_after_another_share_one_cache() {
    let log = Log::of_this_process();
    let server = RedisServer::start();
    let cache = current_thread().block_on(on(&server));
    let source = Source::default();

    for id in 0..400 {
        let runtime = if id % 3 == 0 {
            multi_thread()
        } else {
            current_thread()
        };
        runtime.block_on(check(&cache, &source, id));
    }

    assert_eq!(source.bodies(), 400);
    assert_eq!(server.keys("video:*").len(), 400);
    assert!(!log.mentions(&format!("127.0.0.1:{} unreachable", server.port())));
    let connected = server.cli(&["CLIENT", "LIST", "TYPE", "normal"]);
    // The runtimes are gone, and their connections with them; one is the test's own.
    assert!(connected.lines().count() <= 3, "{connected}");
}

#[test]
fn runtimes_side_by_side_share_one_cache() {
    let server = RedisServer::start();
    let cache = current_thread().block_on(on(&server));
    let source = Source::default();

    thread::scope(|scope| {
        for number in 0..16 {
            let (cache, source) = (&cache, &source);
            scope.spawn(move || {
                let runtime = if number % 2 == 0 {
                    multi_thread()
                } else {
                    current_thread()
                };
                for round in 0..10 {
                    runtime.block_on(check(cache, source, number * 100 + round));
                }
            });
        }
    });

    assert_eq!(source.bodies(), 160);
    assert_eq!(server.keys("video:*").len(), 160);
}

#[test]
fn more_runtimes_at_once_than_connections_are_kept_for_lose_nothing() {
    let server = RedisServer::start();
    let cache = current_thread().block_on(on(&server));
    let source = Source::default();
    let runtimes: Vec<_> = (0..80).map(|_| current_thread()).collect();

    for round in 0..2 {
        for (number, runtime) in (0..).zip(&runtimes) {
            runtime.block_on(check(&cache, &source, round * 1_000 + number));
        }
    }

    assert_eq!(source.bodies(), 160);
}

#[test]
fn a_call_in_one_runtime_waits_for_the_load_of_another_runtime() {
    let server = RedisServer::start();
    let cache = current_thread().block_on(on(&server));
    for id in 0..10 {
        let gate = Arc::new(Semaphore::new(0));
        let source = Source {
            gate: Some(Arc::clone(&gate)),
            ..Source::default()
        };
        let call = || {
            let call = with_cache(cache.clone(), video(&source, id));
            assert_eq!(current_thread().block_on(call), format!("video {id}"));
        };

        thread::scope(|scope| {
            scope.spawn(call);
            support::wait_until(|| source.bodies() == 1, "the load has begun");
            for _ in 0..8 {
                scope.spawn(call);
            }
            gate.add_permits(100);
        });

        assert_eq!(source.bodies(), 1);
    }
}

#[test]
fn a_runtime_that_ends_in_the_middle_of_a_load_leaves_nothing_locked() {
    let server = RedisServer::start();
    let cache = current_thread().block_on(on(&server));
    let source = Source::default();
    let endless = Source {
        pauses: usize::MAX,
        ..source.clone()
    };
    for id in 0..20 {
        let runtime = multi_thread();
        let (cache_of_it, endless) = (cache.clone(), endless.clone());
        let before = source.bodies();
        runtime.spawn(with_cache(
            cache_of_it,
            async move { video(&endless, id).await },
        ));
        support::wait_until(|| source.bodies() > before, "the load has begun");

        drop(runtime);

        let value = current_thread().block_on(with_cache(cache.clone(), video(&source, id)));
        assert_eq!(value, format!("video {id}"));
    }
}

/// What is true of each record.
type Truths = Arc<[AtomicU64; 8]>;

#[cached(ttl = 300, prefix = "record", key = "{id}", tags = ["records"])]
async fn record(truths: &Truths, id: usize) -> u64 {
    let version = truths[id].load(Ordering::SeqCst);
    pause().await;
    version
}

#[cache_invalidate(prefix = "record", key = "{id}")]
async fn change(truths: &Truths, id: usize) {
    truths[id].fetch_add(1, Ordering::SeqCst);
    // Long enough to be what most runtimes end in.
    for _ in 0..60 {
        pause().await;
    }
}

#[cache_invalidate(tags = ["records"], when = "before")]
async fn change_all(truths: &Truths) {
    for truth in truths.iter() {
        truth.fetch_add(1, Ordering::SeqCst);
        pause().await;
    }
}

/// Reads, changes and invalidates one record, in this runtime and beside others.
fn spawn_all(runtime: &Runtime, cache: &Cache, truths: &Truths, id: usize, all: bool) {
    let spawn = |work: Pin<Box<dyn Future<Output = ()> + Send>>| {
        runtime.spawn(with_cache(cache.clone(), work));
    };
    let (one, other, third) = (truths.clone(), truths.clone(), truths.clone());
    spawn(Box::pin(async move {
        let _ = record(&one, id).await;
    }));
    spawn(Box::pin(async move { change(&other, id).await }));
    if id == 0 && all {
        spawn(Box::pin(async move { change_all(&third).await }));
    }
    let cache = cache.clone();
    spawn(Box::pin(async move {
        let _ = cache.get_many::<u64>(["record:0", "record:1"]).await;
        // Others than those: what these invalidate would hide what a change has not.
        let _ = cache.set(&format!("by:hand:{id}"), &id, None).await;
        let _ = cache.delete(&format!("by:hand:{id}")).await;
        let _ = cache.invalidate_prefix("by").await;
    }));
}

#[test]
fn runtimes_that_end_in_the_middle_of_anything_leave_nothing_locked_and_nothing_stale() {
    let server = RedisServer::start();
    let main = multi_thread();
    let lease = Duration::from_millis(200);
    let open = || Cache::builder().redis_url(server.url()).lease(lease).open();
    let [cache, other] = [(); 2].map(|()| main.block_on(open()).unwrap());
    let truths = Truths::default();
    let ask = async |cache: &Cache, id: usize| {
        let call = with_cache(cache.clone(), record(&truths, id));
        let value = tokio::time::timeout(support::DEADLINE, call).await;
        value.expect("a call hangs") == truths[id].load(Ordering::SeqCst)
    };

    for round in 0..100 {
        let runtime = if round % 2 == 0 {
            multi_thread()
        } else {
            current_thread()
        };
        for id in 0..truths.len() {
            spawn_all(&runtime, &cache, &truths, id, round % 4 < 2);
        }
        // A current-thread runtime does what it is given meanwhile.
        runtime.block_on(async { tokio::time::sleep(Duration::from_micros(50 * round)).await });
        drop(runtime);

        for id in 0..truths.len() {
            assert!(main.block_on(ask(&cache, id)), "{round}: {id} is stale");
        }
    }

    main.block_on(async {
        for id in 0..truths.len() {
            let current = async || ask(&other, id).await;
            wait_until_async(current, "another process reads what is true").await;
        }
        let ended = async || server.keys("lease@*").is_empty();
        wait_until_async(ended, "leases end, given back or not").await;
    });
    assert!(format!("{cache:?}").contains("flights: 0"), "{cache:?}");
    let connected = server.cli(&["CLIENT", "LIST", "TYPE", "normal"]);
    // One of each cache, and the test's own.
    assert!(connected.lines().count() <= 4, "{connected}");
}

#[test]
fn a_load_taken_over_from_a_runtime_that_ended_keeps_its_lease_for_as_long_as_it_takes() {
    let server = RedisServer::start();
    let lease = Duration::from_secs(1);
    let builder = Cache::builder().redis_url(server.url()).lease(lease);
    let cache = current_thread().block_on(builder.open()).unwrap();
    let gate = Arc::new(Semaphore::new(0));
    let source = Source {
        gate: Some(Arc::clone(&gate)),
        ..Source::default()
    };
    let call = || {
        let (cache, source) = (cache.clone(), source.clone());
        with_cache(cache, async move { video(&source, 1).await })
    };
    let first = multi_thread();
    first.spawn(call());
    support::wait_until(|| source.bodies() == 1, "the load has begun");

    thread::scope(|scope| {
        let follower = scope.spawn(|| current_thread().block_on(call()));
        // It has looked, and waits: nobody else can be seen to do so.
        thread::sleep(lease / 10);
        drop(first);
        support::wait_until(|| source.bodies() == 2, "it is taken over");
        let (began, mut kept) = (std::time::Instant::now(), true);
        while began.elapsed() < lease * 2 && kept {
            thread::sleep(lease / 10);
            kept = !server.keys("lease@*").is_empty();
        }
        gate.add_permits(2);
        assert_eq!(follower.join().unwrap(), "video 1");
        assert!(kept, "the lease has ended");
    });

    assert_eq!(cache.stats().refused_fills, 0);
    assert_eq!(server.keys("video:*").len(), 1);
}

#[test]
fn a_server_that_comes_back_is_found_from_another_runtime() {
    let server = RedisServer::start();
    let cache = current_thread().block_on(on(&server));
    let source = Source::default();
    current_thread().block_on(check(&cache, &source, 1));

    server.kill();
    current_thread().block_on(async {
        let call = with_cache(cache.clone(), video(&source, 1));
        assert_eq!(call.await, "video 1");
    });
    assert_eq!(cache.mode(), Mode::Fallback);
    server.restart();

    // Each of these ends before a probe of its own may have ended.
    let deadline = std::time::Instant::now() + support::DEADLINE;
    while cache.mode() != Mode::Redis {
        assert!(std::time::Instant::now() < deadline, "never found again");
        current_thread().block_on(async {
            with_cache(cache.clone(), video(&source, 1)).await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        });
    }
    current_thread().block_on(check(&cache, &source, 2));
}

// --- dropped calls --------------------------------------------------------------------------

/// Polls that many times at most, each once it is woken; answers the output if there is one by then.
async fn poll_times<F: Future>(future: F, times: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = times;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Drops a call after no poll, after one, after two.., each time on another key, until it completes.
async fn check_dropped(cache: &Cache, followed: bool) {
    let source = Source {
        pauses: 3,
        ..Source::default()
    };
    for polls in 0.. {
        assert!(polls < 1_000, "a call never completes");
        let id = polls as u64;
        let waiting = followed.then(|| {
            let (cache, source) = (cache.clone(), source.clone());
            async move { with_cache(cache, async move { video(&source, id).await }).await }
        });
        let call = with_cache(cache.clone(), video(&source, id));
        let completed = poll_times(call, polls).await.is_some();
        if let Some(waiting) = waiting {
            assert_eq!(waiting.await, format!("video {id}"));
        }

        let next = with_cache(cache.clone(), video(&source, id)).await;

        assert_eq!(next, format!("video {id}"), "after {polls} polls");
        // A lease is given back by a task; until then a load is returned and not stored.
        wait_until_async(
            async || {
                let before = source.bodies();
                with_cache(cache.clone(), video(&source, id)).await;
                source.bodies() == before
            },
            &format!("a call is stored after one was dropped at poll {polls}"),
        )
        .await;
        assert!(format!("{cache:?}").contains("flights: 0"), "{cache:?}");
        if completed {
            break;
        }
    }
}

#[tokio::test]
async fn a_call_dropped_at_any_poll_leaves_nothing_locked() {
    let server = RedisServer::start();

    check_dropped(&Cache::builder().open().await.unwrap(), false).await;
    let cache = on(&server).await;
    check_dropped(&cache, false).await;

    assert_eq!(cache.mode(), Mode::Redis);
    wait_until_async(
        async || server.keys("lease@*").is_empty(),
        "every lease is given back",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_does_one_dropped_in_a_runtime_of_several_threads() {
    let server = RedisServer::start();
    let cache = on(&server).await;

    check_dropped(&cache, true).await;

    assert_eq!(cache.mode(), Mode::Redis);
}

#[tokio::test]
async fn a_dropped_call_costs_its_followers_nothing_but_a_load() {
    let server = RedisServer::start();
    let in_process = Cache::builder().open().await.unwrap();
    for cache in [in_process, on(&server).await] {
        for polls in 0..12 {
            let source = Source {
                pauses: 3,
                ..Source::default()
            };
            let id = 1_000 + polls as u64;
            let follower = async {
                // After the leader's first poll, so behind it.
                pause().await;
                with_cache(cache.clone(), video(&source, id)).await
            };
            let leader = poll_times(with_cache(cache.clone(), video(&source, id)), polls);

            let (_, followed) = tokio::join!(leader, follower);

            assert_eq!(followed, format!("video {id}"), "{polls} polls");
            assert!(source.bodies() <= 2, "{polls} polls");
        }
        assert!(format!("{cache:?}").contains("flights: 0"), "{cache:?}");
    }
}

// --- sizes ----------------------------------------------------------------------------------

async fn plain(id: u64) -> u64 {
    let local = [id; 512];
    tokio::task::yield_now().await;
    black_box(&local)[3]
}

#[cached(ttl = 300, prefix = "sized")]
async fn annotated(id: u64) -> u64 {
    let local = [id; 512];
    tokio::task::yield_now().await;
    black_box(&local)[3]
}

async fn plain_of_several(id: u64, name: String, list: Vec<u64>) -> Result<String, String> {
    let local = [id; 512];
    tokio::task::yield_now().await;
    black_box(&local);
    Ok(format!("{name} {list:?}"))
}

#[cached(ttl = 300, prefix = "sized")]
async fn annotated_of_several(id: u64, name: String, list: Vec<u64>) -> Result<String, String> {
    let local = [id; 512];
    tokio::task::yield_now().await;
    black_box(&local);
    Ok(format!("{name} {list:?}"))
}

#[cached(ttl = 300, prefix = "sized", stale_while_revalidate = "1m")]
async fn annotated_to_run_behind(id: u64) -> u64 {
    let local = [id; 512];
    tokio::task::yield_now().await;
    black_box(&local)[3]
}

#[cached(ttl = 300, prefix = "sized", stale_if_error = "1m")]
async fn annotated_to_be_replaced(id: u64) -> Result<u64, u64> {
    let local = [id; 512];
    tokio::task::yield_now().await;
    Ok(black_box(&local)[3])
}

#[test]
fn a_cached_functions_future_is_at_most_512_bytes_larger_than_its_bodys() {
    let small = (size_of_val(&plain(1)), size_of_val(&annotated(1)));
    let several = (
        size_of_val(&plain_of_several(1, String::new(), Vec::new())),
        size_of_val(&annotated_of_several(1, String::new(), Vec::new())),
    );

    let replaced = (small.0, size_of_val(&annotated_to_be_replaced(1)));
    // It is boxed.
    let behind = size_of_val(&annotated_to_run_behind(1));
    assert!(behind <= 512, "{behind} bytes");

    for (plain, annotated) in [small, several, replaced] {
        assert!(plain > 4_096, "the local is held across the await: {plain}");
        assert!(annotated <= plain + 512, "{annotated} and {plain} bytes");
    }
}

// --- outside tokio --------------------------------------------------------------------------

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// An executor that is not tokio.
fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

#[test]
fn a_call_outside_tokio_returns_what_its_body_returns() {
    let (log, _guard) = Log::of_this_thread();
    let server = RedisServer::start();
    let source = Source {
        pauses: 3,
        ..Source::default()
    };
    let outside = block_on(on(&server));
    let inside = current_thread().block_on(on(&server));

    for cache in [&outside, &inside] {
        for id in [1, 1, 2] {
            let value = block_on(with_cache(cache.clone(), video(&source, id)));
            assert_eq!(value, format!("video {id}"));
        }
        // Nothing that happened out there is held against Redis.
        current_thread().block_on(check(cache, &source, 3));
    }
    let warnings = log.at(Level::WARN);
    assert!(
        warnings
            .iter()
            .all(|line| line.contains("needs a tokio runtime")),
        "{warnings:#?}"
    );
}

#[test]
fn invalidations_made_outside_tokio_hold_inside() {
    let server = RedisServer::start();
    let cache = current_thread().block_on(on(&server));
    let source = Source::default();
    current_thread().block_on(check(&cache, &source, 1));

    let _ = block_on(cache.delete("video:video:1"));

    let before = source.bodies();
    current_thread().block_on(with_cache(cache.clone(), video(&source, 1)));
    assert_eq!(source.bodies(), before + 1);
}

#[test]
fn an_in_process_cache_needs_no_tokio() {
    let cache = block_on(Cache::builder().open()).unwrap();
    let source = Source {
        pauses: 3,
        ..Source::default()
    };

    for _ in 0..3 {
        let value = block_on(with_cache(cache.clone(), video(&source, 1)));
        assert_eq!(value, "video 1");
    }

    assert_eq!(source.bodies(), 1);
}
