//! P1: each operation on Redis has one deadline around everything, and who waits for a connection waits for one attempt only.
//!
//! A deadline is asserted with half of another one added, for a machine that has other things to do.

mod support;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_runtime::{Cache, Mode, cache, cached, with_cache};
use support::{Fault, Log, Process, Proxy, RedisServer, Stopwatch, process, wait_until_async};
use tracing::Level;

/// The deadline of a connection, and of an answer.
const LIMIT: Duration = Duration::from_millis(800);

/// Bytes of a large value.
const LARGE: usize = 1 << 20;

#[derive(Default)]
struct Truth {
    bodies: AtomicU64,
}

#[cached(ttl = 300, prefix = "film", key = "{id}", near = false)]
async fn film(truth: &Truth, id: u64) -> u64 {
    truth.bodies.fetch_add(1, Ordering::SeqCst);
    id
}

#[cached(ttl = 300, prefix = "film", key = "{id}:large", near = false)]
async fn large(truth: &Truth, id: u64) -> String {
    let _ = id;
    truth.bodies.fetch_add(1, Ordering::SeqCst);
    "x".repeat(LARGE)
}

async fn open(url: &str) -> Cache {
    let builder = Cache::builder().redis_url(url);
    let builder = builder.connect_timeout(LIMIT).response_timeout(LIMIT);
    builder.open().await.unwrap()
}

/// How long a call takes, whose body takes no time.
async fn wait(cache: &Cache, truth: &Truth, id: u64) -> Duration {
    let began = Stopwatch::start();
    let read = with_cache(cache.clone(), film(truth, id)).await;
    assert_eq!(read, id);
    began.elapsed()
}

/// Runs them side by side.
async fn all<F: Future<Output = ()> + Send + 'static>(calls: impl Iterator<Item = F>) {
    let calls: Vec<_> = calls.map(tokio::spawn).collect();
    for call in calls {
        call.await.unwrap();
    }
}

fn drop_connections(server: &RedisServer) {
    server.cli(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
}

// --- one deadline ---------------------------------------------------------------------------

#[tokio::test]
async fn a_request_that_is_made_again_over_a_new_connection_has_what_is_left_of_its_deadline() {
    let server = RedisServer::start();
    let network = Proxy::start(server.port());
    let cache = open(&network.url()).await;
    let truth = Truth::default();
    network.set(Fault::BlackHole);
    let call = wait(&cache, &truth, 1);
    let cut = async {
        tokio::time::sleep(LIMIT * 4 / 5).await;
        // The connection that has lost bytes is closed, and the next one loses the same request again.
        network.set(Fault::None);
        network.set_once_asked("MGET", Fault::BlackHole);
    };

    let (waited, ()) = tokio::join!(call, cut);

    assert!(waited > LIMIT / 2, "both were waited for: {waited:?}");
    assert!(waited < LIMIT * 3 / 2, "{waited:?}");
    assert_eq!(network.accepted(), 2);
}

#[tokio::test]
async fn answers_that_are_late_but_in_time_add_up_to_no_more_than_six() {
    let server = RedisServer::start();
    let network = Proxy::start(server.port());
    let direct = open(&server.url()).await;
    let cache = open(&network.url()).await;
    let truth = Truth::default();
    // From here on the server knows the scripts, and the generations are another process's, whose lifetimes have to be asked for.
    wait(&direct, &truth, 1).await;
    network.set(Fault::Delay(LIMIT / 5));
    let answer = LIMIT / 5 * 2;

    for id in 2..5 {
        let waited = wait(&cache, &truth, id).await;
        assert!(waited < answer * 6 + LIMIT / 2, "{waited:?}");
    }

    assert_eq!((cache.mode(), cache.stats().errors), (Mode::Redis, 0));
    assert_eq!(server.keys("film:*").len(), 4, "each is stored");
}

#[tokio::test]
async fn a_value_too_large_for_the_deadline_costs_itself_and_others_one_and_redis_is_used_again() {
    let server = RedisServer::start();
    let network = Proxy::start(server.port());
    let cache = open(&network.url()).await;
    let direct = open(&server.url()).await;
    let truth = Truth::default();
    with_cache(direct.clone(), large(&truth, 1)).await;
    wait(&direct, &truth, 2).await;
    // Three times the deadline for the large value.
    let rate = LARGE / 3 / usize::try_from(LIMIT.as_millis()).unwrap();
    network.set(Fault::Throttle(rate));

    for _ in 0..3 {
        let began = Stopwatch::start();
        let call = with_cache(cache.clone(), large(&truth, 1));
        let (value, behind) = tokio::join!(call, wait(&cache, &truth, 2));
        let waited = began.elapsed();
        assert_eq!(value.len(), LARGE);
        assert!(waited < LIMIT * 3 / 2, "{waited:?}, behind it {behind:?}");
    }

    network.set(Fault::None);
    let used = async || {
        let bodies = truth.bodies.load(Ordering::SeqCst);
        wait(&cache, &truth, 2).await;
        cache.mode() == Mode::Redis && truth.bodies.load(Ordering::SeqCst) == bodies
    };
    wait_until_async(used, "small values are answered from redis").await;
}

// --- one attempt ----------------------------------------------------------------------------

#[tokio::test]
async fn a_hundred_first_calls_wait_for_one_connection_that_cannot_be_made_and_later_ones_for_none()
{
    const TEST: &str =
        "a_hundred_first_calls_wait_for_one_connection_that_cannot_be_made_and_later_ones_for_none";
    if process::part().is_some() {
        let truth = Arc::new(Truth::default());
        let began = Stopwatch::start();
        // The process-wide cache, which nothing has opened yet.
        let calls = (0..100).map(|id| {
            let truth = Arc::clone(&truth);
            async move { assert_eq!(film(&truth, id).await, id) }
        });
        all(calls).await;
        let waited = began.elapsed();
        assert!(waited > LIMIT / 2 && waited < LIMIT * 3 / 2, "{waited:?}");
        assert_eq!(cache().mode(), Mode::Fallback);
        let began = Stopwatch::start();
        for id in 0..100 {
            film(&truth, id).await;
        }
        let waited = began.elapsed();
        assert!(waited < LIMIT / 2, "a hundred later calls: {waited:?}");
        return;
    }
    let server = RedisServer::start();
    let network = Proxy::start(server.port());
    network.set(Fault::BlackHole);
    let limit = format!("{}ms", LIMIT.as_millis());
    let variables = [
        ("REDIS_URL", network.url()),
        ("REDIS_CONNECT_TIMEOUT", limit.clone()),
        ("REDIS_SOCKET_TIMEOUT", limit),
        ("CACHE_ENABLED", "true".to_owned()),
    ];
    let variables = variables
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));

    Process::start_with(TEST, "caller", "", &variables).finish();

    assert!(network.accepted() <= 2, "one attempt, and one probe");
}

#[tokio::test]
async fn opening_a_cache_waits_for_one_connection_that_cannot_be_made() {
    let server = RedisServer::start();
    let network = Proxy::start(server.port());
    network.set(Fault::BlackHole);
    let began = Stopwatch::start();

    let cache = open(&network.url()).await;

    let waited = began.elapsed();
    assert!(waited < LIMIT * 3 / 2, "{waited:?}");
    assert_eq!(cache.mode(), Mode::Fallback);
    let waited = wait(&cache, &Truth::default(), 1).await;
    assert!(waited < LIMIT / 2, "{waited:?}");
}

#[tokio::test]
async fn who_comes_while_a_connection_is_made_waits_no_longer_than_the_first() {
    let server = RedisServer::start();
    let network = Proxy::start(server.port());
    let cache = open(&network.url()).await;
    let truth = Arc::new(Truth::default());
    network.set(Fault::Refuse);
    network.set(Fault::BlackHole);
    let began = Stopwatch::start();

    let calls = (0..10).map(|number| {
        let (cache, truth) = (cache.clone(), Arc::clone(&truth));
        async move {
            tokio::time::sleep(LIMIT * number / 12).await;
            wait(&cache, &truth, u64::from(number)).await;
        }
    });
    all(calls).await;

    let waited = began.elapsed();
    assert!(
        waited > LIMIT / 2,
        "a connection was waited for: {waited:?}"
    );
    assert!(waited < LIMIT * 3 / 2, "{waited:?}");
    assert_eq!(network.accepted(), 2, "one attempt for all");
}

// --- answers to something else --------------------------------------------------------------

#[tokio::test]
async fn an_answer_of_too_few_values_is_asked_for_again_over_another_connection() {
    let server = RedisServer::start();
    let network = Proxy::start(server.port());
    for wrong in ["*0\r\n", "*1\r\n$-1\r\n", "_\r\n"] {
        server.cli(&["FLUSHALL"]);
        let cache = open(&network.url()).await;
        let connections = network.accepted();
        let truth = Truth::default();
        network.set(Fault::ReplaceOne(wrong));
        wait(&cache, &truth, 1).await;
        network.set(Fault::None);

        wait(&cache, &truth, 1).await;

        assert_eq!(truth.bodies.load(Ordering::SeqCst), 1, "{wrong:?}");
        assert_eq!(network.accepted(), connections + 1, "{wrong:?}");
    }
}

#[tokio::test]
async fn a_connection_that_talks_nonsense_is_not_taken_for_a_server_that_does_not_tell() {
    let (log, _guard) = Log::of_this_thread();
    let server = RedisServer::start();
    let network = Proxy::start(server.port());
    let cache = open(&network.url()).await;
    network.set(Fault::Garble);
    drop_connections(&server);

    wait(&cache, &Truth::default(), 1).await;

    assert_eq!(cache.mode(), Mode::Fallback);
    assert_eq!(log.at(Level::WARN).len(), 1, "{:#?}", log.at(Level::WARN));
    assert!(!log.mentions("does not tell of changes"));
}

// --- what was asked before ------------------------------------------------------------------

#[tokio::test]
async fn requests_that_are_lost_with_their_connection_open_the_breaker_once() {
    let (log, _guard) = Log::of_this_thread();
    let server = RedisServer::start();
    let network = Proxy::start(server.port());
    let cache = open(&network.url()).await;
    let truth = Arc::new(Truth::default());
    wait(&cache, &truth, 1).await;
    // New connections are good; what is on its way over the old one times out.
    network.set(Fault::HalfOpen);
    let call = |number: u32| {
        let (cache, truth) = (cache.clone(), Arc::clone(&truth));
        tokio::spawn(async move { wait(&cache, &truth, u64::from(number)).await })
    };

    let early: Vec<_> = (0..3).map(call).collect();
    tokio::time::sleep(LIMIT * 4 / 5).await;
    let late: Vec<_> = (3..20).map(call).collect();
    for call in early {
        call.await.unwrap();
    }
    let used = async || {
        wait(&cache, &truth, 1).await;
        cache.mode() == Mode::Redis
    };
    wait_until_async(used, "the breaker is closed").await;
    for call in late {
        assert!(call.await.unwrap() > LIMIT / 2, "it has timed out");
    }

    assert_eq!(cache.mode(), Mode::Redis);
    log.only(Level::WARN, "redis unreachable");
    log.only(Level::WARN, "redis is back");
}
