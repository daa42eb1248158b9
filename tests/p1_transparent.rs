//! P1: whatever the cache does, a cached function returns what its body would have returned.
//!
//! Redis refusing, hanging, dying or answering garbage costs at most a bounded wait, and once it is known, none.

mod support;

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cache_runtime::{Cache, CacheBuilder, Mode, Reach, cache_invalidate, cached, with_cache};
use serde::{Deserialize, Serialize};
use support::{Fault, Log, Proxy, RedisServer, wait_until_async};
use tracing::Level;

const CONNECT: Duration = Duration::from_millis(300);
const RESPONSE: Duration = Duration::from_millis(200);

/// The source of truth, and what happens while it is read.
#[derive(Clone, Default)]
struct Source {
    version: Arc<AtomicU64>,
    bodies: Arc<AtomicU64>,
    /// Switched on while the body runs, between the look-up and the fill.
    fault: Option<(Arc<Proxy>, Fault)>,
}

impl Source {
    fn read(&self, id: u64) -> String {
        self.bodies.fetch_add(1, Ordering::SeqCst);
        if let Some((proxy, fault)) = &self.fault {
            proxy.set(*fault);
        }
        self.expected(id)
    }

    fn expected(&self, id: u64) -> String {
        format!("{id} v{}", self.version.load(Ordering::SeqCst))
    }

    fn bodies(&self) -> u64 {
        self.bodies.load(Ordering::SeqCst)
    }

    fn change(&self) {
        self.version.fetch_add(1, Ordering::SeqCst);
    }

    fn failing_network(&self, proxy: &Arc<Proxy>, fault: Fault) -> Self {
        Self {
            fault: Some((Arc::clone(proxy), fault)),
            ..self.clone()
        }
    }
}

#[cached(ttl = 300, prefix = "video", key = "{id}")]
async fn video(source: &Source, id: u64) -> String {
    source.read(id)
}

#[cache_invalidate(prefix = "video", key = "{id}")]
async fn change_video(source: &Source, id: u64) {
    let _ = id;
    source.change();
}

#[cache_invalidate(prefix = "video")]
async fn change_videos(source: &Source) {
    source.change();
}

fn at(url: &str) -> CacheBuilder {
    Cache::builder()
        .redis_url(url)
        .connect_timeout(CONNECT)
        .response_timeout(RESPONSE)
}

async fn open(url: &str) -> Cache {
    at(url).open().await.unwrap()
}

/// One call, which must return what the body returns.
#[track_caller]
fn check(cache: &Cache, source: &Source, id: u64) -> impl Future<Output = ()> + use<> {
    let caller = std::panic::Location::caller();
    let (cache, source) = (cache.clone(), source.clone());
    async move {
        let returned = with_cache(cache, video(&source, id)).await;
        assert_eq!(
            returned,
            source.expected(id),
            "at line {line}",
            line = caller.line()
        );
    }
}

/// Calls until the cache is in that mode; every one of the calls is checked.
async fn until_mode(cache: &Cache, source: &Source, mode: Mode) {
    let settled = async || {
        check(cache, source, 1).await;
        cache.mode() == mode
    };
    wait_until_async(settled, &format!("the cache is in {mode:?}")).await;
}

/// What Redis has not confirmed is replayed in the background, so that other processes see it too.
async fn replayed(cache: &Cache) {
    let all = async || cache.health().await.unconfirmed == 0;
    wait_until_async(all, "every invalidation is confirmed").await;
}

/// Redis is trusted, and what is called is stored there.
async fn check_recovery(cache: &Cache, source: &Source) {
    until_mode(cache, source, Mode::Redis).await;
    wait_until_async(
        async || {
            let before = source.bodies();
            check(cache, source, 2).await;
            source.bodies() == before
        },
        "a call is answered from Redis",
    )
    .await;
    assert_eq!(cache.mode(), Mode::Redis);
}

/// Leases that were not used are given back, by a task.
async fn no_lease_is_left(server: &RedisServer) {
    let given_back = async || server.keys("lease@*").is_empty();
    wait_until_async(given_back, "every lease is given back").await;
}

fn warnings(log: &Log) -> Vec<String> {
    log.at(Level::WARN)
}

// --- a server that is absent ----------------------------------------------------------------

#[tokio::test]
async fn a_server_absent_at_the_start_is_waited_for_at_most_once() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    for fault in [Fault::Refuse, Fault::BlackHole, Fault::Reset] {
        proxy.set(fault);
        let source = Source::default();
        let start = Instant::now();

        let cache = open(&proxy.url()).await;

        assert_eq!(cache.mode(), Mode::Fallback, "{fault:?}");
        let calls: Vec<_> = (0..100)
            .map(|id| tokio::spawn(check(&cache, &source, id)))
            .collect();
        for call in calls {
            call.await.unwrap();
        }
        let waited = start.elapsed();
        assert!(waited <= CONNECT * 3, "{fault:?}: {waited:?}");
        assert_eq!(source.bodies(), 100, "{fault:?}");
        for id in 0..100 {
            check(&cache, &source, id).await;
        }
        assert_eq!(source.bodies(), 100, "{fault:?}: answered in process");
    }
}

#[tokio::test]
async fn a_server_that_was_killed_is_used_again_when_it_is_back() {
    let (log, _guard) = Log::of_this_thread();
    let server = RedisServer::start();
    let cache = open(&server.url()).await;
    let source = Source::default();
    check_recovery(&cache, &source).await;

    server.kill();

    until_mode(&cache, &source, Mode::Fallback).await;
    // The call that finds Redis gone is not kept yet, the one after it is.
    check(&cache, &source, 1).await;
    let before = source.bodies();
    for _ in 0..100 {
        check(&cache, &source, 1).await;
    }
    assert_eq!(source.bodies(), before, "the process stands in");
    server.restart();
    check_recovery(&cache, &source).await;
    assert_eq!(server.keys("video:*"), ["video:1", "video:2"]);
    log.only(Level::WARN, "redis unreachable, going on without it");
    log.only(Level::WARN, "redis is back");
    assert_eq!(warnings(&log).len(), 2, "{:#?}", warnings(&log));
}

#[tokio::test]
async fn a_lost_connection_is_replaced_before_any_caller_notices() {
    let (log, _guard) = Log::of_this_thread();
    let server = RedisServer::start();
    let cache = open(&server.url()).await;
    let source = Source::default();
    check(&cache, &source, 1).await;

    for _ in 0..20 {
        server.cli(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        check(&cache, &source, 1).await;
    }

    assert_eq!(source.bodies(), 1);
    assert_eq!(cache.mode(), Mode::Redis);
    assert_eq!(warnings(&log), [""; 0]);
}

// --- invalidations while it is away ---------------------------------------------------------

#[derive(Debug, Clone, Copy)]
enum How {
    Entry,
    Prefix,
    Delete,
    DeletePrefix,
    Set,
}

async fn change(how: How, cache: &Cache, source: &Source) {
    match how {
        How::Entry => with_cache(cache.clone(), change_video(source, 1)).await,
        How::Prefix => with_cache(cache.clone(), change_videos(source)).await,
        How::Delete => {
            source.change();
            cache.delete("video:1").await.unwrap();
        }
        How::DeletePrefix => {
            source.change();
            let told = cache.invalidate_prefix("video").await;
            let told = told.unwrap();
            assert!(!told.is_confirmed(), "Redis has not confirmed it");
            assert_eq!(told.reach, Reach::Remembered);
        }
        How::Set => {
            source.change();
            let value = source.expected(1);
            // An error where Redis fails and is not given up yet; what stands there is dropped all the same.
            let _ = cache.set("video:1", &value, None).await;
        }
    }
}

const CHANGES: [How; 5] = [
    How::Entry,
    How::Prefix,
    How::Delete,
    How::DeletePrefix,
    How::Set,
];

#[tokio::test]
async fn an_invalidation_made_while_redis_is_away_is_replayed_before_redis_is_trusted() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    for fault in [
        Fault::Refuse,
        Fault::BlackHole,
        Fault::Reset,
        Fault::Garble,
        Fault::CutAfter(3),
    ] {
        for how in CHANGES {
            let source = Source::default();
            server.cli(&["FLUSHALL"]);
            let cache = open(&proxy.url()).await;
            check(&cache, &source, 1).await;
            assert_eq!(server.keys("video:*"), ["video:1"], "{fault:?} {how:?}");

            proxy.set(fault);
            until_mode(&cache, &source, Mode::Fallback).await;
            change(how, &cache, &source).await;
            check(&cache, &source, 1).await;
            proxy.set(Fault::None);

            // Whatever answers from here on, it is never the entry that Redis has kept.
            until_mode(&cache, &source, Mode::Redis).await;
            check(&cache, &source, 1).await;
            replayed(&cache).await;
            check(&open(&server.url()).await, &source, 1).await;
        }
    }
}

#[tokio::test]
async fn an_invalidation_that_finds_redis_gone_is_replayed_too() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    for fault in [Fault::Refuse, Fault::BlackHole, Fault::Garble] {
        for how in CHANGES {
            let source = Source::default();
            server.cli(&["FLUSHALL"]);
            let cache = open(&proxy.url()).await;
            check(&cache, &source, 1).await;

            // Nobody has noticed yet when the change is made.
            proxy.set(fault);
            change(how, &cache, &source).await;
            check(&cache, &source, 1).await;
            proxy.set(Fault::None);

            check(&cache, &source, 1).await;
            until_mode(&cache, &source, Mode::Redis).await;
            check(&cache, &source, 1).await;
            replayed(&cache).await;
            check(&open(&server.url()).await, &source, 1).await;
        }
    }
}

#[tokio::test]
async fn an_invalidation_made_while_the_server_hangs_is_replayed_when_it_goes_on() {
    let server = RedisServer::start();
    for how in CHANGES {
        let source = Source::default();
        server.cli(&["FLUSHALL"]);
        let cache = open(&server.url()).await;
        check(&cache, &source, 1).await;

        server.pause();
        change(how, &cache, &source).await;
        check(&cache, &source, 1).await;
        until_mode(&cache, &source, Mode::Fallback).await;
        server.resume();

        until_mode(&cache, &source, Mode::Redis).await;
        check(&cache, &source, 1).await;
        replayed(&cache).await;
        check(&open(&server.url()).await, &source, 1).await;
    }
}

// --- a server that hangs --------------------------------------------------------------------

#[tokio::test]
async fn a_hanging_server_costs_each_call_a_bounded_wait_and_soon_none() {
    let server = RedisServer::start();
    let cache = open(&server.url()).await;
    let source = Source::default();
    check(&cache, &source, 1).await;

    server.pause();

    let mut number = 10;
    while cache.mode() == Mode::Redis {
        let start = Instant::now();
        check(&cache, &source, number).await;
        let waited = start.elapsed();
        assert!(waited <= RESPONSE * 3 + CONNECT, "{waited:?}");
        number += 1;
        assert!(number < 20, "the breaker never opens");
    }
    let start = Instant::now();
    for id in 100..200 {
        check(&cache, &source, id).await;
    }
    let waited = start.elapsed();
    assert!(waited < RESPONSE * 3, "a hundred calls: {waited:?}");
    server.resume();
    check_recovery(&cache, &source).await;
}

#[tokio::test]
async fn many_calls_at_once_on_a_hanging_server_wait_together() {
    let server = RedisServer::start();
    let cache = open(&server.url()).await;
    let source = Source::default();
    check(&cache, &source, 1).await;
    server.pause();
    let start = Instant::now();

    let calls: Vec<_> = (0..100)
        .map(|id| tokio::spawn(check(&cache, &source, id)))
        .collect();
    for call in calls {
        call.await.unwrap();
    }

    let waited = start.elapsed();
    assert!(waited <= RESPONSE * 3 + CONNECT, "{waited:?}");
}

// --- a network that fails -------------------------------------------------------------------

fn faults() -> Vec<Fault> {
    let mut faults = vec![
        Fault::Delay(Duration::from_millis(20)),
        Fault::Delay(RESPONSE * 2),
        Fault::BlackHole,
        Fault::Refuse,
        Fault::Reset,
        Fault::Garble,
    ];
    faults.extend([0, 1, 4, 5, 30, 60, 120].map(Fault::CutAfter));
    faults
}

#[tokio::test]
async fn whatever_the_network_does_to_a_read_the_caller_gets_the_bodys_value() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    for fault in faults() {
        for stored in [false, true] {
            let source = Source::default();
            server.cli(&["FLUSHALL"]);
            let cache = open(&proxy.url()).await;
            if stored {
                check(&cache, &source, 1).await;
            }
            proxy.set(fault);

            check(&cache, &source, 1).await;

            check(&cache, &source, 1).await;
            proxy.set(Fault::None);
            check_recovery(&cache, &source).await;
        }
    }
}

#[tokio::test]
async fn whatever_the_network_does_to_a_fill_the_caller_gets_the_bodys_value() {
    let server = RedisServer::start();
    let proxy = Arc::new(Proxy::start(server.port()));
    for fault in faults() {
        let source = Source::default();
        server.cli(&["FLUSHALL"]);
        let cache = open(&proxy.url()).await;

        let failing = source.failing_network(&proxy, fault);
        check(&cache, &failing, 1).await;

        check(&cache, &source, 1).await;
        proxy.set(Fault::None);
        check_recovery(&cache, &source).await;
    }
}

#[tokio::test]
async fn a_fill_that_may_or_may_not_have_arrived_is_invalidated_like_any_other() {
    let server = RedisServer::start();
    let proxy = Arc::new(Proxy::start(server.port()));
    for fault in faults() {
        let source = Source::default();
        server.cli(&["FLUSHALL"]);
        let cache = open(&proxy.url()).await;

        let failing = source.failing_network(&proxy, fault);
        check(&cache, &failing, 1).await;
        change(How::Entry, &cache, &source).await;
        check(&cache, &source, 1).await;
        proxy.set(Fault::None);

        until_mode(&cache, &source, Mode::Redis).await;
        check(&cache, &source, 1).await;
        replayed(&cache).await;
        check(&open(&server.url()).await, &source, 1).await;
    }
}

// --- a server that refuses ------------------------------------------------------------------

/// Ten calls, each of which returns what the body does, and no line repeated in the log.
async fn check_refusal(server: &RedisServer, url: &str, refuse: impl FnOnce(&RedisServer)) {
    let (log, _guard) = Log::of_this_thread();
    let cache = open(url).await;
    let source = Source::default();
    refuse(server);

    for _ in 0..10 {
        check(&cache, &source, 7).await;
    }

    // One line for each kind of operation that is refused, however many are.
    let mut lines = warnings(&log);
    let said = lines.len();
    lines.sort();
    lines.dedup();
    assert_eq!(lines.len(), said, "a line was repeated: {lines:#?}");
    assert!((1..=2).contains(&said), "{lines:#?}");
    assert_eq!(log.at(Level::ERROR), [""; 0]);
}

#[tokio::test]
async fn a_wrong_password_leaves_the_body_its_say() {
    let server = RedisServer::start_with(&["--requirepass", "right"]);
    let url = format!("redis://:wrong@127.0.0.1:{}/0", server.port());

    check_refusal(&server, &url, |_| {}).await;
}

#[tokio::test]
async fn a_missing_password_leaves_the_body_its_say() {
    let server = RedisServer::start_with(&["--requirepass", "right"]);
    let url = format!("redis://127.0.0.1:{}/0", server.port());

    check_refusal(&server, &url, |_| {}).await;
}

#[tokio::test]
async fn a_read_only_replica_leaves_the_body_its_say() {
    let server = RedisServer::start();

    check_refusal(&server, &server.url(), |server| {
        assert_eq!(server.cli(&["REPLICAOF", "127.0.0.1", "1"]), "OK");
    })
    .await;
}

#[tokio::test]
async fn a_server_out_of_memory_leaves_the_body_its_say() {
    let server = RedisServer::start();

    check_refusal(&server, &server.url(), |server| {
        server.cli(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
        assert_eq!(server.cli(&["CONFIG", "SET", "maxmemory", "1"]), "OK");
    })
    .await;
}

#[tokio::test]
async fn a_server_that_refuses_every_command_leaves_the_body_its_say() {
    let server = RedisServer::start();

    // Every command but INFO and a few more is refused, as LOADING and BUSY are.
    check_refusal(&server, &server.url(), |server| {
        let no_commands = ["ACL", "SETUSER", "default", "-@all", "+acl", "+info"];
        assert_eq!(server.cli(&no_commands), "OK");
    })
    .await;
}

#[test]
fn a_key_of_another_type_in_place_of_ours_leaves_the_body_its_say() {
    for name in ["video:7", "lease@{video:7}", "gen@video", "gen@"] {
        let server = RedisServer::start();
        // One for each case, so that nothing left of a case speaks up in the next.
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();

        runtime.block_on(check_refusal(&server, &server.url(), |server| {
            assert_eq!(server.cli(&["LPUSH", name, "not ours"]), "1");
        }));
    }
}

#[tokio::test]
async fn one_key_that_is_refused_among_many_is_said_once() {
    let (log, _guard) = Log::of_this_thread();
    let server = RedisServer::start();
    let cache = open(&server.url()).await;
    let source = Source::default();
    assert_eq!(server.cli(&["LPUSH", "video:7", "not ours"]), "1");

    for id in 10..20 {
        check(&cache, &source, id).await;
        check(&cache, &source, 7).await;
    }

    assert_eq!(warnings(&log).len(), 1, "{:#?}", warnings(&log));
    assert_eq!(server.keys("video:1?").len(), 10, "the others are stored");
}

#[tokio::test]
async fn a_refusal_that_ends_is_forgotten() {
    let server = RedisServer::start();
    let cache = open(&server.url()).await;
    let source = Source::default();
    server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    check(&cache, &source, 1).await;
    check(&cache, &source, 1).await;
    assert_eq!(source.bodies(), 2, "nothing can be stored");

    server.cli(&["CONFIG", "SET", "maxmemory", "0"]);

    check_recovery(&cache, &source).await;
}

#[tokio::test]
async fn a_server_that_forgets_the_scripts_is_told_them_again() {
    let (log, _guard) = Log::of_this_thread();
    let server = RedisServer::start();
    let cache = open(&server.url()).await;
    let source = Source::default();
    for id in 0..5 {
        assert_eq!(server.cli(&["SCRIPT", "FLUSH"]), "OK");
        check(&cache, &source, id).await;
        assert_eq!(server.cli(&["SCRIPT", "FLUSH"]), "OK");
        check(&cache, &source, id).await;
    }

    assert_eq!(source.bodies(), 5);
    assert_eq!(server.keys("video:*").len(), 5);
    assert_eq!(warnings(&log), [""; 0]);
}

// --- values and arguments that serde cannot carry -------------------------------------------

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Flattened {
    id: u64,
    #[serde(flatten)]
    rest: std::collections::BTreeMap<String, u64>,
}

#[cached(ttl = 300, prefix = "flattened", skip(source))]
async fn flattened(source: &Source, id: u64) -> Flattened {
    source.read(id);
    Flattened {
        id,
        rest: [("a".to_owned(), 1)].into(),
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(u64),
    Text(String),
}

#[cached(ttl = 300, prefix = "untagged", skip(source))]
async fn untagged(source: &Source, id: u64) -> Untagged {
    source.read(id);
    Untagged::Number(id)
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Unwritable(u64);

impl Serialize for Unwritable {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("has no text"))
    }
}

#[cached(ttl = 300, prefix = "unwritable", skip(source))]
async fn unwritable(source: &Source, id: u64) -> Unwritable {
    source.read(id);
    Unwritable(id)
}

#[cached(ttl = 300, prefix = "keyed", skip(source))]
async fn keyed_by(source: &Source, id: Unwritable) -> u64 {
    source.read(id.0);
    id.0
}

#[tokio::test]
async fn a_value_that_cannot_be_encoded_is_returned_and_said_once_by_type() {
    let (log, _guard) = Log::of_this_thread();
    let server = RedisServer::start();
    let cache = open(&server.url()).await;
    let source = Source::default();

    for id in [1, 2, 1, 2, 3] {
        let value = with_cache(cache.clone(), flattened(&source, id)).await;
        assert_eq!((value.id, value.rest.len()), (id, 1));
        let value = with_cache(cache.clone(), untagged(&source, id)).await;
        assert_eq!(value, Untagged::Number(id));
        let value = with_cache(cache.clone(), unwritable(&source, id)).await;
        assert_eq!(value, Unwritable(id));
    }

    for name in ["Flattened", "Untagged", "Unwritable"] {
        log.only(Level::WARN, &format!("p1_transparent::{name}"));
    }
    assert_eq!(warnings(&log).len(), 3, "{:#?}", warnings(&log));
    no_lease_is_left(&server).await;
}

#[tokio::test]
async fn a_value_that_cannot_be_encoded_is_kept_in_process_all_the_same() {
    let cache = Cache::builder().open().await.unwrap();
    let source = Source::default();

    for _ in 0..3 {
        let value = with_cache(cache.clone(), unwritable(&source, 1)).await;
        assert_eq!(value, Unwritable(1));
    }

    assert_eq!(source.bodies(), 1);
}

#[tokio::test]
async fn an_argument_that_cannot_be_written_runs_the_body() {
    let (log, _guard) = Log::of_this_thread();
    let server = RedisServer::start();
    let cache = open(&server.url()).await;
    let source = Source::default();

    for id in [1, 1, 2] {
        let returned = with_cache(cache.clone(), keyed_by(&source, Unwritable(id))).await;
        assert_eq!(returned, id);
    }

    assert_eq!(source.bodies(), 3);
    assert_eq!(server.keys("*keyed*"), [""; 0]);
    assert!(warnings(&log).iter().all(|line| line.contains("keyed_by")));
    assert!(!warnings(&log).is_empty());
}

// --- bodies ---------------------------------------------------------------------------------

#[cached(ttl = 300, prefix = "panicking", skip(source))]
async fn panicking_at_first(source: &Source, id: u64) -> String {
    let value = source.read(id);
    tokio::task::yield_now().await;
    assert!(source.bodies() > 1, "the body's own panic");
    value
}

#[tokio::test]
async fn a_panic_of_the_body_reaches_its_own_caller_and_nobody_else() {
    let server = RedisServer::start();
    let in_process = Cache::builder().open().await.unwrap();
    for cache in [in_process, open(&server.url()).await] {
        let source = Source::default();
        let calls: Vec<_> = (0..10)
            .map(|_| {
                let (cache, source) = (cache.clone(), source.clone());
                tokio::spawn(with_cache(cache, async move {
                    panicking_at_first(&source, 1).await
                }))
            })
            .collect();

        let mut panics = 0;
        for call in calls {
            match call.await {
                Ok(value) => assert_eq!(value, source.expected(1)),
                Err(error) => {
                    let payload = error.into_panic();
                    assert_eq!(
                        payload.downcast_ref::<&str>(),
                        Some(&"the body's own panic")
                    );
                    panics += 1;
                }
            }
        }

        assert_eq!(panics, 1);
        wait_until_async(
            async || {
                let before = source.bodies();
                with_cache(cache.clone(), panicking_at_first(&source, 1)).await;
                source.bodies() == before
            },
            "the value is kept",
        )
        .await;
    }
}

#[tokio::test]
async fn a_ttl_of_zero_stores_nothing() {
    let server = RedisServer::start();
    let in_process = Cache::builder().open().await.unwrap();
    for cache in [in_process, open(&server.url()).await] {
        for run in 0..3 {
            let loaded: Result<_, ()> = cache
                .get_or_set("zero", Duration::ZERO, async || Ok(run))
                .await;
            assert_eq!(loaded, Ok(run));
        }
    }

    assert_eq!(server.keys("zero"), [""; 0]);
    no_lease_is_left(&server).await;
}

#[test]
fn a_runtime_without_timers_or_without_io_costs_the_cache_and_not_the_call() {
    let server = RedisServer::start();
    let source = Source::default();
    for (io, time) in [(false, false), (false, true), (true, false)] {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        if io {
            builder.enable_io();
        }
        if time {
            builder.enable_time();
        }
        let runtime = builder.build().unwrap();

        let called = std::panic::catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(async {
                let cache = open(&server.url()).await;
                check(&cache, &source, 1).await;
                check(&cache, &source, 1).await;
            });
        }));

        assert!(called.is_ok(), "io {io}, time {time}: the call panicked");
    }
}
