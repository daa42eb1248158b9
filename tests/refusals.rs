//! A server that refuses: each reason has its line in the log with what to do, once, and none reaches a caller.

mod support;

#[path = "refusals/stand_in.rs"]
mod stand_in;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use cache_runtime::{
    Cache, CacheBuilder, Durability, ErrorKind, HealthState, Mode, OnRestart, Reach,
    cache_invalidate, cached, with_cache,
};
use stand_in::{Impostor, Relay};
use support::{Log, RedisServer, wait_until, wait_until_async};
use tracing::Level;

/// Long enough that a busy machine is not taken for a server that does not answer: nothing here waits for them.
const CONNECT: Duration = Duration::from_secs(2);
const RESPONSE: Duration = Duration::from_secs(1);

/// Between two background attempts at the most: five seconds and a quarter, and the attempt itself.
const LONGEST_BACKOFF: Duration = Duration::from_millis(6_250);

const REFUSES_ALL: &str = "redis refuses everything, going on without it";
const REFUSES_WRITES: &str = "redis refuses to be written to, nothing is stored there";
const REFUSES_THIS: &str = "redis refuses, going on without it for this";

/// The source of truth.
#[derive(Clone, Default)]
struct Source {
    version: Arc<AtomicU64>,
    bodies: Arc<AtomicU64>,
}

impl Source {
    fn read(&self, id: u64) -> String {
        self.bodies.fetch_add(1, Ordering::SeqCst);
        self.expected(id)
    }

    fn expected(&self, id: u64) -> String {
        format!("{id} v{}", self.version.load(Ordering::SeqCst))
    }

    fn bodies(&self) -> u64 {
        self.bodies.load(Ordering::SeqCst)
    }
}

/// Not kept in process while Redis is there, so that every call asks Redis.
#[cached(ttl = 300, prefix = "film", key = "{id}", near = false)]
async fn film(source: &Source, id: u64) -> String {
    source.read(id)
}

#[cached(ttl = 300, prefix = "kept", key = "{id}")]
async fn kept_film(source: &Source, id: u64) -> String {
    source.read(id)
}

#[cached(ttl = 300, prefix = "failing", key = "{id}", near = false)]
async fn failing(id: u64) -> Result<u64, String> {
    Err(format!("{id} failed"))
}

#[cache_invalidate(prefix = "film", key = "{id}")]
async fn change_film(source: &Source, id: u64) -> u64 {
    source.version.fetch_add(1, Ordering::SeqCst) + id
}

/// What a server refuses at the connect, when it is asked whose data it has, is the matter of `rollback`.
fn at(url: &str) -> CacheBuilder {
    Cache::builder()
        .redis_url(url)
        .on_restart(OnRestart::Trust)
        .connect_timeout(CONNECT)
        .response_timeout(RESPONSE)
}

/// A cache, the truth behind it, and what it logs.
struct Bench {
    cache: Cache,
    source: Source,
    log: Log,
    _guard: tracing::subscriber::DefaultGuard,
}

impl Bench {
    async fn open(url: &str) -> Self {
        let (log, guard) = Log::of_this_thread();
        Self {
            cache: at(url).open().await.unwrap(),
            source: Source::default(),
            log,
            _guard: guard,
        }
    }

    /// One call, which must return what the body returns.
    #[track_caller]
    fn check(&self, id: u64) -> impl Future<Output = ()> + use<> {
        let caller = std::panic::Location::caller();
        let (cache, source) = (self.cache.clone(), self.source.clone());
        async move {
            let returned = with_cache(cache, film(&source, id)).await;
            assert_eq!(returned, source.expected(id), "at line {}", caller.line());
        }
    }

    /// Calls of every kind, none of which is disturbed; together they wait for no more than what was refused at first.
    async fn check_all(&self) {
        let start = Instant::now();
        for id in 0..10 {
            self.check(7).await;
            self.check(100 + id).await;
            let failed = with_cache(self.cache.clone(), failing(id)).await;
            assert_eq!(failed, Err(format!("{id} failed")));
        }
        let waited = start.elapsed();
        assert!(waited <= CONNECT + RESPONSE, "{waited:?}");
    }

    /// A mutating function returns its body's value, and what it changed is not served in its old state.
    async fn check_change(&self) {
        let version = self.source.version.load(Ordering::SeqCst);
        let changed = with_cache(self.cache.clone(), change_film(&self.source, 7)).await;
        assert_eq!(changed, version + 7);
        self.check(7).await;
    }

    fn warnings(&self) -> Vec<String> {
        self.log.at(Level::WARN)
    }

    /// There was one line, and it says this.
    #[track_caller]
    fn check_line(&self, message: &str, refusal: &str, advice: &str) {
        let lines = self.warnings();
        assert_eq!(lines.len(), 1, "{lines:#?}");
        let line = &lines[0];
        assert!(line.starts_with(message), "{line}");
        assert!(line.contains(&format!("refusal={refusal} ")), "{line}");
        assert!(line.contains("advice=") && line.contains(advice), "{line}");
        self.log.clear();
    }

    /// What is called is found in Redis from here on, within one back-off; and one line says so.
    async fn check_recovery(&self, message: &str) {
        let start = Instant::now();
        let mut id = 10_000;
        let found = async || {
            id += 1;
            self.check(7).await;
            self.check(id).await;
            let before = self.source.bodies();
            self.check(id).await;
            let found = self.cache.mode() == Mode::Redis && self.source.bodies() == before;
            found && !self.warnings().is_empty()
        };
        wait_until_async(found, "a call is answered from Redis").await;
        let took = start.elapsed();
        assert!(took <= LONGEST_BACKOFF, "{took:?}");
        let lines = self.warnings();
        assert_eq!(lines.len(), 1, "{lines:#?}");
        assert!(lines[0].starts_with(message), "{lines:#?}");
        self.log.clear();
        for id in 100..110 {
            self.check(id).await;
        }
        self.check_change().await;
        assert_eq!(self.warnings(), [""; 0]);
    }

    async fn problem(&self) -> String {
        let health = self.cache.health().await;
        assert_ne!(health.state, HealthState::Healthy);
        health.problem.unwrap()
    }
}

const BACK: &str = "redis is back";
const WRITABLE: &str = "redis can be written to again";
const ACCEPTED: &str = "redis refuses it no more";

/// How often the server was asked for this command, whether it was refused or not.
fn asked(server: &RedisServer, command: &str) -> u64 {
    let stats = server.cli(&["INFO", "commandstats"]);
    let name = format!("cmdstat_{command}:");
    let line = stats.lines().find_map(|line| line.strip_prefix(&name));
    let field = |name: &str| {
        let mut fields = line.unwrap_or_default().trim().split(',');
        let value = fields.find_map(|field| field.strip_prefix(name));
        value.map_or(0, |value| value.parse::<u64>().unwrap())
    };
    field("calls=") + field("rejected_calls=")
}

fn set(server: &RedisServer, name: &str, value: &str) {
    assert_eq!(server.cli(&["CONFIG", "SET", name, value]), "OK");
}

/// The user `ann`, with these rights.
fn allow(server: &RedisServer, rights: &[&str]) {
    let words = [&["ACL", "SETUSER", "ann", "reset", "on", ">pass"], rights].concat();
    assert_eq!(server.cli(&words), "OK");
}

fn as_ann(server: &RedisServer) -> String {
    format!("redis://ann:pass@127.0.0.1:{}/0", server.port())
}

// --- writes alone are refused ---------------------------------------------------------------

#[tokio::test]
async fn a_read_only_replica_answers_reads_and_is_not_asked_to_write_by_every_miss() {
    let master = RedisServer::start();
    let port = master.port().to_string();
    let replica = RedisServer::start_with(&["--replicaof", "127.0.0.1", &port]);
    let filler = Bench::open(&master.url()).await;
    for id in 0..5 {
        filler.check(id).await;
    }
    let copied = || replica.keys("film:*").len() == 5;
    wait_until(copied, "the replica has it all");
    drop(filler);
    let bench = Bench::open(&replica.url()).await;
    bench.check(1_000).await;
    let (reads, writes) = (asked(&replica, "mget"), asked(&replica, "evalsha"));

    for id in 0..5 {
        bench.check(id).await;
    }
    for id in 100..150 {
        bench.check(id).await;
    }

    assert_eq!(bench.source.bodies(), 1 + 50, "what is there is answered");
    assert_eq!(asked(&replica, "mget"), reads + 55, "one round trip a call");
    // The background attempts alone: the waits between them double.
    let tried = asked(&replica, "evalsha") - writes;
    assert!(tried <= 10, "{tried} attempts to write");
    let tried_again = async || {
        bench.check(1_000).await;
        asked(&replica, "evalsha") >= writes + 4
    };
    wait_until_async(tried_again, "it is tried again and again").await;
    // The script that asks for a lease, and the one that tries to write: nothing was granted that could be given back.
    assert_eq!(asked(&replica, "script|load"), 2);
    bench.check_line(
        REFUSES_WRITES,
        "READONLY",
        "point the address at the master",
    );
    assert_eq!(bench.cache.mode(), Mode::Redis);
    assert!(
        bench
            .problem()
            .await
            .contains("point the address at the master")
    );
}

#[tokio::test]
async fn what_a_read_only_replica_was_not_told_is_remembered_until_it_is() {
    let master = RedisServer::start();
    let port = master.port().to_string();
    let replica = RedisServer::start_with(&["--replicaof", "127.0.0.1", &port]);
    let filler = Bench::open(&master.url()).await;
    filler.check(7).await;
    wait_until(|| !replica.keys("film:7").is_empty(), "the replica has it");
    drop(filler);
    let bench = Bench::open(&replica.url()).await;
    bench.check(7).await;
    assert_eq!(bench.source.bodies(), 0);

    bench.check_change().await;
    let told = with_cache(bench.cache.clone(), bench.cache.invalidate_prefix("film")).await;

    assert_eq!(told.unwrap().reach, Reach::Remembered);
    bench.check_line(
        REFUSES_WRITES,
        "READONLY",
        "point the address at the master",
    );
    bench.check_all().await;
    assert!(bench.problem().await.contains("read-only replica"));
    assert_eq!(replica.cli(&["REPLICAOF", "NO", "ONE"]), "OK");
    bench.check_recovery(WRITABLE).await;
}

#[tokio::test]
async fn after_a_failover_the_new_master_is_found() {
    let old = RedisServer::start();
    let port = old.port().to_string();
    let new = RedisServer::start_with(&["--replicaof", "127.0.0.1", &port]);
    let relay = Relay::to(old.port());
    let bench = Bench::open(&relay.url()).await;
    bench.check(7).await;
    wait_until(|| !new.keys("film:7").is_empty(), "the replica has it");

    assert_eq!(new.cli(&["REPLICAOF", "NO", "ONE"]), "OK");
    let port = new.port().to_string();
    assert_eq!(old.cli(&["REPLICAOF", "127.0.0.1", &port]), "OK");
    relay.turn_to(new.port());

    bench.check(1_000).await;
    bench.check_line(
        REFUSES_WRITES,
        "READONLY",
        "point the address at the master",
    );
    // Through its old connection it would go on reading from the old one, and never store anything.
    let stored = async || {
        bench.check(1_001).await;
        !new.keys("film:1001").is_empty()
    };
    wait_until_async(stored, "the new master is written to").await;
    bench.check_recovery(WRITABLE).await;
}

#[tokio::test]
async fn an_invalidation_finds_the_new_master_too() {
    let old = RedisServer::start();
    let port = old.port().to_string();
    let new = RedisServer::start_with(&["--replicaof", "127.0.0.1", &port]);
    let relay = Relay::to(old.port());
    let bench = Bench::open(&relay.url()).await;
    bench.check(7).await;
    wait_until(|| !new.keys("film:7").is_empty(), "the replica has it");
    assert_eq!(new.cli(&["REPLICAOF", "NO", "ONE"]), "OK");
    assert_eq!(
        old.cli(&["REPLICAOF", "127.0.0.1", &new.port().to_string()]),
        "OK"
    );
    relay.turn_to(new.port());

    bench.check_change().await;

    bench.check_line(
        REFUSES_WRITES,
        "READONLY",
        "point the address at the master",
    );
    bench.check_recovery(WRITABLE).await;
}

#[tokio::test]
async fn a_server_out_of_memory_goes_on_answering_and_is_written_to_when_it_has_room() {
    let server = RedisServer::start_with(&["--maxmemory-policy", "noeviction"]);
    let bench = Bench::open(&server.url()).await;
    bench.check(1).await;
    set(&server, "maxmemory", "1");
    assert!(server.cli(&["SET", "other", "value"]).starts_with("OOM"));

    bench.check_all().await;

    bench.check_line(REFUSES_WRITES, "OOM", "`maxmemory`");
    let before = bench.source.bodies();
    bench.check(1).await;
    assert_eq!(bench.source.bodies(), before, "what is there is answered");
    let refused = bench.cache.set("by hand", &1, None).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Refused);
    assert!(refused.to_string().contains("allkeys-lru"), "{refused}");
    // Deleting is allowed, so that nothing stale is left.
    with_cache(bench.cache.clone(), change_film(&bench.source, 1)).await;
    assert_eq!(server.keys("film:1"), [""; 0]);
    bench.check(1).await;
    set(&server, "maxmemory", "0");
    bench.check_recovery(WRITABLE).await;
    assert_eq!(bench.cache.health().await.problem, None);
}

#[tokio::test]
async fn a_server_out_of_memory_deletes_and_does_not_let_replicas_confirm_it() {
    let server = RedisServer::start_with(&["--maxmemory-policy", "noeviction"]);
    let cache = at(&server.url()).durability(Durability::Replicas(1));
    let cache = cache.open().await.unwrap();
    cache.set("film:1", &1, None).await.unwrap();
    set(&server, "maxmemory", "1");

    let told = cache.invalidate_prefix("film").await.unwrap();

    assert_eq!((told.reach, told.replicas), (Reach::Redis, 0));
    assert_eq!(cache.mode(), Mode::Redis);
    assert_eq!(server.keys("gen@film"), [""; 0]);
}

#[tokio::test]
async fn what_comes_and_goes_is_said_once_a_minute() {
    let server = RedisServer::start_with(&["--maxmemory-policy", "noeviction"]);
    let bench = Bench::open(&server.url()).await;
    for round in 0..10 {
        set(&server, "maxmemory", "1");
        bench.check(1_000 + round).await;
        assert_eq!(server.keys(&format!("film:{}", 1_000 + round)), [""; 0]);
        set(&server, "maxmemory", "0");
        let stored = async || {
            bench.check(2_000 + round).await;
            !server.keys(&format!("film:{}", 2_000 + round)).is_empty()
        };
        wait_until_async(stored, "it is written to again").await;
    }

    let lines = bench.warnings();
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert!(lines[0].starts_with(REFUSES_WRITES), "{lines:#?}");
    assert!(lines[1].starts_with(WRITABLE), "{lines:#?}");
}

#[tokio::test]
async fn a_server_that_cannot_save_answers_reads() {
    // Nobody can make a file there, whoever the server runs as.
    let server = RedisServer::start_with(&["--dir", "/proc"]);
    let bench = Bench::open(&server.url()).await;
    bench.check(1).await;
    set(&server, "save", "3600 1000000");
    server.cli(&["BGSAVE"]);
    let failed = || {
        let info = server.cli(&["INFO", "persistence"]);
        info.contains("rdb_last_bgsave_status:err")
    };
    wait_until(failed, "the saving has failed");

    bench.check_all().await;

    bench.check_line(REFUSES_WRITES, "MISCONF", "stop-writes-on-bgsave-error");
    let before = bench.source.bodies();
    bench.check(1).await;
    assert_eq!(bench.source.bodies(), before, "what is there is answered");
    set(&server, "stop-writes-on-bgsave-error", "no");
    bench.check_recovery(WRITABLE).await;
}

#[tokio::test]
async fn a_master_that_misses_its_replicas_answers_reads() {
    let server = RedisServer::start();
    let bench = Bench::open(&server.url()).await;
    bench.check(1).await;
    set(&server, "min-replicas-to-write", "1");

    bench.check_all().await;

    bench.check_line(REFUSES_WRITES, "NOREPLICAS", "`min-replicas-to-write`");
    set(&server, "min-replicas-to-write", "0");
    bench.check_recovery(WRITABLE).await;
}

// --- one key is refused ---------------------------------------------------------------------

#[test]
fn a_key_of_another_type_is_said_once_and_again_when_it_is_gone() {
    for name in ["film:7", "lease@{film:7}", "gen@film", "gen@"] {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        runtime.block_on(async {
            let server = RedisServer::start();
            let bench = Bench::open(&server.url()).await;
            assert_eq!(server.cli(&["LPUSH", name, "not ours"]), "1");

            bench.check_all().await;

            bench.check_line(REFUSES_THIS, "WRONGTYPE", "`key_prefix`");
            // An entry's place is the entry's alone; without a generation nothing can be stored under it.
            let others = if name.ends_with("film:7") || name.ends_with("film:7}") {
                10
            } else {
                0
            };
            assert_eq!(server.keys("film:1??").len(), others, "{name}");
            assert_eq!(bench.cache.health().await.problem, None);
            assert_eq!(server.cli(&["DEL", name]), "1");
            bench.check_recovery(ACCEPTED).await;
        });
    }
}

// --- the user may not -----------------------------------------------------------------------

#[tokio::test]
async fn a_user_who_may_not_run_scripts_reads() {
    let server = RedisServer::start();
    let filler = Bench::open(&server.url()).await;
    filler.check(1).await;
    drop(filler);
    allow(&server, &["~*", "+@all", "-evalsha"]);
    let bench = Bench::open(&as_ann(&server)).await;

    bench.check(1).await;
    bench.check_all().await;

    assert_eq!(bench.source.bodies(), 20, "what is there is answered");
    bench.check_line(REFUSES_WRITES, "NOPERM (command)", "+evalsha");
    allow(&server, &["~*", "+@all"]);
    bench.check_recovery(WRITABLE).await;
}

#[tokio::test]
async fn a_user_who_may_not_use_a_command_of_a_script_reads() {
    let server = RedisServer::start();
    allow(&server, &["~*", "+@all", "-del"]);
    let bench = Bench::open(&as_ann(&server)).await;

    bench.check_all().await;

    bench.check_line(REFUSES_WRITES, "NOPERM (command)", "+del");
    allow(&server, &["~*", "+@all"]);
    bench.check_recovery(WRITABLE).await;
}

#[tokio::test]
async fn what_a_user_may_not_delete_is_remembered_until_he_may() {
    let server = RedisServer::start();
    allow(&server, &["~*", "+@all", "-unlink"]);
    let bench = Bench::open(&as_ann(&server)).await;
    bench.check(7).await;

    bench.check_change().await;

    bench.check_line(REFUSES_THIS, "NOPERM (command)", "+unlink");
    bench.check_all().await;
    allow(&server, &["~*", "+@all"]);
    bench.check_recovery(ACCEPTED).await;
}

#[tokio::test]
async fn a_user_who_may_not_read_leaves_the_server_alone() {
    let server = RedisServer::start();
    allow(&server, &["~*", "+@all", "-mget"]);
    let bench = Bench::open(&as_ann(&server)).await;

    bench.check_all().await;

    bench.check_line(REFUSES_ALL, "NOPERM (command)", "+mget");
    allow(&server, &["~*", "+@all"]);
    bench.check_recovery(BACK).await;
}

#[tokio::test]
async fn a_user_who_may_not_see_generations_is_told_which_keys_to_ask_for() {
    let server = RedisServer::start();
    allow(&server, &["~film:*", "~lease@{*", "+@all"]);
    let bench = Bench::open(&as_ann(&server)).await;

    bench.check_all().await;

    bench.check_line(REFUSES_THIS, "NOPERM (key)", "~gen@P*");
    allow(&server, &["~*", "+@all"]);
    bench.check_recovery(ACCEPTED).await;
}

#[tokio::test]
async fn a_user_who_may_not_be_told_of_changes_reads_and_stores() {
    let server = RedisServer::start();
    allow(&server, &["~*", "+@all", "-client"]);
    let bench = Bench::open(&as_ann(&server)).await;

    bench.check_all().await;

    assert_eq!(server.keys("film:*").len(), 11);
    let line = bench
        .log
        .only(Level::WARN, "redis does not tell of changes");
    assert!(line.contains("+client|tracking"), "{line}");
    assert_eq!(bench.warnings().len(), 1, "{:#?}", bench.warnings());
}

#[tokio::test]
async fn a_ping_that_is_refused_is_a_sign_of_life() {
    let server = RedisServer::start();
    allow(&server, &["~*", "+@all", "-ping"]);
    let bench = Bench::open(&as_ann(&server)).await;
    let kept = async || with_cache(bench.cache.clone(), kept_film(&bench.source, 7)).await;
    kept().await;
    let (reads, start) = (asked(&server, "mget"), Instant::now());

    // Without a sign of life, what is kept in process is believed for a second only, and asked for again.
    while start.elapsed() < Duration::from_millis(4_500) {
        kept().await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    let reads = asked(&server, "mget") - reads;
    assert!(reads <= 1, "{reads} reads");
    assert_eq!(bench.warnings(), [""; 0]);
}

#[tokio::test]
async fn a_user_with_the_rights_that_the_advice_names_can_do_everything() {
    let server = RedisServer::start();
    let rights = "+mget +get +set +del +unlink +exists +getrange +pttl +pexpire +eval +evalsha \
        +script|load +scan +wait +ping +info +time +client|tracking +client|caching \
        ~app:* ~gen@app* ~gen@tag@app* ~lease@{* ~run@app";
    allow(&server, &rights.split_whitespace().collect::<Vec<_>>());
    let (log, _guard) = Log::of_this_thread();
    let builder = at(&as_ann(&server)).on_restart(OnRestart::Distrust);
    let cache = builder.key_prefix("app").open().await.unwrap();
    let source = Source::default();

    for id in [7, 7, 8] {
        with_cache(cache.clone(), film(&source, id)).await;
    }
    with_cache(cache.clone(), change_film(&source, 7)).await;
    cache.set("by:hand", &1, None).await.unwrap();
    cache
        .set_many(&[("by:hand", 1), ("other", 2)], None)
        .await
        .unwrap();
    assert!(cache.delete("other").await.unwrap());
    assert!(cache.invalidate_tag("some").await.unwrap().is_confirmed());
    assert!(
        cache
            .invalidate_prefix("film")
            .await
            .unwrap()
            .is_confirmed()
    );
    assert_eq!(cache.clear("by:*").await.unwrap(), 1);

    assert_eq!(source.bodies(), 2);
    assert_eq!(cache.health().await.problem, None);
    assert_eq!(log.at(Level::WARN), [""; 0]);
}

// --- nothing is answered --------------------------------------------------------------------

/// From a server that refuses everything to one that does not; while it does, calls cost nothing.
async fn check_away(
    bench: &Bench,
    server: &RedisServer,
    (refusal, advice): (&str, &str),
    end: impl FnOnce(),
) {
    bench.check_all().await;
    assert_eq!(bench.cache.mode(), Mode::Fallback);
    bench.check_line(REFUSES_ALL, refusal, advice);
    let asked_before = asked(server, "mget");
    let start = Instant::now();
    for id in 0..100 {
        bench.check(id).await;
    }
    // Some background attempts may come between: the waits between them double.
    assert!(asked(server, "mget") <= asked_before + 5);
    assert!(start.elapsed() < RESPONSE, "{:?}", start.elapsed());
    bench.check_change().await;
    let problem = bench.problem().await;
    assert!(
        problem.contains(refusal) && problem.contains(advice),
        "{problem}"
    );
    assert_eq!(bench.warnings(), [""; 0]);

    end();

    bench.check_recovery(BACK).await;
}

#[tokio::test]
async fn a_server_that_wants_a_password_is_left_alone_until_it_does_not() {
    let server = RedisServer::start_with(&["--requirepass", "right"]);
    let url = format!("redis://127.0.0.1:{}/0", server.port());
    let bench = Bench::open(&url).await;

    check_away(&bench, &server, ("NOAUTH", "`REDIS_PASSWORD`"), || {
        set(&server, "requirepass", "");
    })
    .await;
}

#[tokio::test]
async fn a_wrong_password_is_said_and_never_shown() {
    let server = RedisServer::start_with(&["--requirepass", "right"]);
    let url = format!("redis://:hunter2@127.0.0.1:{}/0", server.port());
    let bench = Bench::open(&url).await;
    let everything = bench.log.clone();

    bench.check_all().await;
    assert!(!everything.mentions("hunter2"));
    check_away(&bench, &server, ("WRONGPASS", "`REDIS_USERNAME`"), || {
        set(&server, "requirepass", "hunter2");
    })
    .await;
    assert!(!everything.mentions("hunter2"));
}

#[test]
fn a_server_that_quotes_the_password_is_not_quoted() {
    let answers: [&'static [u8]; 4] = [
        b"-WRONGPASS not hunter2\r\n",
        b"-ERR never heard of hunter2\r\n",
        b"-hunter2\r\n",
        b"hunter2\r\n",
    ];
    for answer in answers {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        runtime.block_on(async {
            let impostor = Impostor::saying(answer);
            let url = format!("redis://:hunter2@127.0.0.1:{}/0", impostor.port());
            let bench = Bench::open(&url).await;

            bench.check_all().await;

            assert!(!bench.log.mentions("hunter2"), "{:#?}", bench.log.events());
            assert!(!bench.problem().await.contains("hunter2"));
        });
    }
}

#[tokio::test]
async fn a_password_that_changes_while_it_runs_is_said() {
    let server = RedisServer::start_with(&["--requirepass", "right"]);
    let bench = Bench::open(&server.url()).await;
    bench.check(7).await;
    let mut admin = server.connect(CONNECT).unwrap();
    let answer = admin.command(&["CONFIG", "SET", "requirepass", "other"]);
    assert_eq!(answer.unwrap().text(), "OK");
    admin
        .command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"])
        .unwrap();

    bench.check_all().await;

    bench.check_line(REFUSES_ALL, "WRONGPASS", "`REDIS_USERNAME`");
    bench.check_change().await;
    let answer = admin.command(&["CONFIG", "SET", "requirepass", "right"]);
    assert_eq!(answer.unwrap().text(), "OK");
    bench.check_recovery(BACK).await;
}

#[tokio::test]
async fn a_replica_that_lost_its_master_and_says_so_is_left_alone() {
    let server = RedisServer::start_with(&["--replica-serve-stale-data", "no"]);
    let bench = Bench::open(&server.url()).await;
    bench.check(7).await;
    assert_eq!(server.cli(&["REPLICAOF", "127.0.0.1", "1"]), "OK");

    check_away(
        &bench,
        &server,
        ("MASTERDOWN", "point the address at the master"),
        || {
            assert_eq!(server.cli(&["REPLICAOF", "NO", "ONE"]), "OK");
        },
    )
    .await;
}

#[tokio::test]
async fn a_server_that_is_loading_its_data_is_left_alone_until_it_is_done() {
    // A millisecond for each key, and an ear for others after each kilobyte.
    let server = RedisServer::start_with(&[
        "--enable-debug-command",
        "local",
        "--loading-process-events-interval-bytes",
        "1024",
    ]);
    let bench = Bench::open(&server.url()).await;
    bench.check(7).await;
    assert_eq!(
        server.cli(&["DEBUG", "POPULATE", "1500", "key", "100"]),
        "OK"
    );
    set(&server, "key-load-delay", "1000");
    assert_eq!(server.cli(&["SAVE"]), "OK");
    server.kill();
    bench.check(7).await;
    bench
        .log
        .only(Level::WARN, "redis unreachable, going on without it");
    bench.log.clear();

    server.restart_with(&["--key-load-delay", "1000"]);

    let loading = || server.cli(&["INFO", "persistence"]).contains("\nloading:1");
    assert!(loading(), "it is loading");
    let said = async || {
        bench.check(8).await;
        !bench.warnings().is_empty()
    };
    wait_until_async(said, "the loading is noticed").await;
    bench.check_line(REFUSES_ALL, "LOADING", "nothing to do");
    bench.check_change().await;
    wait_until_async(async || !loading(), "it has loaded").await;
    bench.check_recovery(BACK).await;
}

/// A script that runs until it is ended, on a server that has noticed.
fn run_for_ever(server: &Arc<RedisServer>) -> JoinHandle<String> {
    let runner = {
        let server = Arc::clone(server);
        std::thread::spawn(move || server.cli(&["EVAL", "while true do end", "0"]))
    };
    let busy = || server.cli(&["PING"]).starts_with("BUSY");
    wait_until(busy, "the server is busy");
    runner
}

#[tokio::test]
async fn a_server_that_runs_a_script_for_too_long_is_left_alone_until_it_is_done() {
    let server = Arc::new(RedisServer::start_with(&["--lua-time-limit", "20"]));
    let bench = Bench::open(&server.url()).await;
    bench.check(7).await;
    let runner = run_for_ever(&server);

    bench.check_all().await;

    bench.check_line(REFUSES_ALL, "BUSY", "`SCRIPT KILL`");
    bench.check_change().await;
    assert_eq!(server.cli(&["SCRIPT", "KILL"]), "OK");
    runner.join().unwrap();
    bench.check_recovery(BACK).await;
}

#[tokio::test]
async fn a_server_that_runs_a_script_at_the_start_is_left_alone_until_it_is_done() {
    let server = Arc::new(RedisServer::start_with(&["--lua-time-limit", "20"]));
    let runner = run_for_ever(&server);

    let bench = Bench::open(&server.url()).await;
    bench.check_all().await;

    bench.check_line(REFUSES_ALL, "BUSY", "`SCRIPT KILL`");
    assert_eq!(server.cli(&["SCRIPT", "KILL"]), "OK");
    runner.join().unwrap();
    bench.check_recovery(BACK).await;
}

#[tokio::test]
async fn a_server_with_too_many_clients_is_left_alone_until_some_have_gone() {
    let server = RedisServer::start();
    let mut held = server.connect(CONNECT).unwrap();
    let full = held.command(&["CONFIG", "SET", "maxclients", "1"]).unwrap();
    assert_eq!(full.text(), "OK");
    let bench = Bench::open(&server.url()).await;

    bench.check_all().await;

    assert_eq!(bench.cache.mode(), Mode::Fallback);
    bench.check_line(REFUSES_ALL, "max number of clients", "`maxclients`");
    let more = held.command(&["CONFIG", "SET", "maxclients", "1000"]);
    assert_eq!(more.unwrap().text(), "OK");
    bench.check_recovery(BACK).await;
}

#[tokio::test]
async fn a_database_that_is_not_there_is_said() {
    let server = RedisServer::start_with(&["--databases", "2"]);
    let bench = Bench::open(&format!("redis://127.0.0.1:{}/5", server.port())).await;

    bench.check_all().await;

    bench.check_line(REFUSES_ALL, "no such database", "`REDIS_DB`");
}

// --- a cluster ------------------------------------------------------------------------------

const CLUSTER: (&str, &str) = ("cluster", "give the address of a single server");

fn cluster_node() -> RedisServer {
    RedisServer::start_with(&["--cluster-enabled", "yes"])
}

#[tokio::test]
async fn a_node_of_a_cluster_without_slots_is_left_alone() {
    let node = cluster_node();
    let bench = Bench::open(&node.url()).await;

    bench.check_all().await;

    assert!(node.cli(&["GET", "a"]).starts_with("CLUSTERDOWN"));
    assert_eq!(bench.cache.mode(), Mode::Fallback);
    bench.check_line(REFUSES_ALL, CLUSTER.0, CLUSTER.1);
    for id in 0..100 {
        bench.check(id).await;
    }
    assert_eq!(bench.warnings(), [""; 0]);
}

#[tokio::test]
async fn a_node_of_a_cluster_that_works_is_left_alone() {
    let (one, other) = (cluster_node(), cluster_node());
    assert_eq!(one.cli(&["CLUSTER", "ADDSLOTSRANGE", "0", "8191"]), "OK");
    assert_eq!(
        other.cli(&["CLUSTER", "ADDSLOTSRANGE", "8192", "16383"]),
        "OK"
    );
    let port = other.port().to_string();
    assert_eq!(one.cli(&["CLUSTER", "MEET", "127.0.0.1", &port]), "OK");
    let works = || one.cli(&["CLUSTER", "INFO"]).contains("cluster_state:ok");
    wait_until(works, "the cluster works");
    let away = "foo";
    assert!(one.cli(&["GET", away]).starts_with("MOVED"));
    let bench = Bench::open(&one.url()).await;

    bench.check_all().await;
    bench.check_change().await;
    let told = bench.cache.invalidate_tag("some").await.unwrap();

    assert_eq!(told.reach, Reach::Remembered);
    bench.check_line(REFUSES_ALL, CLUSTER.0, CLUSTER.1);
    // What the background attempts ask is refused like all the rest, or each would say that it is back.
    let tried = asked(&one, "mget");
    let again = async || {
        bench.check(1).await;
        asked(&one, "mget") > tried + 1
    };
    wait_until_async(again, "it was tried again").await;
    assert_eq!(bench.warnings(), [""; 0]);
}

// --- no Redis at all ------------------------------------------------------------------------

#[test]
fn what_is_no_redis_is_said_to_be_none() {
    let answers: [&'static [u8]; 5] = [
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        b"<!DOCTYPE HTML><html><body>Bad request</body></html>\r\n",
        // An alert of TLS, which a server of that protocol sends for what is not.
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"\x00\xff\xfe\x80garbage\r\n\r\n",
        b"220 mail.example.org ESMTP\r\n",
    ];
    for answer in answers {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        runtime.block_on(async {
            let impostor = Impostor::saying(answer);
            let relay = Relay::to(impostor.port());
            let bench = Bench::open(&relay.url()).await;

            bench.check_all().await;

            assert_eq!(bench.cache.mode(), Mode::Fallback, "{answer:?}");
            bench.check_line(REFUSES_ALL, "not a Redis server", "check host and port");
            let tried = relay.accepted();
            for id in 0..100 {
                bench.check(id).await;
            }
            assert!(relay.accepted() <= tried + 5, "calls do not connect");
            bench.check_change().await;
            let server = RedisServer::start();
            relay.turn_to(server.port());
            bench.check_recovery(BACK).await;
        });
    }
}

#[tokio::test]
async fn what_ends_connections_at_once_is_said_to_do_so() {
    let impostor = Impostor::saying(b"");
    let relay = Relay::to(impostor.port());
    let bench = Bench::open(&relay.url()).await;

    bench.check_all().await;

    let line = bench.log.only(Level::WARN, "redis unreachable");
    assert!(
        line.contains("it may be no Redis server, expect TLS"),
        "{line}"
    );
    assert_eq!(bench.warnings().len(), 1, "{:#?}", bench.warnings());
    bench.log.clear();
    let server = RedisServer::start();
    relay.turn_to(server.port());
    bench.check_recovery(BACK).await;
}
