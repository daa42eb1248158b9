//! A server that comes back with an older data set, restored from a snapshot or of a replica that was behind, brings back what
//! was invalidated since: values, generations, leases. None of it is ever served, to whomever.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cache_runtime::{Cache, CacheBuilder, Mode, OnRestart, cache_invalidate, cached, with_cache};
use support::{Fault, Log, Proxy, RedisServer, wait_until, wait_until_async};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tracing::Level;

const CONNECT: Duration = Duration::from_millis(500);

#[derive(Default)]
struct Truth {
    version: AtomicU64,
    bodies: AtomicU64,
}

impl Truth {
    fn read(&self) -> u64 {
        self.bodies.fetch_add(1, Ordering::SeqCst);
        self.version.load(Ordering::SeqCst)
    }

    fn change(&self) {
        self.version.fetch_add(1, Ordering::SeqCst);
    }
}

#[cached(ttl = "1h", prefix = "film", key = "{id}")]
async fn film(truth: &Truth, id: u64) -> u64 {
    truth.read()
}

#[cached(ttl = "1h", prefix = "book", key = "{id}:meta")]
async fn book(truth: &Truth, id: u64) -> u64 {
    truth.read()
}

#[cached(ttl = "1h", prefix = "song", key = "{id}", tags = "genre:{genre}")]
async fn song(truth: &Truth, id: u64, genre: &str) -> u64 {
    truth.read()
}

/// Reads, and is held before it returns.
#[cached(ttl = "1h", prefix = "film", key = "{id}")]
async fn film_slowly(truth: &Truth, id: u64, reached: &Semaphore, open: &Semaphore) -> u64 {
    let version = truth.read();
    reached.add_permits(1);
    open.acquire().await.unwrap().forget();
    version
}

#[cache_invalidate(prefix = "film", key = "{id}")]
async fn change_film(id: u64) {}

#[cache_invalidate(prefix = "book")]
async fn change_books() {}

#[cache_invalidate(tags = "genre:{genre}")]
async fn change_songs(genre: &str) {}

fn at(url: &str) -> CacheBuilder {
    let builder = Cache::builder().redis_url(url).key_prefix("app");
    builder.connect_timeout(CONNECT)
}

/// What a cache answers to each of the three functions.
async fn read(cache: &Cache, truth: &Truth) -> [u64; 3] {
    let reads = async {
        [
            film(truth, 1).await,
            book(truth, 1).await,
            song(truth, 1, "pop").await,
        ]
    };
    with_cache(cache.clone(), reads).await
}

/// Invalidates what `read` reads: an entry, a prefix and a tag.
async fn invalidate(cache: &Cache) {
    with_cache(cache.clone(), async {
        change_film(1).await;
        change_books().await;
        change_songs("pop").await;
    })
    .await;
}

async fn until_connected(cache: &Cache) {
    let connected = async || {
        let health = cache.health().await;
        health.mode == Mode::Redis && health.round_trip.is_some()
    };
    wait_until_async(connected, "it is connected").await;
}

/// How often the server has run a command.
fn calls(server: &RedisServer, command: &str) -> u64 {
    let stats = server.cli(&["INFO", "commandstats"]);
    let line = format!("cmdstat_{command}:calls=");
    let count = stats.lines().find_map(|stats| stats.strip_prefix(&line));
    count.map_or(0, |count| count.split(',').next().unwrap().parse().unwrap())
}

/// Two processes that have lived through it all: values stored, saved, invalidated, and the server restarted from what was saved.
struct RolledBack {
    server: RedisServer,
    lived: Cache,
    other: Cache,
    truth: Truth,
    on_restart: OnRestart,
}

impl RolledBack {
    async fn new(options: &[&str], on_restart: OnRestart) -> Self {
        let server = RedisServer::start_with(options);
        let open = async || {
            at(&server.url())
                .on_restart(on_restart)
                .open()
                .await
                .unwrap()
        };
        let (lived, other) = (open().await, open().await);
        let truth = Truth::default();
        for cache in [&lived, &other] {
            assert_eq!(read(cache, &truth).await, [0; 3]);
        }
        assert_eq!(server.cli(&["SAVE"]), "OK");
        truth.change();
        invalidate(&lived).await;
        // At once where it is told, and within the lag where it is not.
        let follows = async || read(&other, &truth).await == [1; 3];
        wait_until_async(follows, "the other process follows").await;
        server.restart();
        assert_eq!(
            server.keys("app:film:1"),
            ["app:film:1"],
            "the data set is the older one"
        );
        Self {
            server,
            lived,
            other,
            truth,
            on_restart,
        }
    }

    async fn fresh(&self) -> Cache {
        let builder = at(&self.server.url()).on_restart(self.on_restart);
        builder.open().await.unwrap()
    }
}

// --- restored from a snapshot ----------------------------------------------------------------

#[tokio::test]
async fn nothing_that_was_invalidated_after_the_snapshot_is_served_whoever_comes_first() {
    for first in ["the one that invalidated", "another", "a fresh one"] {
        for options in [&[][..], &["--rename-command", "HELLO", ""]] {
            let scene = RolledBack::new(options, OnRestart::Distrust).await;
            let fresh = match first {
                "a fresh one" => Some(scene.fresh().await),
                _ => None,
            };
            let begins = match (first, &fresh) {
                (_, Some(fresh)) => fresh,
                ("another", None) => &scene.other,
                _ => &scene.lived,
            };

            assert_eq!(read(begins, &scene.truth).await, [1; 3], "{first}");
            for cache in [&scene.lived, &scene.other, &scene.fresh().await] {
                assert_eq!(read(cache, &scene.truth).await, [1; 3], "after {first}");
                until_connected(cache).await;
                assert_eq!(read(cache, &scene.truth).await, [1; 3], "after {first}");
            }
        }
    }
}

#[tokio::test]
async fn with_trust_it_is_served() {
    let scene = RolledBack::new(&[], OnRestart::Trust).await;

    for cache in [&scene.fresh().await, &scene.lived, &scene.other] {
        until_connected(cache).await;
        assert_eq!(read(cache, &scene.truth).await, [0; 3]);
    }
}

#[tokio::test]
async fn it_is_done_once_for_all_processes_and_said_once() {
    let (log, _guard) = Log::of_this_thread();
    let scene = RolledBack::new(&[], OnRestart::Distrust).await;
    log.clear();

    for cache in [&scene.lived, &scene.other, &scene.fresh().await] {
        until_connected(cache).await;
        read(cache, &scene.truth).await;
    }

    let bodies = scene.truth.bodies.load(Ordering::SeqCst);
    assert_eq!(read(&scene.fresh().await, &scene.truth).await, [1; 3]);
    assert_eq!(
        scene.truth.bodies.load(Ordering::SeqCst),
        bodies,
        "it is stored again"
    );
    assert_eq!(calls(&scene.server, "eval"), 1);
    let line = log.only(Level::WARN, "redis was restarted or replaced");
    assert!(line.contains("on_restart"), "{line}");
}

#[tokio::test]
async fn a_server_that_is_known_costs_one_more_command_at_connect() {
    let server = RedisServer::start();
    at(&server.url()).open().await.unwrap();
    server.cli(&["CONFIG", "RESETSTAT"]);

    let cache = at(&server.url()).open().await.unwrap();

    assert_eq!(cache.mode(), Mode::Redis);
    let asked = ["get", "eval", "evalsha", "del", "set", "unlink"];
    assert_eq!(
        asked.map(|command| calls(&server, command)),
        [1, 0, 0, 0, 0, 0]
    );
}

#[tokio::test]
async fn an_unknown_data_set_is_renewed_when_its_marker_is_lost() {
    let server = RedisServer::start();
    let (cache, truth) = (at(&server.url()).open().await.unwrap(), Truth::default());
    read(&cache, &truth).await;
    assert_eq!(server.cli(&["DEL", "run@app"]), "1");

    let fresh = at(&server.url()).open().await.unwrap();

    assert_eq!(server.keys("gen@app"), [""; 0], "its generation is deleted");
    truth.change();
    assert_eq!(read(&fresh, &truth).await, [1; 3]);
    assert_eq!(server.cli(&["TTL", "run@app"]), "-1");
}

#[tokio::test]
async fn what_is_kept_in_process_beside_another_connection_ends_too() {
    // Two servers behind one address: one runtime still asks the one, another is led to the other.
    let (old, new) = (RedisServer::start(), RedisServer::start());
    let network = Proxy::start(old.port());
    let (cache, truth) = (at(&network.url()).open().await.unwrap(), Truth::default());
    read(&cache, &truth).await;
    truth.change();
    network.lead_to(new.port());

    let elsewhere = cache.clone();
    let thread = std::thread::spawn(move || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        runtime.block_on(async move { elsewhere.health().await });
    });
    wait_until(|| thread.is_finished(), "another runtime has connected");

    assert_eq!(calls(&new, "eval"), 1);
    let before = cache.stats().near_hits;
    with_cache(cache.clone(), film(&truth, 1)).await;
    assert_eq!(cache.stats().near_hits, before, "it is asked for again");
}

// --- loads that began before -----------------------------------------------------------------

struct Held {
    load: JoinHandle<u64>,
    open: Arc<Semaphore>,
}

async fn hold_a_load(cache: &Cache, truth: &Arc<Truth>) -> Held {
    let (reached, open) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let load = tokio::spawn(with_cache(cache.clone(), {
        let (truth, reached, open) = (Arc::clone(truth), Arc::clone(&reached), Arc::clone(&open));
        async move { film_slowly(&truth, 1, &reached, &open).await }
    }));
    reached.acquire().await.unwrap().forget();
    Held { load, open }
}

/// The lease is in the snapshot, its end is not. Answers what a fresh process then reads.
async fn fill_after_the_restart(on_restart: OnRestart) -> u64 {
    let server = RedisServer::start();
    let open = async || {
        at(&server.url())
            .on_restart(on_restart)
            .open()
            .await
            .unwrap()
    };
    let (cache, other, truth) = (open().await, open().await, Arc::new(Truth::default()));
    let held = hold_a_load(&cache, &truth).await;
    assert_eq!(server.cli(&["SAVE"]), "OK");
    truth.change();
    with_cache(other.clone(), change_film(1)).await;
    server.restart();
    assert_eq!(server.keys("lease@*").len(), 1, "the lease is back");

    held.open.add_permits(1);
    assert_eq!(
        held.load.await.unwrap(),
        0,
        "its own caller gets what the body returned"
    );

    with_cache(open().await, film(&truth, 1)).await
}

#[tokio::test]
async fn a_load_that_began_before_the_restart_leaves_nothing_behind() {
    assert_eq!(fill_after_the_restart(OnRestart::Distrust).await, 1);
    assert_eq!(fill_after_the_restart(OnRestart::Trust).await, 0);
}

// --- a replica that was behind ---------------------------------------------------------------

/// A server and its replica, which is cut off before the invalidation, and an address that leads to the first.
struct Failover {
    master: RedisServer,
    replica: RedisServer,
    address: Proxy,
    cache: Cache,
    truth: Truth,
}

impl Failover {
    async fn new(on_restart: OnRestart) -> Self {
        let (master, replica) = (RedisServer::start(), RedisServer::start());
        let line = Proxy::start(master.port());
        let port = line.port().to_string();
        assert_eq!(replica.cli(&["REPLICAOF", "127.0.0.1", &port]), "OK");
        let address = Proxy::start(master.port());
        let cache = at(&address.url()).on_restart(on_restart);
        let cache = cache.open().await.unwrap();
        let truth = Truth::default();
        assert_eq!(read(&cache, &truth).await, [0; 3]);
        let caught_up = || replica.keys("app:*").len() == 3;
        wait_until(caught_up, "the replica has caught up");

        line.set(Fault::BlackHole);
        truth.change();
        invalidate(&cache).await;
        assert_eq!(replica.keys("app:*").len(), 3, "the replica is behind");
        Self {
            master,
            replica,
            address,
            cache,
            truth,
        }
    }

    /// The replica takes over from a master that was killed.
    async fn fail_over(&self) {
        assert_eq!(self.replica.cli(&["REPLICAOF", "NO", "ONE"]), "OK");
        self.address.lead_to(self.replica.port());
        until_connected(&self.cache).await;
    }

    /// The address leads to another server, and nobody stays connected to the one before.
    async fn change_over(&self, from: &RedisServer, to: &RedisServer) {
        self.address.lead_to(to.port());
        from.cli(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        until_connected(&self.cache).await;
    }
}

#[tokio::test]
async fn nothing_invalidated_is_served_by_a_replica_that_was_behind_and_took_over() {
    let scene = Failover::new(OnRestart::Distrust).await;
    scene.master.kill();
    scene.fail_over().await;

    let fresh = at(&scene.address.url()).open().await.unwrap();
    for cache in [&fresh, &scene.cache] {
        assert_eq!(read(cache, &scene.truth).await, [1; 3]);
    }
    assert_eq!(calls(&scene.replica, "eval"), 1);
}

#[tokio::test]
async fn with_trust_the_replica_serves_it() {
    let scene = Failover::new(OnRestart::Trust).await;
    scene.master.kill();
    scene.fail_over().await;

    assert_eq!(read(&scene.cache, &scene.truth).await, [0; 3]);
}

#[tokio::test]
async fn nor_by_the_first_server_when_it_takes_over_again_without_having_followed() {
    let scene = Failover::new(OnRestart::Distrust).await;
    let fresh = async || at(&scene.address.url()).open().await.unwrap();
    // The first server has version 1 of everything, and knows nothing of version 2.
    assert_eq!(read(&scene.cache, &scene.truth).await, [1; 3]);
    assert_eq!(scene.replica.cli(&["REPLICAOF", "NO", "ONE"]), "OK");
    scene.change_over(&scene.master, &scene.replica).await;
    let lived = fresh().await;
    scene.truth.change();
    invalidate(&lived).await;
    let follows = async || read(&scene.cache, &scene.truth).await == [2; 3];
    wait_until_async(follows, "the other process follows").await;

    scene.change_over(&scene.replica, &scene.master).await;

    for cache in [&scene.cache, &lived, &fresh().await] {
        until_connected(cache).await;
        assert_eq!(read(cache, &scene.truth).await, [2; 3]);
    }
}

// --- servers that tell or allow less ---------------------------------------------------------

/// Who may not do something that is needed to know or to renew a data set.
const USER: [&str; 6] = ["ACL", "SETUSER", "limited", "on", ">secret", "~*"];

fn as_limited(server: &RedisServer, rules: &[&str]) -> CacheBuilder {
    let words = [&USER[..], &["&*", "+@all"], rules].concat();
    assert_eq!(server.cli(&words), "OK");
    let url = format!("redis://limited:secret@127.0.0.1:{}/0", server.port());
    at(&url)
}

#[tokio::test]
async fn a_server_that_does_not_tell_or_may_not_be_asked_is_believed_once_the_root_is_deleted() {
    for (refused, says) in [("-info", "NOPERM"), ("-eval", "NOPERM"), ("-get", "")] {
        let (log, _guard) = Log::of_this_thread();
        let scene = RolledBack::new(&[], OnRestart::Distrust).await;
        log.clear();

        let limited = as_limited(&scene.server, &[refused]).open().await.unwrap();

        assert_eq!(read(&limited, &scene.truth).await, [1; 3], "{refused}");
        let settled = async || limited.health().await.unconfirmed == 0;
        wait_until_async(settled, "the root is deleted").await;
        assert_eq!(read(&limited, &scene.truth).await, [1; 3], "{refused}");
        if !says.is_empty() {
            let line = log.only(Level::WARN, "it cannot be known");
            assert!(line.contains(says) && line.contains("on_restart"), "{line}");
        }
    }
}

#[tokio::test]
async fn where_nothing_can_be_deleted_nothing_is_believed_until_it_can() {
    let scene = RolledBack::new(&[], OnRestart::Distrust).await;
    assert_eq!(scene.server.cli(&["REPLICAOF", "127.0.0.1", "1"]), "OK");

    let fresh = scene.fresh().await;
    for cache in [&fresh, &scene.lived, &scene.other] {
        assert_eq!(read(cache, &scene.truth).await, [1; 3]);
        until_connected(cache).await;
        assert_eq!(read(cache, &scene.truth).await, [1; 3]);
        assert_eq!(cache.health().await.unconfirmed, 1);
    }

    assert_eq!(scene.server.cli(&["REPLICAOF", "NO", "ONE"]), "OK");
    for cache in [&fresh, &scene.lived, &scene.other] {
        let settled = async || cache.health().await.unconfirmed == 0;
        wait_until_async(settled, "the root is deleted").await;
        assert_eq!(read(cache, &scene.truth).await, [1; 3]);
    }
}

#[tokio::test]
async fn a_server_that_is_still_reading_its_snapshot_is_waited_for_in_the_background() {
    let (log, _guard) = Log::of_this_thread();
    // It answers from time to time while it reads, and refuses whatever is asked of its data.
    let slowly = [
        "--key-load-delay",
        "2000",
        "--loading-process-events-interval-bytes",
        "1024",
    ];
    let server = RedisServer::start_with(&slowly);
    let (lived, truth) = (at(&server.url()).open().await.unwrap(), Truth::default());
    read(&lived, &truth).await;
    for other in 0..500 {
        server.cli(&["SET", &format!("other:{other}"), "x"]);
    }
    assert_eq!(server.cli(&["SAVE"]), "OK");
    truth.change();
    invalidate(&lived).await;
    server.restart();
    let loading = server.cli(&["GET", "other:1"]);
    assert!(loading.contains("LOADING"), "{loading}");

    let fresh = at(&server.url()).open().await.unwrap();
    for cache in [&lived, &fresh] {
        assert_eq!(read(cache, &truth).await, [1; 3]);
        until_connected(cache).await;
        assert_eq!(read(cache, &truth).await, [1; 3]);
    }
    assert_eq!(calls(&server, "eval"), 1, "once for all");
    assert!(!log.mentions("it cannot be known"), "it will be known");
}

#[tokio::test]
async fn a_server_that_holds_up_the_renewal_costs_one_connect_timeout() {
    let server = RedisServer::start();
    server.cli(&["CLIENT", "PAUSE", "60000", "WRITE"]);
    let start = Instant::now();

    let cache = at(&server.url()).open().await.unwrap();

    assert!(start.elapsed() < CONNECT * 2, "{:?}", start.elapsed());
    assert_eq!(cache.mode(), Mode::Fallback);
    server.cli(&["CLIENT", "UNPAUSE"]);
    until_connected(&cache).await;
}
