//! Reads that wait at the same moment travel together: fewer round trips, and nobody suffers for whom he travels with.

mod support;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use cache_runtime::{Cache, CacheBuilder, Mode, cached, with_cache};
use support::{DEADLINE, Dice, RedisServer, Stopwatch, wait_until_async};
use tokio::task::{JoinHandle, yield_now};

/// The deadline of an answer, where one is to be missed.
const LIMIT: Duration = Duration::from_millis(800);

/// Enough that they do not all go alone.
const MANY: u64 = 64;

#[derive(Default)]
struct Source {
    version: AtomicU64,
    bodies: AtomicU64,
}

impl Source {
    fn read(&self) -> u64 {
        self.bodies.fetch_add(1, Ordering::SeqCst);
        self.version.load(Ordering::SeqCst)
    }

    fn bodies(&self) -> u64 {
        self.bodies.load(Ordering::SeqCst)
    }
}

#[cached(ttl = 300, prefix = "film", key = "open:{id}", near = false)]
async fn film(source: &Source, id: u64) -> u64 {
    id + source.read()
}

#[cached(ttl = 300, prefix = "film", key = "closed:{id}", near = false)]
async fn closed(source: &Source, id: u64) -> u64 {
    id + source.read()
}

#[cached(ttl = 300, prefix = "film", key = "large:{id}", near = false)]
async fn large(source: &Source, id: u64) -> String {
    source.read();
    "x".repeat(100_000 + usize::try_from(id).unwrap())
}

#[cached(ttl = 300, prefix = "kept", key = "{id}")]
async fn kept(source: &Source, id: u64) -> u64 {
    let _ = id;
    source.read()
}

/// One that a busy machine does not take for a server that does not answer.
fn at(url: &str) -> CacheBuilder {
    let builder = Cache::builder().redis_url(url);
    builder.connect_timeout(DEADLINE).response_timeout(DEADLINE)
}

async fn open(url: &str) -> Cache {
    at(url).open().await.unwrap()
}

/// How often the server was asked for values, and how often it refused.
fn asked(server: &RedisServer) -> (u64, u64) {
    let stats = server.cli(&["INFO", "commandstats"]);
    let line = stats.lines().find(|line| line.starts_with("cmdstat_mget:"));
    let field = |name: &str| {
        let line = line?.split_once(name)?.1;
        line.split(',').next()?.parse::<u64>().ok()
    };
    let counted = |name| field(name).unwrap_or(0);
    (counted("calls="), counted("rejected_calls="))
}

/// Reads these, each in a task of its own.
fn read(cache: &Cache, source: &Arc<Source>, ids: std::ops::Range<u64>) -> Vec<JoinHandle<u64>> {
    let read = |id| {
        let (cache, source) = (cache.clone(), Arc::clone(source));
        tokio::spawn(async move { with_cache(cache, film(&source, id)).await })
    };
    ids.map(read).collect()
}

async fn all(calls: Vec<JoinHandle<u64>>) -> Vec<u64> {
    let mut values = Vec::new();
    for call in calls {
        values.push(call.await.unwrap());
    }
    values
}

/// A server with entries of all these, and who reads them.
async fn with_entries(ids: u64) -> (RedisServer, Cache, Arc<Source>) {
    let server = RedisServer::start();
    let cache = open(&server.url()).await;
    let source = Arc::new(Source::default());
    all(read(&cache, &source, 0..ids)).await;
    assert_eq!(source.bodies(), ids);
    (server, cache, source)
}

/// In a runtime of one thread: each task has gone as far as it can without an answer.
async fn until_all_wait() {
    for _ in 0..10 {
        yield_now().await;
    }
}

// --- round trips ----------------------------------------------------------------------------

#[tokio::test]
async fn reads_that_wait_together_take_far_fewer_round_trips_than_there_are_reads() {
    const ROUNDS: u64 = 16;
    let (server, cache, source) = with_entries(4 * MANY).await;
    let (before, _) = asked(&server);

    for _ in 0..ROUNDS {
        let values = all(read(&cache, &source, 0..4 * MANY)).await;
        assert!(values.into_iter().eq(0..4 * MANY));
    }

    let (after, _) = asked(&server);
    let (requests, reads) = (after - before, ROUNDS * 4 * MANY);
    println!("{requests} requests for {reads} reads");
    assert!(requests <= ROUNDS * 8, "{requests} for {reads} reads");
    assert_eq!(source.bodies(), 4 * MANY);
}

#[tokio::test]
async fn a_read_alone_takes_one_round_trip_of_its_own() {
    let (server, cache, source) = with_entries(1).await;
    let (before, _) = asked(&server);

    for _ in 0..100 {
        assert_eq!(with_cache(cache.clone(), film(&source, 0)).await, 0);
    }

    assert_eq!(asked(&server).0 - before, 100);
}

#[tokio::test]
async fn what_nobody_keeps_costs_the_server_no_memory_of_who_read_it() {
    let server = RedisServer::start();
    let source = Arc::new(Source::default());
    let untold = at(&server.url()).near(false).open().await.unwrap();
    all(read(&untold, &source, 0..MANY)).await;
    with_cache(untold.clone(), kept(&source, 1)).await;
    let cache = open(&server.url()).await;
    let remembered = || {
        let stats = server.cli(&["INFO", "stats"]);
        let of = |line: &str| {
            let count = line.strip_prefix("tracking_total_keys:")?;
            count.trim().parse::<u64>().ok()
        };
        stats.lines().find_map(of).unwrap()
    };
    let before = remembered();

    // Together, and each by itself.
    all(read(&cache, &source, 0..MANY)).await;
    for id in 0..MANY {
        assert_eq!(all(read(&cache, &source, id..id + 1)).await, [id]);
    }

    assert_eq!(remembered(), before);
    with_cache(cache.clone(), kept(&source, 1)).await;
    assert!(remembered() > before);
    assert_eq!(source.bodies(), MANY + 1);
}

// --- whom one travels with ------------------------------------------------------------------

#[tokio::test]
async fn whoever_goes_away_takes_no_other_along() {
    let (server, cache, source) = with_entries(MANY).await;
    for dropped in [0..MANY / 2, MANY / 2..MANY, 0..MANY] {
        server.pause();
        let calls = read(&cache, &source, 0..MANY);
        until_all_wait().await;
        let late = read(&cache, &source, 0..MANY);
        until_all_wait().await;

        let mut stay = Vec::new();
        for (id, call) in (0..MANY).zip(calls) {
            match dropped.contains(&id) {
                true => call.abort(),
                false => stay.push(call),
            }
        }
        until_all_wait().await;
        server.resume();

        let expected = (0..MANY).filter(|id| !dropped.contains(id));
        assert!(all(stay).await.into_iter().eq(expected));
        assert!(all(late).await.into_iter().eq(0..MANY));
    }
    assert_eq!(source.bodies(), MANY);
    assert_eq!((cache.mode(), cache.stats().errors), (Mode::Redis, 0));
}

#[tokio::test]
async fn whoever_has_asked_and_is_not_polled_holds_up_nobody() {
    let (_server, cache, source) = with_entries(4).await;
    let mut idle = Box::pin(with_cache(cache.clone(), film(&source, 0)));
    let mut context = Context::from_waker(Waker::noop());
    assert!(idle.as_mut().poll(&mut context).is_pending());

    // Another read alone, many that travel together, and what the client is asked.
    let stopwatch = Stopwatch::start();
    assert_eq!(all(read(&cache, &source, 1..2)).await, [1]);
    assert_eq!(all(read(&cache, &source, 0..4)).await, [0, 1, 2, 3]);
    assert!(cache.delete("film:open:3").await.unwrap());
    assert_eq!(all(read(&cache, &source, 3..4)).await, [3]);
    assert_eq!(source.bodies(), 5);
    assert!(stopwatch.elapsed() < DEADLINE);

    // And it finds its own answer.
    assert_eq!(idle.await, 0);
    assert_eq!(source.bodies(), 5);
}

#[tokio::test]
async fn a_key_that_is_refused_fails_no_other_that_is_read_with_it() {
    let server = RedisServer::start();
    let user = ["ACL", "SETUSER", "ann", "reset", "on", "nopass", "+@all"];
    let keys = ["~film:open:*", "~lease@{film:open:*", "~gen@*", "~run@*"];
    server.cli(&[&user[..], &keys[..]].concat());
    let url = format!("redis://ann:any@127.0.0.1:{}/0", server.port());
    let cache = open(&url).await;
    let source = Arc::new(Source::default());
    all(read(&cache, &source, 0..MANY)).await;

    for round in 1..=3 {
        let (_, refused) = asked(&server);
        let mut calls = read(&cache, &source, 0..MANY);
        let (ours, theirs) = (cache.clone(), Arc::clone(&source));
        let call = async move { with_cache(ours, closed(&theirs, 7)).await };
        calls.push(tokio::spawn(call));
        calls.extend(read(&cache, &source, 0..MANY));

        let values = all(calls).await;

        let (first, rest) = values.split_at(MANY as usize);
        assert!(first.iter().copied().eq(0..MANY));
        assert_eq!(rest[0], 7);
        assert!(rest[1..].iter().copied().eq(0..MANY));
        // With the others once, and from then on by itself.
        let (_, now_refused) = asked(&server);
        let expected = if round == 1 { 2 } else { 1 };
        assert_eq!(now_refused - refused, expected, "in round {round}");
        assert_eq!(source.bodies(), MANY + round);
    }
    assert_eq!(cache.mode(), Mode::Redis);
}

#[tokio::test]
async fn the_deadline_of_a_read_counts_from_when_it_begins_to_wait() {
    let (server, _, source) = with_entries(MANY).await;
    let builder = at(&server.url()).response_timeout(LIMIT);
    let cache = builder.open().await.unwrap();
    server.pause();
    let wait = |id| {
        let (cache, source) = (cache.clone(), Arc::clone(&source));
        tokio::spawn(async move {
            let began = Stopwatch::start();
            assert_eq!(with_cache(cache, film(&source, id)).await, id);
            began.elapsed()
        })
    };

    // The first ones are under way, so that the next ones wait for those, and the last ones behind them.
    let mut calls = Vec::new();
    for id in 0..MANY {
        calls.push(wait(id));
        if id % 16 == 15 {
            until_all_wait().await;
        }
    }
    for call in calls {
        let waited = call.await.unwrap();
        assert!(waited > LIMIT / 2 && waited < LIMIT * 3 / 2, "{waited:?}");
    }

    server.resume();
    let used = async || {
        let bodies = source.bodies();
        all(read(&cache, &source, 0..MANY)).await;
        source.bodies() == bodies && cache.mode() == Mode::Redis
    };
    wait_until_async(used, "all are answered from redis again").await;
}

#[tokio::test]
async fn a_large_value_is_read_with_others_once_and_then_by_itself() {
    let (server, cache, source) = with_entries(MANY).await;
    with_cache(cache.clone(), large(&source, 1)).await;
    let requests = async || {
        let (before, _) = asked(&server);
        let mut calls = read(&cache, &source, 0..4);
        let (ours, theirs) = (cache.clone(), Arc::clone(&source));
        calls.push(tokio::spawn(async move {
            let value = with_cache(ours, large(&theirs, 1)).await;
            value.len() as u64
        }));
        calls.extend(read(&cache, &source, 4..MANY));
        let values = all(calls).await;
        assert_eq!(values[4], 100_001);
        asked(&server).0 - before
    };

    let together = requests().await;
    let apart = requests().await;

    assert_eq!(
        apart,
        together + 1,
        "one more request, and nobody in it waits for the large one"
    );
    assert_eq!(source.bodies(), MANY + 1);
}

// --- runtimes -------------------------------------------------------------------------------

type Call = Pin<Box<dyn Future<Output = u64> + Send>>;

#[test]
fn a_runtime_that_ends_while_reads_travel_in_it_leaves_nobody_waiting() {
    let one = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap()
    };
    let first = one();
    let (server, cache, source) = first.block_on(with_entries(MANY));
    server.pause();
    let call = |id| -> Call {
        let (cache, source) = (cache.clone(), Arc::clone(&source));
        Box::pin(async move { with_cache(cache, film(&source, id)).await })
    };
    let mut calls: Vec<Call> = (0..MANY).map(call).collect();
    first.block_on(async {
        for call in &mut calls {
            let mut context = Context::from_waker(Waker::noop());
            assert!(call.as_mut().poll(&mut context).is_pending());
        }
        // Some are under way, and some wait for those.
        until_all_wait().await;
        calls.extend((0..MANY).map(call));
        for call in &mut calls[MANY as usize..] {
            let mut context = Context::from_waker(Waker::noop());
            assert!(call.as_mut().poll(&mut context).is_pending());
        }
    });

    drop(first);
    server.resume();

    one().block_on(async {
        for (number, call) in (0..).zip(calls) {
            let value = tokio::time::timeout(DEADLINE / 2, call).await;
            assert_eq!(value, Ok(number % MANY));
        }
        let used = async || {
            let bodies = source.bodies();
            all(read(&cache, &source, 0..MANY)).await;
            source.bodies() == bodies
        };
        wait_until_async(used, "all are answered from redis again").await;
    });
}

// --- what holds for a single read -----------------------------------------------------------

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_among_many_is_older_than_an_invalidation_that_had_ended_before_it() {
    const KEYS: u64 = 8;
    const ROUNDS: u64 = 300;
    let server = RedisServer::start();
    let (readers, other) = (open(&server.url()).await, open(&server.url()).await);
    let source = Arc::new(Source::default());
    // What each reader must not fall behind: what was ended by anybody, and what was ended in its own process.
    let (by_anybody, by_readers) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let done = Arc::new(AtomicU64::new(0));
    let mut tasks = Vec::new();
    for task in 0..MANY {
        let (cache, source, done) = (readers.clone(), Arc::clone(&source), Arc::clone(&done));
        let (by_anybody, by_readers) = (Arc::clone(&by_anybody), Arc::clone(&by_readers));
        tasks.push(tokio::spawn(async move {
            let mut reads = 0_u64;
            while done.load(Ordering::SeqCst) == 0 {
                let id = (task + reads) % KEYS;
                reads += 1;
                let due = by_anybody.load(Ordering::SeqCst);
                let read = with_cache(cache.clone(), film(&source, id)).await - id;
                assert!(read >= due, "{read}, when {due} was due");
                let due = by_readers.load(Ordering::SeqCst);
                let read = with_cache(cache.clone(), kept(&source, id)).await;
                assert!(read >= due, "{read}, when {due} was due, in process");
            }
            reads
        }));
    }

    let mut dice = Dice(support::dice::seed("BATCHES_SEED"));
    for _ in 0..ROUNDS {
        let version = source.version.fetch_add(1, Ordering::SeqCst) + 1;
        let own = dice.one_in(2);
        let cache = if own { &readers } else { &other };
        cache.invalidate_prefix("film").await.unwrap();
        by_anybody.store(version, Ordering::SeqCst);
        if own {
            cache.invalidate_prefix("kept").await.unwrap();
            by_readers.store(version, Ordering::SeqCst);
        }
        yield_now().await;
    }
    done.store(1, Ordering::SeqCst);
    let mut reads = 0;
    for task in tasks {
        reads += task.await.unwrap();
    }
    assert!(reads > MANY, "{reads}");
}
