//! Invalidations that Redis has not confirmed: what they cover is not believed until it has, by nobody in this process, and
//! everything else goes on; they survive the process where that is asked for, and are bounded.

mod support;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cache_runtime::{
    Cache, CacheBuilder, ErrorKind, Mode, Reach, cache_invalidate, cached, with_cache,
};
use support::{Fault, Log, Process, Proxy, RedisServer, process, wait_until_async};
use tracing::Level;

const CONNECT: Duration = Duration::from_millis(500);
const RESPONSE: Duration = Duration::from_millis(200);

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

    fn bodies(&self) -> u64 {
        self.bodies.load(Ordering::SeqCst)
    }
}

#[cached(ttl = "1h", prefix = "film", key = "{id}", tags = "genre:{genre}")]
async fn film(truth: &Truth, id: u64, genre: &str) -> u64 {
    truth.read()
}

#[cached(ttl = "1h", prefix = "book", key = "{id}")]
async fn book(truth: &Truth, id: u64) -> u64 {
    truth.read()
}

#[cache_invalidate(prefix = "film")]
async fn change_films() {}

#[cache_invalidate(prefix = "film", key = "{id}")]
async fn change_film(id: u64) {}

#[cache_invalidate(tags = "genre:{genre}")]
async fn change_genre(genre: &str) {}

#[cache_invalidate(pattern = "f?lm:*")]
async fn change_matching() {}

#[cache_invalidate(pattern = "*lm:{id}")]
async fn change_matching_for_ever(id: u64) {
    std::future::pending::<()>().await;
}

/// A mutation that never ends by itself.
#[cache_invalidate(prefix = "film")]
async fn change_films_for_ever() {
    std::future::pending::<()>().await;
}

fn at(url: &str) -> CacheBuilder {
    let builder = Cache::builder().redis_url(url).connect_timeout(CONNECT);
    builder.response_timeout(RESPONSE)
}

async fn read_film(cache: &Cache, truth: &Truth) -> u64 {
    with_cache(cache.clone(), film(truth, 1, "noir")).await
}

async fn read_book(cache: &Cache, truth: &Truth) -> u64 {
    with_cache(cache.clone(), book(truth, 1)).await
}

/// Every way to invalidate film 1.
#[derive(Clone, Copy, Debug)]
enum How {
    Prefix,
    Key,
    Tag,
    PrefixByHand,
    TagByHand,
    Delete,
    DeleteMany,
    Set,
    Pattern,
    Dropped,
    DroppedPattern,
}

const WAYS: [How; 11] = [
    How::Prefix,
    How::Key,
    How::Tag,
    How::PrefixByHand,
    How::TagByHand,
    How::Delete,
    How::DeleteMany,
    How::Set,
    How::Pattern,
    How::Dropped,
    How::DroppedPattern,
];

async fn invalidate(how: How, cache: &Cache, truth: &Truth) {
    truth.change();
    match how {
        How::Prefix => with_cache(cache.clone(), change_films()).await,
        How::Key => with_cache(cache.clone(), change_film(1)).await,
        How::Tag => with_cache(cache.clone(), change_genre("noir")).await,
        How::PrefixByHand => drop(cache.invalidate_prefix("film").await.unwrap()),
        How::TagByHand => drop(cache.invalidate_tag("genre:noir").await.unwrap()),
        How::Delete => drop(cache.delete("film:1").await.unwrap()),
        How::DeleteMany => drop(cache.delete_many(["film:1", "film:2"]).await.unwrap()),
        // It may be an error; what stands there is dropped in any case.
        How::Set => drop(cache.set("film:1", &truth.read(), None).await),
        How::Pattern => with_cache(cache.clone(), change_matching()).await,
        How::Dropped => drop_early(with_cache(cache.clone(), change_films_for_ever())).await,
        How::DroppedPattern => {
            drop_early(with_cache(cache.clone(), change_matching_for_ever(1))).await;
        }
    }
}

async fn drop_early(change: impl Future<Output = ()>) {
    let ended = tokio::time::timeout(Duration::from_millis(1), change).await;
    assert!(ended.is_err());
}

async fn settled(cache: &Cache) {
    let settled = async || cache.health().await.unconfirmed == 0;
    wait_until_async(settled, "redis has confirmed everything").await;
}

/// The numbers of one command: how often it was called, how often it was not let through.
fn stats(server: &RedisServer, command: &str) -> [u64; 2] {
    let stats = server.cli(&["INFO", "commandstats"]);
    let line = format!("cmdstat_{command}:");
    let line = stats.lines().find_map(|stats| stats.strip_prefix(&line));
    ["calls=", "rejected_calls="].map(|name| {
        let mut fields = line.unwrap_or_default().split(',');
        let value = fields.find_map(|field| field.strip_prefix(name));
        value.map_or(0, |value| value.parse().unwrap())
    })
}

/// A server on which films and books are stored, and a process that has read them.
struct Scene {
    server: RedisServer,
    network: Proxy,
    cache: Cache,
    truth: Truth,
}

impl Scene {
    async fn new() -> Self {
        let server = RedisServer::start();
        let network = Proxy::start(server.port());
        let cache = at(&network.url()).open().await.unwrap();
        let truth = Truth::default();
        read_film(&cache, &truth).await;
        read_book(&cache, &truth).await;
        Self {
            server,
            network,
            cache,
            truth,
        }
    }

    /// Deleting is refused from now on.
    fn refuse(&self) {
        let rule = ["ACL", "SETUSER", "default", "-unlink"];
        assert_eq!(self.server.cli(&rule), "OK");
        self.server.cli(&["CONFIG", "RESETSTAT"]);
    }

    fn allow(&self) {
        let rule = ["ACL", "SETUSER", "default", "+unlink"];
        assert_eq!(self.server.cli(&rule), "OK");
    }
}

// --- replayed before anything is believed -----------------------------------------------------

#[tokio::test]
async fn however_it_was_invalidated_during_an_outage_nobody_reads_what_was_before() {
    for how in WAYS {
        for fault in [Fault::Refuse, Fault::BlackHole] {
            let scene = Scene::new().await;
            scene.network.set(fault);
            invalidate(how, &scene.cache, &scene.truth).await;
            assert_eq!(
                read_film(&scene.cache, &scene.truth).await,
                1,
                "{how:?} {fault:?}"
            );
            scene.network.set(Fault::None);

            // Until it is confirmed, and after it: never what Redis has kept.
            let settled = async || {
                let read = read_film(&scene.cache, &scene.truth).await;
                assert_eq!(read, 1, "{how:?} {fault:?}");
                scene.cache.health().await.unconfirmed == 0
            };
            wait_until_async(settled, "it is confirmed").await;
            let other = at(&scene.server.url()).open().await.unwrap();
            for cache in [&scene.cache, &other] {
                assert_eq!(read_film(cache, &scene.truth).await, 1, "{how:?} {fault:?}");
            }
        }
    }
}

#[tokio::test]
async fn an_owed_invalidation_is_replayed_although_nobody_calls() {
    let scene = Scene::new().await;
    scene.network.set(Fault::Refuse);
    invalidate(How::Prefix, &scene.cache, &scene.truth).await;
    scene.network.set(Fault::None);

    let gone = async || scene.server.keys("gen@film").is_empty();
    wait_until_async(gone, "its generation is deleted").await;
}

#[tokio::test]
async fn a_mutation_that_was_dropped_costs_the_next_call_one_round_trip_and_not_the_cache() {
    let scene = Scene::new().await;
    invalidate(How::Dropped, &scene.cache, &scene.truth).await;

    assert_eq!(read_film(&scene.cache, &scene.truth).await, 1);
    let bodies = scene.truth.bodies();
    let other = at(&scene.server.url()).open().await.unwrap();
    assert_eq!(read_film(&other, &scene.truth).await, 1);

    assert_eq!(scene.truth.bodies(), bodies, "it was stored");
}

#[tokio::test]
async fn a_mutation_that_is_dropped_together_with_its_cache_is_told_all_the_same() {
    let scene = Scene::new().await;
    invalidate(How::Dropped, &scene.cache, &scene.truth).await;
    drop(scene.cache);

    let gone = async || scene.server.keys("gen@film").is_empty();
    wait_until_async(gone, "its generation is deleted").await;
}

// --- a server that answers and refuses --------------------------------------------------------

#[tokio::test]
async fn what_a_refused_deletion_covers_is_not_asked_for_and_all_the_rest_is() {
    for how in WAYS {
        let scene = Scene::new().await;
        scene.refuse();
        invalidate(how, &scene.cache, &scene.truth).await;

        let other = at(&scene.server.url()).near(false).open().await.unwrap();
        for _ in 0..3 {
            assert_eq!(read_film(&scene.cache, &scene.truth).await, 1, "{how:?}");
        }
        let reads = || stats(&scene.server, "mget")[0];
        let before = reads();
        for _ in 0..20 {
            assert_eq!(read_film(&scene.cache, &scene.truth).await, 1, "{how:?}");
        }
        assert_eq!(reads(), before, "{how:?}: it was asked for");
        let bodies = scene.truth.bodies();
        assert_eq!(
            read_book(&scene.cache, &scene.truth).await,
            0,
            "{how:?}: as stored"
        );
        assert_eq!(
            read_book(&other, &scene.truth).await,
            0,
            "{how:?}: as stored"
        );
        assert_eq!(scene.truth.bodies(), bodies, "{how:?}");
        assert_eq!(scene.cache.mode(), Mode::Redis);

        scene.allow();
        settled(&scene.cache).await;
        for cache in [&scene.cache, &other] {
            assert_eq!(read_film(cache, &scene.truth).await, 1, "{how:?}");
        }
    }
}

#[tokio::test]
async fn a_refused_replay_is_tried_again_now_and_then_and_nobody_waits_for_it() {
    let scene = Scene::new().await;
    scene.refuse();
    invalidate(How::Prefix, &scene.cache, &scene.truth).await;
    let start = Instant::now();
    let mut calls = 0;
    while stats(&scene.server, "unlink")[1] < 4 {
        for id in 0..64 {
            with_cache(scene.cache.clone(), film(&scene.truth, id, "noir")).await;
            calls += 1;
        }
        // What is answered in process never waits, and the task that replays wants its turn.
        tokio::task::yield_now().await;
        assert!(start.elapsed() < support::DEADLINE, "it is not tried again");
    }
    // The first by the invalidation itself; then after 100, 200 and 400 ms, each give or take a quarter.
    let took = start.elapsed();
    let rejected = stats(&scene.server, "unlink")[1];
    println!("{rejected} refused deletions in {took:?}, {calls} calls meanwhile");
    assert!(took >= Duration::from_millis(700) * 3 / 4, "{took:?}");
    assert!(rejected <= 5, "{rejected} in {took:?}");

    // With a network that takes its time, a call that waited would show it.
    scene.network.set(Fault::Delay(RESPONSE / 4));
    let start = Instant::now();
    for _ in 0..50 {
        read_film(&scene.cache, &scene.truth).await;
    }
    assert!(
        start.elapsed() < RESPONSE / 2,
        "{:?} for 50 calls",
        start.elapsed()
    );
}

#[tokio::test]
async fn a_redis_that_is_back_and_refuses_to_delete_is_used_for_all_the_rest() {
    let scene = Scene::new().await;
    scene.network.set(Fault::Refuse);
    invalidate(How::Prefix, &scene.cache, &scene.truth).await;
    assert_eq!(scene.cache.mode(), Mode::Fallback);
    scene.refuse();
    scene.network.set(Fault::None);

    let back = async || scene.cache.health().await.mode == Mode::Redis;
    wait_until_async(back, "redis is used").await;

    assert_eq!(read_film(&scene.cache, &scene.truth).await, 1);
    assert_eq!(read_book(&scene.cache, &scene.truth).await, 0, "as stored");
    assert!(scene.cache.health().await.unconfirmed > 0);
}

#[tokio::test]
async fn what_was_kept_in_process_meanwhile_ends_with_the_quarantine() {
    let scene = Scene::new().await;
    let other = at(&scene.server.url()).near(false).open().await.unwrap();
    scene.refuse();
    invalidate(How::Prefix, &scene.cache, &scene.truth).await;
    assert_eq!(read_film(&scene.cache, &scene.truth).await, 1);
    let bodies = scene.truth.bodies();
    assert_eq!(read_film(&scene.cache, &scene.truth).await, 1);
    assert_eq!(
        scene.truth.bodies(),
        bodies,
        "it is kept as while redis is away"
    );

    scene.truth.change();
    scene.allow();
    invalidate(How::Prefix, &other, &scene.truth).await;
    settled(&scene.cache).await;

    assert_eq!(read_film(&scene.cache, &scene.truth).await, 3);
}

#[tokio::test]
async fn an_invalidation_that_is_confirmed_settles_the_one_that_was_refused() {
    let scene = Scene::new().await;
    scene.refuse();
    invalidate(How::PrefixByHand, &scene.cache, &scene.truth).await;
    scene.allow();

    let told = scene.cache.invalidate_prefix("film").await.unwrap();

    assert!(told.is_confirmed());
    assert_eq!(scene.cache.health().await.unconfirmed, 0);
}

#[tokio::test]
async fn a_set_that_cannot_be_stored_is_kept_in_process_until_it_can() {
    let scene = Scene::new().await;
    scene.refuse();
    invalidate(How::Prefix, &scene.cache, &scene.truth).await;

    scene.cache.set("film:1", &7_u64, None).await.unwrap();

    assert_eq!(scene.cache.get::<u64>("film:1").await.unwrap(), Some(7));
    scene.allow();
    settled(&scene.cache).await;
    let other = at(&scene.server.url()).open().await.unwrap();
    for cache in [&scene.cache, &other] {
        assert_eq!(cache.get::<u64>("film:1").await.unwrap(), None);
    }
}

#[tokio::test]
async fn get_many_leaves_out_what_is_not_believed_and_nothing_else() {
    let scene = Scene::new().await;
    for key in ["pair:1", "pair:2"] {
        scene.cache.set(key, &1_u64, None).await.unwrap();
    }
    scene.refuse();
    scene.cache.delete("pair:1").await.unwrap();

    let found = scene.cache.get_many::<u64>(["pair:1", "pair:2"]).await;

    assert_eq!(found.unwrap(), [None, Some(1)]);
    assert!(!scene.cache.exists("pair:1").await.unwrap());
}

// --- bounded -----------------------------------------------------------------------------------

#[tokio::test]
async fn invalidations_of_one_prefix_without_end_cover_that_prefix_and_leave_the_rest_warm() {
    let scene = Scene::new().await;
    scene.network.set(Fault::Refuse);
    let told = scene.cache.invalidate_tag("genre:other").await.unwrap();
    assert_eq!(told.reach, Reach::Remembered);
    scene.truth.change();
    for id in 0..100_000_u64 {
        scene.cache.delete(&format!("film:{id}")).await.unwrap();
    }

    assert_eq!(scene.cache.health().await.unconfirmed, 2);
    scene.network.set(Fault::None);
    settled(&scene.cache).await;
    let other = at(&scene.server.url()).open().await.unwrap();
    for cache in [&scene.cache, &other] {
        assert_eq!(read_film(cache, &scene.truth).await, 1);
        assert_eq!(
            read_book(cache, &scene.truth).await,
            0,
            "books are as they were stored"
        );
    }
}

// --- the journal survives the process ---------------------------------------------------------

/// A file of this test's own, gone with it.
struct Path(PathBuf);

impl Path {
    fn new() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("cache-outage-{}-{number}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Path {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[tokio::test]
async fn what_a_killed_process_had_invalidated_during_an_outage_the_next_one_replays() {
    const TEST: &str =
        "what_a_killed_process_had_invalidated_during_an_outage_the_next_one_replays";
    if let Some(part) = process::part() {
        return invalidate_and_wait_to_be_killed(&part.server, &part.role).await;
    }
    for how in WAYS {
        let (scene, path) = (Scene::new().await, Path::new());
        let place = format!("{how:?} {}", path.0.display());
        scene.network.set(Fault::Refuse);
        let mut process = Process::start(TEST, &place, &scene.network.url());
        process.paused();
        scene.truth.change();
        // The kill takes it down where it is.
        drop(process);
        scene.network.set(Fault::None);

        let next = at(&scene.server.url())
            .journal(&path.0)
            .open()
            .await
            .unwrap();

        assert_eq!(read_film(&next, &scene.truth).await, 1, "{how:?}");
        settled(&next).await;
        let other = at(&scene.server.url()).open().await.unwrap();
        assert_eq!(read_film(&other, &scene.truth).await, 1, "{how:?}");
        drop(next);
        assert_eq!(
            std::fs::metadata(&path.0).unwrap().len(),
            16,
            "nothing is owed any more"
        );
    }
}

async fn invalidate_and_wait_to_be_killed(server: &str, role: &str) {
    let (way, path) = role.split_once(' ').unwrap();
    let how = WAYS
        .into_iter()
        .find(|how| format!("{how:?}") == way)
        .unwrap();
    let cache = at(server).journal(path).open().await.unwrap();
    assert_eq!(cache.mode(), Mode::Fallback);
    invalidate(how, &cache, &Truth::default()).await;
    process::pause_here();
}

#[tokio::test]
async fn what_was_invalidated_beyond_the_bound_survives_too_and_the_file_stays_small() {
    let (scene, path) = (Scene::new().await, Path::new());
    scene.network.set(Fault::Refuse);
    let first = at(&scene.network.url()).journal(&path.0);
    let first = first.open().await.unwrap();
    for id in (0..100_000_u64).rev() {
        first.delete(&format!("film:{id}")).await.unwrap();
    }
    scene.truth.change();
    drop(first);

    assert!(std::fs::metadata(&path.0).unwrap().len() <= 4 << 20);
    let next = at(&scene.server.url()).journal(&path.0);
    let next = next.open().await.unwrap();
    assert_eq!(
        read_film(&next, &scene.truth).await,
        1,
        "film 1 was nearly the last"
    );
    assert_eq!(read_book(&next, &scene.truth).await, 0, "as it was stored");
}

#[tokio::test]
async fn what_an_earlier_process_left_is_not_believed_even_where_it_cannot_be_replayed() {
    let (scene, path) = (Scene::new().await, Path::new());
    scene.network.set(Fault::Refuse);
    let first = at(&scene.network.url())
        .journal(&path.0)
        .open()
        .await
        .unwrap();
    invalidate(How::Prefix, &first, &scene.truth).await;
    drop(first);
    scene.network.set(Fault::None);
    scene.refuse();

    let next = at(&scene.server.url())
        .journal(&path.0)
        .open()
        .await
        .unwrap();

    assert_eq!(read_film(&next, &scene.truth).await, 1);
    assert_eq!(read_book(&next, &scene.truth).await, 0, "as it was stored");
}

#[tokio::test]
async fn a_second_process_with_the_same_journal_says_so_and_goes_on() {
    let (log, _guard) = Log::of_this_thread();
    let (scene, path) = (Scene::new().await, Path::new());
    let _first = at(&scene.server.url())
        .journal(&path.0)
        .open()
        .await
        .unwrap();

    let second = at(&scene.network.url())
        .journal(&path.0)
        .open()
        .await
        .unwrap();

    let line = log.only(Level::WARN, "another process uses this journal");
    assert!(line.contains("CACHE_JOURNAL"), "{line}");
    scene.network.set(Fault::Refuse);
    invalidate(How::Prefix, &second, &scene.truth).await;
    scene.network.set(Fault::None);
    assert_eq!(read_film(&second, &scene.truth).await, 1);
}

#[tokio::test]
async fn a_journal_that_cannot_be_used_is_an_error_that_names_it() {
    let server = RedisServer::start();
    let other = Path::new();
    std::fs::write(&other.0, "somebody's notes").unwrap();
    for path in ["/nowhere/at/all", "/", other.0.to_str().unwrap()] {
        let error = at(&server.url()).journal(path).open().await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Config, "{path}");
        assert!(error.to_string().contains("`journal`"), "{error}");
        assert!(error.to_string().contains(path), "{error}");
    }
    let notes = std::fs::read_to_string(&other.0).unwrap();
    assert_eq!(notes, "somebody's notes");
}

#[tokio::test]
async fn at_first_use_a_journal_that_cannot_be_used_is_said_and_done_without() {
    const TEST: &str = "at_first_use_a_journal_that_cannot_be_used_is_said_and_done_without";
    if process::part().is_some() {
        let (log, _guard) = Log::of_this_thread();
        assert_eq!(book(&Truth::default(), 1).await, 0);
        log.only(Level::ERROR, "going on without a journal");
        return;
    }
    let server = RedisServer::start();
    // The environment is the second process' own.
    let url = server.url();
    Process::start_with(
        TEST,
        "reader",
        &url,
        &[("REDIS_URL", &url), ("CACHE_JOURNAL", "/")],
    )
    .finish();
    assert_eq!(server.keys("book:*"), ["book:1"]);
}
