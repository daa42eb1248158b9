//! Warming: what is not there is loaded, so many at once, whatever becomes of the others.

mod support;

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use cache_runtime::{Cache, Warmed, bypass, cached, peek, warm, with_cache};
use serde::Serialize;
use support::envelope::{at, earlier, entry, replace, with_checksum};
use support::{Log, RedisServer, Unwritable, in_process, on, wait_until_async};
use tokio::sync::Semaphore;
use tokio::time::advance;

const SECOND: Duration = Duration::from_secs(1);

/// Counts bodies, and how many run at once.
#[derive(Default)]
struct Bodies {
    run: AtomicU64,
    at_once: AtomicU64,
    most: AtomicU64,
}

impl Bodies {
    fn count(&self) -> u64 {
        self.run.load(Ordering::SeqCst)
    }

    fn now(&self) -> u64 {
        self.at_once.load(Ordering::SeqCst)
    }

    fn begin(self: &Arc<Self>) -> Running {
        self.run.fetch_add(1, Ordering::SeqCst);
        let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        Running(Arc::clone(self))
    }
}

struct Running(Arc<Bodies>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.at_once.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cached(ttl = 300, prefix = "plain", skip(bodies))]
async fn plain(bodies: &Arc<Bodies>, id: u64) -> u64 {
    let _running = bodies.begin();
    id
}

/// Of which every third fails.
#[cached(ttl = 300, prefix = "fallible", skip(bodies))]
async fn fallible(bodies: &Arc<Bodies>, id: u64) -> Result<u64, String> {
    let _running = bodies.begin();
    match id % 3 {
        0 => Err(format!("{id} is broken")),
        _ => Ok(id),
    }
}

#[cached(ttl = 300, prefix = "gated", skip(bodies, gate))]
async fn gated(bodies: &Arc<Bodies>, gate: &Semaphore, id: u64) -> u64 {
    let _running = bodies.begin();
    gate.acquire().await.unwrap().forget();
    id
}

#[cached(
    ttl = 10,
    prefix = "aged",
    stale_while_revalidate = "1h",
    stale_if_error = "1h",
    early_refresh = true,
    skip(bodies, fails)
)]
async fn aged(bodies: Arc<Bodies>, id: u64, fails: bool) -> Result<u64, String> {
    let _running = bodies.begin();
    match fails {
        true => Err("broken".to_owned()),
        false => Ok(bodies.count()),
    }
}

#[cached(ttl = 300, prefix = "any", skip(bodies))]
async fn any<T: Serialize>(bodies: &Arc<Bodies>, id: T) -> u64 {
    let _running = bodies.begin();
    1
}

async fn caches(server: &RedisServer) -> [Cache; 2] {
    [in_process().await, on(server).await]
}

/// Loaded, already there, failed, skipped.
fn counts(warmed: Warmed) -> [u64; 4] {
    [
        warmed.loaded,
        warmed.already_there,
        warmed.failed,
        warmed.skipped,
    ]
}

#[tokio::test]
async fn what_is_not_there_is_loaded_and_nothing_else() {
    let server = RedisServer::start();
    for cache in caches(&server).await {
        let bodies = &Arc::new(Bodies::default());
        with_cache(cache, async {
            for id in [3, 5, 30] {
                plain(bodies, id).await;
            }

            let warmed = warm((1..=40).map(|id| plain(bodies, id))).await;

            assert_eq!(counts(warmed), [37, 3, 0, 0]);
            assert_eq!(bodies.count(), 40, "each body once");
            for id in 1..=40 {
                assert_eq!(peek(plain(bodies, id)).await, Some(id));
            }
            let again = warm((1..=40).map(|id| plain(bodies, id))).await;
            assert_eq!((counts(again), bodies.count()), ([0, 40, 0, 0], 40));
            assert_eq!(warm(Vec::<Calls>::new()).await, Warmed::default());
        })
        .await;
    }
}

type Calls = Pin<Box<dyn Future<Output = u64>>>;

#[tokio::test]
async fn what_redis_has_is_not_loaded_and_is_then_in_the_process() {
    let server = RedisServer::start();
    let (theirs, ours) = (on(&server).await, on(&server).await);
    let bodies = &Arc::new(Bodies::default());
    let calls = || warm((1..=40).map(|id| plain(bodies, id)));
    assert_eq!(counts(with_cache(theirs, calls()).await), [40, 0, 0, 0]);

    assert_eq!(
        counts(with_cache(ours.clone(), calls()).await),
        [0, 40, 0, 0]
    );

    let before = ours.stats().near_hits;
    assert_eq!(with_cache(ours.clone(), plain(bodies, 7)).await, 7);
    assert_eq!((ours.stats().near_hits, bodies.count()), (before + 1, 40));
}

#[tokio::test]
async fn as_many_are_loaded_at_once_as_was_asked_for_and_no_more() {
    let server = RedisServer::start();
    for cache in caches(&server).await {
        for (concurrency, most) in [(0, 1), (1, 1), (3, 3), (100, 12)] {
            let (bodies, gate) = (&Arc::new(Bodies::default()), &Semaphore::new(0));
            with_cache(cache.clone(), async {
                let calls = (1..=12).map(|id| gated(bodies, gate, id + 100 * most));
                let warming = warm(calls).concurrency(concurrency);
                let opened = async {
                    for done in 0..12 {
                        let running = most.min(12 - done);
                        let full = async || bodies.now() == running;
                        wait_until_async(full, "as many run as may").await;
                        gate.add_permits(1);
                        let ended =
                            async || bodies.count() > done + running || done + running >= 12;
                        wait_until_async(ended, "one more has begun").await;
                    }
                };
                let (warmed, ()) = tokio::join!(warming, opened);
                assert_eq!(counts(warmed), [12, 0, 0, 0]);
                let at_once = bodies.most.load(Ordering::SeqCst);
                assert_eq!(at_once, most, "of {concurrency}");
            })
            .await;
            cache.invalidate_prefix("gated").await.unwrap();
        }
    }
}

#[tokio::test]
async fn without_a_word_sixteen_are_loaded_at_once() {
    let (bodies, gate) = (&Arc::new(Bodies::default()), &Semaphore::new(0));
    with_cache(in_process().await, async {
        let warming = warm((1..=40).map(|id| gated(bodies, gate, id)));
        let opened = async {
            wait_until_async(async || bodies.now() == 16, "sixteen run").await;
            gate.add_permits(40);
        };
        assert_eq!(counts(tokio::join!(warming, opened).0), [40, 0, 0, 0]);
        assert_eq!(bodies.most.load(Ordering::SeqCst), 16);
    })
    .await;
}

#[tokio::test]
async fn a_body_that_fails_is_counted_and_the_rest_goes_on() {
    let server = RedisServer::start();
    for cache in caches(&server).await {
        let bodies = &Arc::new(Bodies::default());
        with_cache(cache, async {
            let calls = || (1..=30).map(|id| fallible(bodies, id));
            assert_eq!(counts(warm(calls()).await), [20, 0, 10, 0]);
            assert_eq!(bodies.count(), 30);
            // What failed is not there, and is tried again.
            assert_eq!(counts(warm(calls()).concurrency(1).await), [0, 20, 10, 0]);
            assert_eq!(bodies.count(), 40);
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_expired_value_is_loaded_anew_before_it_ends_and_does_not_hide_a_failure() {
    let bodies = Arc::new(Bodies::default());
    let calls = |fails| {
        (1..=5).map({
            let bodies = Arc::clone(&bodies);
            move |id| aged(Arc::clone(&bodies), id, fails)
        })
    };
    with_cache(in_process().await, async {
        assert_eq!(counts(warm(calls(false)).await), [5, 0, 0, 0]);
        assert_eq!(counts(warm(calls(false)).await), [0, 5, 0, 0]);
        advance(15 * SECOND).await;

        assert_eq!(counts(warm(calls(true)).await), [0, 0, 5, 0]);
        assert_eq!(bodies.count(), 10);
        assert_eq!(counts(warm(calls(false)).await), [5, 0, 0, 0]);
        assert_eq!((bodies.count(), bodies.now()), (15, 0));
        assert_eq!(counts(warm(calls(false)).await), [0, 5, 0, 0]);
    })
    .await;
}

/// A cache on Redis that keeps nothing in the process, in which one value was loaded.
async fn with_one_loaded(server: &RedisServer, bodies: &Arc<Bodies>) -> Cache {
    let cache = Cache::builder().redis_url(server.url()).near(false);
    let cache = cache.response_timeout(5 * SECOND).open().await.unwrap();
    let warmed = with_cache(cache.clone(), warm([aged(Arc::clone(bodies), 1, false)])).await;
    assert_eq!(counts(warmed), [1, 0, 0, 0]);
    cache
}

#[tokio::test]
async fn what_has_expired_in_redis_is_loaded_anew_as_well() {
    let server = RedisServer::start();
    let bodies = &Arc::new(Bodies::default());
    let cache = with_one_loaded(&server, bodies).await;
    let call = |fails| aged(Arc::clone(bodies), 1, fails);
    with_cache(cache, async {
        earlier(&server, "aged:aged:1", at::EXPIRES, 600_000);
        let stale = peek(call(false)).await;
        assert_eq!(stale, Some(Ok(1)), "others would be answered by it");

        assert_eq!(counts(warm([call(true)]).await), [0, 0, 1, 0]);
        assert_eq!(counts(warm([call(false)]).await), [1, 0, 0, 0]);
        assert_eq!((bodies.count(), peek(call(false)).await), (3, Some(Ok(3))));
    })
    .await;
}

#[tokio::test]
async fn what_others_are_to_load_early_is_there() {
    let server = RedisServer::start();
    let bodies = &Arc::new(Bodies::default());
    let cache = with_one_loaded(&server, bodies).await;
    // As if it had taken weeks, so that everybody would load it anew.
    let mut slow = entry(&server, "aged:aged:1");
    slow[at::LOAD].copy_from_slice(&u32::MAX.to_le_bytes());
    replace(&server, "aged:aged:1", &with_checksum(slow));

    let warmed = with_cache(cache.clone(), warm([aged(Arc::clone(bodies), 1, false)])).await;

    assert_eq!((counts(warmed), bodies.count()), ([0, 1, 0, 0], 1));
    assert_eq!(cache.stats().hits, 1);
}

#[tokio::test]
async fn progress_is_told_after_each_call() {
    let bodies = &Arc::new(Bodies::default());
    with_cache(in_process().await, async {
        let mut told = Vec::new();
        let calls = (1..=30).map(|id| fallible(bodies, id));
        let warmed = warm(calls)
            .on_progress(|warmed| told.push(*warmed))
            .concurrency(4)
            .await;

        let done: Vec<u64> = told.iter().map(Warmed::done).collect();
        assert_eq!(done, (1..=30).collect::<Vec<u64>>());
        assert_eq!(told.last(), Some(&warmed));
    })
    .await;
}

#[tokio::test]
async fn who_loads_already_is_waited_for() {
    let server = RedisServer::start();
    for cache in caches(&server).await {
        let (bodies, gate) = (&Arc::new(Bodies::default()), &Semaphore::new(0));
        with_cache(cache, async {
            let first = gated(bodies, gate, 1);
            let warmed = async {
                wait_until_async(async || bodies.count() == 1, "the body runs").await;
                let opened = async {
                    wait_until_async(async || bodies.count() == 2, "the other body runs").await;
                    gate.add_permits(2);
                };
                let calls = [
                    gated(bodies, gate, 1),
                    gated(bodies, gate, 2),
                    gated(bodies, gate, 2),
                ];
                tokio::join!(warm(calls), opened).0
            };
            let (first, warmed) = tokio::join!(first, warmed);
            assert_eq!((first, counts(warmed)), (1, [3, 0, 0, 0]));
            assert_eq!(bodies.count(), 2);
        })
        .await;
    }
}

#[tokio::test]
async fn dropped_half_way_it_leaves_what_was_loaded_and_nothing_else() {
    let server = RedisServer::start();
    for cache in caches(&server).await {
        let (bodies, gate) = (&Arc::new(Bodies::default()), &Semaphore::new(3));
        with_cache(cache.clone(), async {
            let mut done = 0;
            let warming = warm((1..=20).map(|id| gated(bodies, gate, id)))
                .concurrency(5)
                .on_progress(|warmed| done = warmed.done());
            let full = async {
                wait_until_async(async || bodies.count() == 8, "all places are taken again").await;
            };
            tokio::select! {
                _ = warming => panic!("it cannot end"),
                () = full => {}
            }
            assert_eq!((done, bodies.now()), (3, 0), "no body goes on");
            let mut there = 0;
            for id in 1..=20 {
                there += u64::from(peek(gated(bodies, gate, id)).await.is_some());
            }
            assert_eq!((there, bodies.count()), (3, 8));
            if cache.mode() == cache_runtime::Mode::Redis {
                let left = async || server.keys("lease@*").is_empty();
                wait_until_async(left, "the leases are given back").await;
            }
            gate.add_permits(17);
            let calls = (1..=20).map(|id| gated(bodies, gate, id));
            assert_eq!(counts(warm(calls).await), [17, 3, 0, 0]);
        })
        .await;
        cache.invalidate_prefix("gated").await.unwrap();
    }
}

#[tokio::test]
async fn where_nothing_is_cached_no_body_runs() {
    let (log, _guard) = Log::of_this_thread();
    let bodies = &Arc::new(Bodies::default());
    let disabled = Cache::builder().enabled(false).open().await.unwrap();
    let calls = || warm((1..=20).map(|id| plain(bodies, id)));
    assert_eq!(counts(with_cache(disabled, calls()).await), [0, 0, 0, 20]);
    with_cache(in_process().await, async {
        assert_eq!(counts(bypass(calls()).await), [0, 0, 0, 20]);
        let unwritable = (0..3).map(|_| any(bodies, Unwritable));
        assert_eq!(counts(warm(unwritable).await), [0, 0, 0, 3]);
        assert!(!log.mentions("reaches no cached function"));

        let later = (1..=20).map(|id| async move {
            tokio::task::yield_now().await;
            plain(bodies, id).await
        });
        assert_eq!(counts(warm(later).await), [0, 0, 0, 20]);
        log.only(tracing::Level::ERROR, "reaches no cached function");
    })
    .await;
    assert_eq!(counts(warm([elsewhere(bodies, 1)]).await), [0, 0, 0, 1]);
    assert_eq!(bodies.count(), 0);
}

/// Of a cache that nobody installs.
#[cached(cache = "nowhere", prefix = "elsewhere", skip(bodies))]
async fn elsewhere(bodies: &Arc<Bodies>, id: u64) -> u64 {
    let _running = bodies.begin();
    id
}

#[tokio::test]
async fn what_is_called_inside_a_body_is_called_as_ever() {
    let bodies = &Arc::new(Bodies::default());
    with_cache(in_process().await, async {
        plain(bodies, 1).await;
        let warmed = warm((1..=2).map(|id| around(bodies, id))).await;
        assert_eq!((counts(warmed), bodies.count()), ([2, 0, 0, 0], 2));
    })
    .await;
}

#[cached(ttl = 300, prefix = "around", skip(bodies))]
async fn around(bodies: &Arc<Bodies>, id: u64) -> u64 {
    plain(bodies, id).await
}

/// Counts how often it is woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn many_that_are_there_leave_the_thread_to_others_in_between() {
    let bodies = &Arc::new(Bodies::default());
    with_cache(in_process().await, async {
        for id in 1..=100 {
            plain(bodies, id).await;
        }
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let mut context = Context::from_waker(&waker);
        let told = AtomicU64::new(0);
        let count = |warmed: &Warmed| told.store(warmed.done(), Ordering::SeqCst);
        let calls = (1..=100).map(|id| plain(bodies, id));
        let mut warming = pin!(warm(calls).concurrency(10).on_progress(count));
        for poll in 1..=10 {
            let polled = warming.as_mut().poll(&mut context);
            assert_eq!(told.load(Ordering::SeqCst), 10 * poll);
            assert_eq!(polled.is_ready(), poll == 10);
            let again = u64::try_from(wakes.0.load(Ordering::SeqCst)).unwrap();
            assert!(again >= poll.min(9), "it asks to be polled again");
        }
    })
    .await;
}

/// Counts how often it is polled.
struct Polled<'a, F>(Pin<Box<F>>, &'a AtomicUsize);

impl<F: Future> Future for Polled<'_, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let polled = self.get_mut();
        polled.1.fetch_add(1, Ordering::SeqCst);
        polled.0.as_mut().poll(context)
    }
}

#[tokio::test]
async fn only_those_are_polled_that_can_go_on() {
    let bodies = &Arc::new(Bodies::default());
    let gates: Vec<Semaphore> = (0..50).map(|_| Semaphore::new(0)).collect();
    let polls = AtomicUsize::new(0);
    with_cache(in_process().await, async {
        let call = |id: u64| {
            let call = gated(bodies, &gates[usize::try_from(id).unwrap()], id);
            Polled(Box::pin(call), &polls)
        };
        let warming = warm((0..50).map(call)).concurrency(50);
        let opened = async {
            wait_until_async(async || bodies.now() == 50, "all run").await;
            let before = polls.load(Ordering::SeqCst);
            for (ended, gate) in gates.iter().enumerate() {
                gate.add_permits(1);
                let left = 49 - u64::try_from(ended).unwrap();
                wait_until_async(async || bodies.now() == left, "one has ended").await;
            }
            polls.load(Ordering::SeqCst) - before
        };
        let (warmed, more) = tokio::join!(warming, opened);
        assert_eq!(counts(warmed), [50, 0, 0, 0]);
        assert!(more < 3 * 50, "{more} polls for 50 that were woken");
    })
    .await;
}

#[test]
fn it_can_be_sent_where_the_calls_can() {
    fn check<T: Send>(_: &T) {}
    check(&warm((1..=2_u64).map(|id| async move { id })));
    assert!(
        format!("{:?}", warm((1..=2_u64).map(|id| async move { id }))).contains("concurrency: 16")
    );
}
