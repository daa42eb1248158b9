//! `coalesce`: whose concurrent calls for one key run one body; and the lease that says who loads, for as long as that takes.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cache_runtime::{Cache, cache_invalidate, cached, with_cache};
use support::resp::Connection;
use support::{DEADLINE, Process, RedisServer, process, wait_until, wait_until_async};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// A lease whose waiters, were they not told, would look again only long after every deadline of these tests.
const ENDLESS: Duration = Duration::from_secs(600);

/// A lease that ends within a test.
const SHORT: Duration = Duration::from_millis(400);

/// A source of truth, and bodies that count themselves and wait for leave to end.
#[derive(Clone)]
struct Body {
    version: Arc<AtomicU64>,
    runs: Arc<AtomicU64>,
    open: Arc<Semaphore>,
    /// Whether the next run fails or panics once it may end.
    fails: Arc<AtomicBool>,
}

impl Body {
    fn new() -> Self {
        Self {
            version: Arc::default(),
            runs: Arc::default(),
            open: Arc::new(Semaphore::new(0)),
            fails: Arc::default(),
        }
    }

    /// Another body of the same truth, which nobody holds.
    fn unheld(&self) -> Self {
        Self {
            open: Arc::new(Semaphore::new(10_000)),
            ..self.clone()
        }
    }

    fn runs(&self) -> u64 {
        self.runs.load(Ordering::SeqCst)
    }

    async fn run(&self) -> u64 {
        self.runs.fetch_add(1, Ordering::SeqCst);
        let version = self.version.load(Ordering::SeqCst);
        self.open.acquire().await.unwrap().forget();
        version
    }

    async fn wait_for_runs(&self, runs: u64) {
        wait_until_async(async || self.runs() >= runs, "the body runs").await;
    }
}

#[cached(
    ttl = 300,
    prefix = "report",
    key = "{id}:sum",
    coalesce = "fleet",
    tags = ["reports"]
)]
async fn report(body: &Body, id: u64) -> u64 {
    body.run().await
}

#[cached(ttl = 300, prefix = "report", key = "{id}:sum", coalesce = "fleet")]
async fn failing_report(body: &Body, id: u64) -> Result<u64, String> {
    let version = body.run().await;
    match body.fails.swap(false, Ordering::SeqCst) {
        true => Err("not now".into()),
        false => Ok(version),
    }
}

#[cached(ttl = 300, prefix = "report", key = "{id}:sum", coalesce = "fleet")]
async fn panicking_report(body: &Body, id: u64) -> u64 {
    let version = body.run().await;
    assert!(
        !body.fails.swap(false, Ordering::SeqCst),
        "the body's own panic"
    );
    version
}

#[cached(ttl = 300, prefix = "own", key = "{id}")]
async fn of_its_process(body: &Body, id: u64) -> u64 {
    body.run().await
}

#[cached(ttl = 300, prefix = "each", key = "{id}", coalesce = "off")]
async fn of_its_call(body: &Body, id: u64) -> u64 {
    body.run().await
}

#[cache_invalidate(prefix = "report", key = "{id}:sum")]
async fn change_entry(id: u64) {}

#[cache_invalidate(prefix = "report")]
async fn change_prefix() {}

#[cache_invalidate(tags = ["reports"])]
async fn change_tag() {}

async fn on(server: &RedisServer, lease: Duration) -> Cache {
    Cache::builder()
        .redis_url(server.url())
        .response_timeout(Duration::from_secs(5))
        .lease(lease)
        .open()
        .await
        .unwrap()
}

fn call(cache: &Cache, body: &Body) -> JoinHandle<u64> {
    let body = body.clone();
    let report = async move { report(&body, 1).await };
    tokio::spawn(with_cache(cache.clone(), report))
}

fn calls(cache: &Cache, body: &Body, count: usize) -> Vec<JoinHandle<u64>> {
    (0..count).map(|_| call(cache, body)).collect()
}

async fn value(call: JoinHandle<u64>) -> u64 {
    let value = tokio::time::timeout(DEADLINE, call).await;
    value.expect("a call hangs").unwrap()
}

async fn all_are(calls: Vec<JoinHandle<u64>>, expected: u64) {
    for call in calls {
        assert_eq!(value(call).await, expected);
    }
}

/// How often the server ran a command so far, for whomever.
fn count_of(server: &RedisServer, command: &str) -> u64 {
    let stats = server.cli(&["INFO", "commandstats"]);
    let line = format!("cmdstat_{command}:calls=");
    let count = stats.lines().find_map(|stat| stat.strip_prefix(&line));
    let count = count.and_then(|count| count.split(',').next());
    count.map_or(0, |count| count.parse().unwrap())
}

/// Waits until somebody has been told, since there were `before` requests for a lease, that it is held by another.
async fn until_somebody_waits(server: &RedisServer, before: u64) {
    let asked = async || count_of(server, "evalsha") > before;
    wait_until_async(asked, "a second one asks for the lease").await;
    // What it is answered, and that it sleeps then, cannot be seen from outside.
    tokio::time::sleep(Duration::from_millis(50)).await;
}

/// A load that is held in `holder`, and calls in `others` that wait for it.
async fn held_and_waiting(
    server: &RedisServer,
    holder: &Cache,
    others: &[&Cache],
    body: &Body,
) -> (JoinHandle<u64>, Vec<JoinHandle<u64>>) {
    let held = call(holder, body);
    body.wait_for_runs(1).await;
    let mut waiting = Vec::new();
    for other in others {
        let asked = count_of(server, "evalsha");
        waiting.extend(calls(other, &body.unheld(), 5));
        until_somebody_waits(server, asked).await;
    }
    (held, waiting)
}

#[tokio::test]
async fn calls_in_two_caches_run_one_body() {
    let server = RedisServer::start();
    let (one, other) = (on(&server, ENDLESS).await, on(&server, ENDLESS).await);
    let body = Body::new();
    let (held, waiting) = held_and_waiting(&server, &one, &[&other], &body).await;

    body.version.store(1, Ordering::SeqCst);
    body.open.add_permits(1);

    assert_eq!(value(held).await, 0);
    all_are(waiting, 0).await;
    assert_eq!(body.runs(), 1);
    no_lease_is_left(&server).await;
}

#[tokio::test]
async fn calls_that_begin_at_once_on_a_cold_key_run_one_body() {
    let server = RedisServer::start();
    let caches = [
        on(&server, ENDLESS).await,
        on(&server, ENDLESS).await,
        on(&server, ENDLESS).await,
    ];
    for round in 1..=30 {
        let body = Body::new().unheld();
        let mut begun = Vec::new();
        for cache in &caches {
            begun.extend(calls(cache, &body, 20));
        }

        all_are(begun, 0).await;
        assert_eq!(body.runs(), 1, "round {round}");
        caches[0].clear("*").await.unwrap();
    }
}

/// Played by second processes, which count what they do in Redis.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_other_process() {
    let Some(part) = process::part() else { return };
    let lease = match part.role.as_str() {
        "fifty calls" => ENDLESS,
        _ => SHORT,
    };
    let builder = Cache::builder().redis_url(&part.server).lease(lease);
    // Several processes share two cores here; none must take the others' crowding for a Redis that is away.
    let builder = builder.response_timeout(Duration::from_secs(5));
    let cache = builder.open().await.unwrap();
    let port = part.server.rsplit(':').next().unwrap();
    let port = port.split('/').next().unwrap().parse().unwrap();
    let pause = || tokio::task::spawn_blocking(process::pause_here);
    match part.role.as_str() {
        "fifty calls" => {
            pause().await.unwrap();
            let calls: Vec<_> = (0..50)
                .map(|_| tokio::spawn(with_cache(cache.clone(), counted_in_redis(port))))
                .collect();
            command(port, &["INCR", "arrived"]);
            for call in calls {
                assert_eq!(call.await.unwrap(), 1);
            }
        }
        "hold" => {
            let body = Body::new();
            let held = call(&cache, &body);
            body.wait_for_runs(1).await;
            pause().await.unwrap();
            body.open.add_permits(1);
            assert_eq!(held.await.unwrap(), 0);
        }
        "change the entry" => with_cache(cache, change_entry(1)).await,
        "change the prefix" => with_cache(cache, change_prefix()).await,
        "change the tag" => with_cache(cache, change_tag()).await,
        other => panic!("no part is called {other}"),
    }
}

#[cached(ttl = 300, prefix = "report", key = "everybody", coalesce = "fleet")]
async fn counted_in_redis(port: u16) -> i64 {
    let run = command(port, &["INCR", "bodies"]);
    while command(port, &["GET", "gate"]) != "open" {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    run.parse().unwrap()
}

fn command(port: u16, words: &[&str]) -> String {
    let mut connection = Connection::open(port, DEADLINE).unwrap();
    connection.command(words).unwrap().to_string()
}

#[tokio::test]
async fn four_processes_of_fifty_calls_each_run_one_body() {
    let server = RedisServer::start();
    let mut processes: Vec<_> = (0..4)
        .map(|_| Process::start("the_other_process", "fifty calls", &server.url()))
        .collect();
    for process in &mut processes {
        process.paused();
    }
    for process in &mut processes {
        process.go_on();
    }
    let arrived = || server.cli(&["GET", "arrived"]) == "4";
    wait_until(arrived, "all four processes call");
    // One request of each for the lease; the holder's renewal is far off.
    let asked = || count_of(&server, "evalsha") >= 4;
    wait_until(asked, "all four processes have asked for the lease");

    server.cli(&["SET", "gate", "open"]);
    for process in processes {
        process.finish();
    }

    assert_eq!(server.cli(&["GET", "bodies"]), "1");
}

#[tokio::test]
async fn who_waits_is_woken_by_the_fill_and_asks_nothing_meanwhile() {
    let server = RedisServer::start();
    let (one, other) = (on(&server, ENDLESS).await, on(&server, ENDLESS).await);
    let body = Body::new();
    let (held, waiting) = held_and_waiting(&server, &one, &[&other], &body).await;
    let asked = || count_of(&server, "mget") + count_of(&server, "evalsha");
    let before = asked();

    // Time for many looks, were there any.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(asked(), before, "somebody looks while he waits");
    body.open.add_permits(1);

    // They return at all: by themselves they would look long after the deadline.
    all_are(waiting, 0).await;
    assert_eq!(value(held).await, 0);
    let after = asked() - before;
    // The fill, and a look of the one who waited for his process, perhaps two.
    assert!(after <= 3, "{after} commands");
    assert_eq!(body.runs(), 1);
}

/// Between the answer that another holds the lease and the sleep of the one who is told so, the other may end.
#[tokio::test]
async fn a_fill_that_comes_together_with_the_refusal_of_the_lease_is_not_slept_over() {
    let server = RedisServer::start();
    let body = Body::new();
    // The holder has a runtime of its own, since this one stands still in the critical moment.
    let elsewhere = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let held = elsewhere.spawn({
        let (url, body) = (server.url(), body.clone());
        async move {
            let builder = Cache::builder().redis_url(url).lease(ENDLESS);
            let cache = builder.open().await.unwrap();
            with_cache(cache, report(&body, 1)).await
        }
    });
    body.wait_for_runs(1).await;
    let other = on(&server, ENDLESS).await;
    let before = count_of(&server, "evalsha");
    let waiting = call(&other, &body);
    while count_of(&server, "evalsha") == before {
        tokio::task::yield_now().await;
    }

    // From here to the next await nothing is read: the refusal and the news of the fill are heard in one go.
    body.open.add_permits(1);
    wait_until(
        || server.cli(&["EXISTS", "report:1:sum"]) == "1",
        "the fill",
    );

    assert_eq!(value(waiting).await, 0);
    assert_eq!(value(held).await, 0);
    assert_eq!(body.runs(), 1);
    elsewhere.shutdown_background();
}

#[tokio::test]
async fn a_holder_that_is_killed_frees_the_key_when_its_lease_ends_and_one_other_loads() {
    let server = RedisServer::start();
    let (one, other) = (on(&server, SHORT).await, on(&server, SHORT).await);
    let mut holder = Process::start("the_other_process", "hold", &server.url());
    holder.paused();
    let body = Body::new().unheld();
    let mut waiting = calls(&one, &body, 10);
    waiting.extend(calls(&other, &body, 10));
    // Longer than its lease: it lives, so nobody takes its place.
    tokio::time::sleep(SHORT * 3).await;
    assert_eq!(body.runs(), 0, "the living holder has lost its lease");

    drop(holder);

    all_are(waiting, 0).await;
    assert_eq!(body.runs(), 1);
    assert_eq!(server.keys("report:*"), ["report:1:sum"]);
}

#[tokio::test]
async fn a_holder_that_lives_longer_than_several_leases_stores_its_value() {
    let server = RedisServer::start();
    let (one, other) = (on(&server, SHORT).await, on(&server, SHORT).await);
    let body = Body::new();
    let (held, waiting) = held_and_waiting(&server, &one, &[&other], &body).await;
    let lease = server.cli(&["GET", "lease@{report:1:sum}"]);

    let began = Instant::now();
    while began.elapsed() < SHORT * 4 {
        let now = server.cli(&["GET", "lease@{report:1:sum}"]);
        assert_eq!(now, lease, "the lease has changed hands");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    body.open.add_permits(1);

    assert_eq!(value(held).await, 0);
    all_are(waiting, 0).await;
    assert_eq!(body.runs(), 1);
    assert_eq!(server.keys("report:*"), ["report:1:sum"]);
    assert_eq!(one.stats().refused_fills, 0);
}

#[tokio::test]
async fn a_body_longer_than_its_lease_is_stored_however_its_calls_are_coalesced() {
    let server = RedisServer::start();
    let (one, other) = (on(&server, SHORT).await, on(&server, SHORT).await);
    let body = Body::new();
    let start = |cache: &Cache| {
        let (own, each) = (body.clone(), body.clone());
        let cache = cache.clone();
        tokio::spawn(with_cache(cache, async move {
            tokio::join!(of_its_process(&own, 1), of_its_call(&each, 1))
        }))
    };
    let held = start(&one);
    body.wait_for_runs(2).await;

    // What is tested is that this time passes without harm.
    tokio::time::sleep(SHORT * 4).await;
    body.open.add_permits(2);

    assert_eq!(held.await.unwrap(), (0, 0));
    assert_eq!(server.keys("lease@*"), [""; 0]);
    body.version.store(1, Ordering::SeqCst);
    assert_eq!(start(&other).await.unwrap(), (0, 0), "it was not stored");
    assert_eq!(body.runs(), 2);
}

#[tokio::test]
async fn a_lease_that_was_lost_is_not_prolonged_for_whoever_has_it_now() {
    let server = RedisServer::start();
    let cache = on(&server, SHORT).await;
    let body = Body::new();
    let held = call(&cache, &body);
    body.wait_for_runs(1).await;
    assert_eq!(server.cli(&["DEL", "lease@{report:1:sum}"]), "1");
    let mut dies = Process::start("the_other_process", "hold", &server.url());
    dies.paused();
    assert_eq!(server.keys("lease@*").len(), 1);

    drop(dies);

    let ended = async || server.keys("lease@*").is_empty();
    wait_until_async(ended, "the lease of the dead process ends").await;
    body.open.add_permits(1);
    assert_eq!(value(held).await, 0);
    assert_eq!(server.keys("report:*"), [""; 0], "it has lost its leave");
}

/// The ways in which the world changes under a load.
#[derive(Debug, Clone, Copy)]
enum How {
    Entry,
    Prefix,
    Tag,
    Delete,
    DeletePrefix,
    DeletePrefixBelow,
    InvalidateTag,
    Clear,
    EntryElsewhere,
    PrefixElsewhere,
    TagElsewhere,
    ByHandLease,
    ByHandPrefix,
    ByHandRoot,
    ByHandTag,
    Flush,
}

const EVERY_WAY: [How; 16] = [
    How::Entry,
    How::Prefix,
    How::Tag,
    How::Delete,
    How::DeletePrefix,
    How::DeletePrefixBelow,
    How::InvalidateTag,
    How::Clear,
    How::EntryElsewhere,
    How::PrefixElsewhere,
    How::TagElsewhere,
    How::ByHandLease,
    How::ByHandPrefix,
    How::ByHandRoot,
    How::ByHandTag,
    How::Flush,
];

async fn invalidate(how: How, cache: &Cache, server: &RedisServer) {
    let elsewhere = |role| Process::start("the_other_process", role, &server.url()).finish();
    let by_hand = |name| assert_eq!(server.cli(&["DEL", name]), "1", "{name}");
    match how {
        How::Entry => with_cache(cache.clone(), change_entry(1)).await,
        How::Prefix => with_cache(cache.clone(), change_prefix()).await,
        How::Tag => with_cache(cache.clone(), change_tag()).await,
        How::Delete => drop(cache.delete("report:1:sum").await.unwrap()),
        How::DeletePrefix => drop(cache.invalidate_prefix("report").await.unwrap()),
        How::DeletePrefixBelow => drop(cache.invalidate_prefix("report:1").await.unwrap()),
        How::InvalidateTag => drop(cache.invalidate_tag("reports").await.unwrap()),
        How::Clear => drop(cache.clear("rep*").await.unwrap()),
        How::EntryElsewhere => elsewhere("change the entry"),
        How::PrefixElsewhere => elsewhere("change the prefix"),
        How::TagElsewhere => elsewhere("change the tag"),
        How::ByHandLease => by_hand("lease@{report:1:sum}"),
        How::ByHandPrefix => by_hand("gen@report"),
        How::ByHandRoot => by_hand("gen@"),
        How::ByHandTag => by_hand("gen@tag@reports"),
        How::Flush => drop(server.cli(&["FLUSHALL"])),
    }
}

#[tokio::test]
async fn an_invalidation_during_the_load_sends_those_who_wait_to_load_afresh() {
    let server = RedisServer::start();
    let (one, other) = (on(&server, ENDLESS).await, on(&server, ENDLESS).await);
    let third = on(&server, ENDLESS).await;
    for how in EVERY_WAY {
        let body = Body::new();
        let (held, waiting) = held_and_waiting(&server, &one, &[&other, &third], &body).await;

        body.version.store(1, Ordering::SeqCst);
        invalidate(how, &other, &server).await;
        let mut fresh = Vec::new();
        for cache in [&one, &other, &third] {
            fresh.extend(calls(cache, &body.unheld(), 5));
        }

        // While the old load is still held.
        for call in fresh {
            let seen = tokio::time::timeout(DEADLINE, call).await;
            let seen = seen.unwrap_or_else(|_| panic!("{how:?}: it waits for the old load"));
            assert_eq!(seen.unwrap(), 1, "{how:?}: it adopted the old load");
        }
        for call in waiting {
            let seen = tokio::time::timeout(DEADLINE, call).await;
            let seen = seen.unwrap_or_else(|_| panic!("{how:?}: it waits on for the old load"));
            assert_eq!(seen.unwrap(), 1, "{how:?}");
        }
        assert_eq!(
            body.runs(),
            2,
            "{how:?}: the old load, and one for everybody"
        );
        body.open.add_permits(1);
        assert_eq!(value(held).await, 0, "{how:?}");
        for cache in [&one, &other, &third] {
            assert_eq!(value(call(cache, &body.unheld())).await, 1, "{how:?}");
        }
        assert_eq!(
            body.runs(),
            2,
            "{how:?}: the old load has replaced the new one"
        );
        one.clear("*").await.unwrap();
    }
}

/// How the load of a holder comes to nothing.
#[derive(Debug, Clone, Copy)]
enum End {
    Err,
    Panic,
    Cancel,
}

#[tokio::test]
async fn a_holder_that_comes_to_nothing_frees_those_who_wait_at_once() {
    let server = RedisServer::start();
    let (one, other) = (on(&server, ENDLESS).await, on(&server, ENDLESS).await);
    for end in [End::Err, End::Panic, End::Cancel] {
        let body = Body::new();
        let start = |cache: &Cache, body: Body| {
            let cache = cache.clone();
            tokio::spawn(with_cache(cache, async move {
                match end {
                    End::Err => failing_report(&body, 1).await,
                    End::Panic => Ok(panicking_report(&body, 1).await),
                    End::Cancel => Ok(report(&body, 1).await),
                }
            }))
        };
        let held = start(&one, body.clone());
        body.wait_for_runs(1).await;
        let asked = count_of(&server, "evalsha");
        let waiting: Vec<_> = (0..5).map(|_| start(&other, body.unheld())).collect();
        until_somebody_waits(&server, asked).await;
        assert_eq!(body.runs(), 1, "{end:?}");

        match end {
            End::Cancel => held.abort(),
            End::Err | End::Panic => {
                body.fails.store(true, Ordering::SeqCst);
                body.open.add_permits(1);
            }
        }

        for call in waiting {
            let seen = tokio::time::timeout(DEADLINE, call).await;
            let seen = seen.unwrap_or_else(|_| panic!("{end:?}: they wait on"));
            assert_eq!(seen.unwrap(), Ok(0), "{end:?}");
        }
        match end {
            End::Err => assert_eq!(held.await.unwrap(), Err("not now".into())),
            End::Panic => assert!(held.await.unwrap_err().is_panic()),
            End::Cancel => assert!(held.await.unwrap_err().is_cancelled()),
        }
        assert_eq!(body.runs(), 2, "{end:?}");
        one.clear("*").await.unwrap();
    }
}

#[tokio::test]
async fn who_is_not_told_of_the_fill_looks_for_it_now_and_then() {
    // It does not know RESP3, in which it would tell.
    let server = RedisServer::start_with(&["--rename-command", "HELLO", ""]);
    let (one, other) = (on(&server, ENDLESS).await, on(&server, ENDLESS).await);
    let body = Body::new();
    let (held, waiting) = held_and_waiting(&server, &one, &[&other], &body).await;
    let before = count_of(&server, "mget");
    let looks = async || count_of(&server, "mget") >= before + 3;
    wait_until_async(looks, "it looks again and again").await;
    // At the back-off's limit of a quarter of a second: the two looks of a wait come to less than thirty a second.
    let before = count_of(&server, "mget");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let looks = count_of(&server, "mget") - before;
    assert!(looks <= 30, "{looks} looks in a second");

    body.open.add_permits(1);

    assert_eq!(value(held).await, 0);
    all_are(waiting, 0).await;
    assert_eq!(body.runs(), 1);
}

#[tokio::test]
async fn where_redis_dies_everybody_who_waits_gets_a_value_of_a_body() {
    let server = RedisServer::start();
    let (one, other) = (on(&server, ENDLESS).await, on(&server, ENDLESS).await);
    let body = Body::new();
    let (held, mut waiting) = held_and_waiting(&server, &one, &[&other], &body).await;
    waiting.extend(calls(&one, &body, 5));
    body.version.store(1, Ordering::SeqCst);

    server.kill();

    // Those of the other cache run one body among them; those of the holder's own have its.
    body.wait_for_runs(2).await;
    body.open.add_permits(10);
    assert_eq!(value(held).await, 0);
    for call in waiting {
        assert!([0, 1].contains(&value(call).await));
    }
    assert!(body.runs() <= 3, "{} bodies", body.runs());
}

#[tokio::test]
async fn a_redis_that_hangs_holds_nobody_up_for_longer_than_its_timeouts() {
    let server = RedisServer::start();
    let impatient = Cache::builder()
        .redis_url(server.url())
        .response_timeout(Duration::from_millis(200))
        .lease(SHORT);
    let (one, other) = (on(&server, ENDLESS).await, impatient.open().await.unwrap());
    let body = Body::new();
    let (held, waiting) = held_and_waiting(&server, &one, &[&other], &body).await;
    body.version.store(1, Ordering::SeqCst);

    server.pause();

    all_are(waiting, 1).await;
    server.resume();
    body.open.add_permits(1);
    assert_eq!(value(held).await, 0);
}

#[tokio::test]
async fn with_coalesce_off_every_call_runs_its_body_and_the_entry_is_stored() {
    let server = RedisServer::start();
    let in_process = Cache::builder().open().await.unwrap();
    for cache in [in_process, on(&server, ENDLESS).await] {
        let body = Body::new();
        let start = || {
            let body = body.clone();
            let call = async move { of_its_call(&body, 1).await };
            tokio::spawn(with_cache(cache.clone(), call))
        };
        let begun: Vec<_> = (0..10).map(|_| start()).collect();
        body.wait_for_runs(10).await;

        body.open.add_permits(10);

        all_are(begun, 0).await;
        assert_eq!(body.runs(), 10, "{:?}", cache.mode());
        body.version.store(1, Ordering::SeqCst);
        assert_eq!(value(start()).await, 0, "{:?}", cache.mode());
        assert_eq!(body.runs(), 10, "{:?}: it was not stored", cache.mode());
    }
    no_lease_is_left(&server).await;
}

#[tokio::test]
async fn by_default_each_process_runs_a_body_of_its_own() {
    let server = RedisServer::start();
    let (one, other) = (on(&server, ENDLESS).await, on(&server, ENDLESS).await);
    let body = Body::new();
    let mut begun = Vec::new();
    for cache in [&one, &other] {
        for _ in 0..10 {
            let body = body.clone();
            let call = async move { of_its_process(&body, 1).await };
            begun.push(tokio::spawn(with_cache(cache.clone(), call)));
        }
    }
    body.wait_for_runs(2).await;

    body.open.add_permits(2);

    all_are(begun, 0).await;
    assert_eq!(body.runs(), 2);
    no_lease_is_left(&server).await;
}

#[tokio::test]
async fn without_redis_the_fleet_is_the_process() {
    let cache = Cache::builder().open().await.unwrap();
    let body = Body::new();
    let begun = calls(&cache, &body, 20);
    body.wait_for_runs(1).await;

    body.open.add_permits(1);

    all_are(begun, 0).await;
    assert_eq!(body.runs(), 1);
}

async fn no_lease_is_left(server: &RedisServer) {
    let none = async || server.keys("lease@*").is_empty();
    wait_until_async(none, "every lease is given back").await;
}
