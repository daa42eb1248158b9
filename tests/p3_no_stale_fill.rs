//! P3: a loader that started before an invalidation never leaves its value behind after it.
//!
//! Each case holds a load after it has read the old value, changes the truth, invalidates, lets the load finish, and asks again.

mod support;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_runtime::{Cache, cache_invalidate, cached, with_cache};
use support::{Process, RedisServer, process};
use tokio::sync::Semaphore;

const LONG: Duration = Duration::from_secs(5);

/// The source of truth, with a gate in which a load can be held.
#[derive(Clone, Default)]
struct Truth {
    version: Arc<AtomicU64>,
    bodies: Arc<AtomicU64>,
    gate: Option<Arc<Gate>>,
}

struct Gate {
    reached: Semaphore,
    open: Semaphore,
}

impl Truth {
    fn held(&self) -> (Self, Arc<Gate>) {
        let gate = Arc::new(Gate {
            reached: Semaphore::new(0),
            open: Semaphore::new(0),
        });
        let held = Self {
            gate: Some(Arc::clone(&gate)),
            ..self.clone()
        };
        (held, gate)
    }

    fn change(&self) {
        self.version.fetch_add(1, Ordering::SeqCst);
    }

    async fn read(&self) -> u64 {
        self.bodies.fetch_add(1, Ordering::SeqCst);
        let version = self.version.load(Ordering::SeqCst);
        if let Some(gate) = &self.gate {
            gate.reached.add_permits(1);
            gate.open.acquire().await.unwrap().forget();
        }
        version
    }
}

impl Gate {
    async fn reached(&self) {
        self.reached.acquire().await.unwrap().forget();
    }
}

#[cached(ttl = 300, prefix = "video", key = "{id}:meta")]
async fn video(truth: &Truth, id: u64) -> u64 {
    truth.read().await
}

#[cache_invalidate(prefix = "video", key = "{id}:meta")]
async fn change_entry(truth: &Truth, id: u64) {
    truth.change();
}

#[cache_invalidate(prefix = "video")]
async fn change_prefix(truth: &Truth) {
    truth.change();
}

#[cache_invalidate(pattern = "vid*:{id}:m?ta")]
async fn change_matching(truth: &Truth, id: u64) {
    truth.change();
}

#[derive(Debug, Clone, Copy)]
enum How {
    Entry,
    Pattern,
    Prefix,
    PrefixBelow,
    Delete,
    DeletePrefix,
    Clear,
    Set,
    ByHandEntry,
    ByHandGeneration,
    ByHandRoot,
    ByHandGenerationBelow,
    ByHandLease,
    Flush,
}

const EVERYWHERE: &[How] = &[
    How::Entry,
    How::Pattern,
    How::Prefix,
    How::PrefixBelow,
    How::Delete,
    How::DeletePrefix,
    How::Clear,
    How::Set,
];

const BY_HAND: &[How] = &[
    How::ByHandEntry,
    How::ByHandGeneration,
    How::ByHandRoot,
    How::ByHandGenerationBelow,
    How::ByHandLease,
    How::Flush,
];

async fn invalidate(how: How, cache: &Cache, truth: &Truth, server: Option<&RedisServer>) {
    let server = || server.expect("this case is for Redis");
    match how {
        How::Entry => with_cache(cache.clone(), change_entry(truth, 42)).await,
        How::Pattern => with_cache(cache.clone(), change_matching(truth, 42)).await,
        How::Prefix => with_cache(cache.clone(), change_prefix(truth)).await,
        How::PrefixBelow => {
            truth.change();
            cache.invalidate_prefix("video:42").await.unwrap();
        }
        How::Delete => {
            truth.change();
            cache.delete("video:42:meta").await.unwrap();
        }
        How::DeletePrefix => {
            truth.change();
            cache.invalidate_prefix("video").await.unwrap();
        }
        How::Clear => {
            truth.change();
            cache.clear("video:4*").await.unwrap();
        }
        How::Set => {
            truth.change();
            let version = truth.version.load(Ordering::SeqCst);
            cache.set("video:42:meta", &version, None).await.unwrap();
        }
        How::ByHandEntry => {
            truth.change();
            server().cli(&["DEL", "video:42:meta", "lease@{video:42:meta}"]);
        }
        How::ByHandGeneration => {
            truth.change();
            assert_eq!(server().cli(&["DEL", "gen@video"]), "1");
        }
        How::ByHandRoot => {
            truth.change();
            assert_eq!(server().cli(&["DEL", "gen@"]), "1");
        }
        How::ByHandGenerationBelow => {
            truth.change();
            assert_eq!(server().cli(&["DEL", "gen@video:42"]), "1");
        }
        How::ByHandLease => {
            truth.change();
            assert_eq!(server().cli(&["DEL", "lease@{video:42:meta}"]), "1");
        }
        How::Flush => {
            truth.change();
            server().cli(&["FLUSHALL"]);
        }
    }
}

/// Who loads: an annotated function, or the same entry by hand.
#[derive(Debug, Clone, Copy)]
enum By {
    Attribute,
    Hand,
}

impl By {
    async fn read(self, cache: &Cache, truth: &Truth) -> u64 {
        match self {
            Self::Attribute => with_cache(cache.clone(), video(truth, 42)).await,
            Self::Hand => {
                let load = || async { Ok::<_, Infallible>(truth.read().await) };
                let Ok(version) = cache.get_or_set("video:42:meta", None, load).await;
                version
            }
        }
    }
}

/// `loader` loads the old value while `other` invalidates; both must then see the new one.
async fn check(how: How, loader: &Cache, other: &Cache, server: Option<&RedisServer>) {
    for by in [By::Attribute, By::Hand] {
        check_by(by, how, loader, other, server).await;
    }
}

async fn check_by(by: By, how: How, loader: &Cache, other: &Cache, server: Option<&RedisServer>) {
    let truth = Truth::default();
    let (held, gate) = truth.held();
    let slow = tokio::spawn({
        let loader = loader.clone();
        async move { by.read(&loader, &held).await }
    });
    gate.reached().await;

    invalidate(how, other, &truth, server).await;
    gate.open.add_permits(1);
    let old = slow.await.unwrap();

    assert_eq!(
        old, 0,
        "{how:?}, {by:?}: the slow load had read the old value"
    );
    for cache in [loader, other] {
        let seen = by.read(cache, &truth).await;
        assert_eq!(seen, 1, "{how:?}, {by:?}: the old value was left behind");
    }
    // One body for the slow load and one for the new value, which is kept; what was set needs none.
    let due = if matches!(how, How::Set) { 1 } else { 2 };
    let bodies = truth.bodies.load(Ordering::SeqCst);
    assert_eq!(bodies, due, "{how:?}, {by:?}");
    loader.clear("*").await.unwrap();
}

async fn on(server: &RedisServer) -> Cache {
    Cache::builder()
        .redis_url(server.url())
        .response_timeout(LONG)
        .open()
        .await
        .unwrap()
}

#[tokio::test]
async fn a_load_that_began_before_an_invalidation_leaves_nothing_behind_in_process() {
    let cache = Cache::builder().open().await.unwrap();

    for &how in EVERYWHERE {
        check(how, &cache, &cache, None).await;
    }
}

#[tokio::test]
async fn a_load_that_began_before_an_invalidation_leaves_nothing_behind_on_redis() {
    let server = RedisServer::start();
    let cache = on(&server).await;

    for &how in EVERYWHERE.iter().chain(BY_HAND) {
        check(how, &cache, &cache, Some(&server)).await;
    }
}

#[tokio::test]
async fn nor_does_one_whose_entry_was_invalidated_by_another_process() {
    let server = RedisServer::start();
    let (one, other) = (on(&server).await, on(&server).await);

    for &how in EVERYWHERE.iter().chain(BY_HAND) {
        check(how, &one, &other, Some(&server)).await;
    }
}

/// Played by a second process.
#[tokio::test]
async fn the_second_process() {
    let Some(part) = process::part() else { return };
    let cache = Cache::builder()
        .redis_url(&part.server)
        .open()
        .await
        .unwrap();
    let truth = Truth::default();
    match part.role.as_str() {
        "change the entry" => with_cache(cache, change_entry(&truth, 42)).await,
        "change the prefix" => with_cache(cache, change_prefix(&truth)).await,
        "delete" => drop(cache.delete("video:42:meta").await.unwrap()),
        "invalidate the parent" => drop(cache.invalidate_prefix("video").await.unwrap()),
        "invalidate below" => drop(cache.invalidate_prefix("video:42").await.unwrap()),
        "clear" => drop(cache.clear("video:4*").await.unwrap()),
        "set" => cache.set("video:42:meta", &1_u64, None).await.unwrap(),
        "load" => {
            let (held, gate) = truth.held();
            let slow = tokio::spawn(with_cache(cache, async move { video(&held, 42).await }));
            gate.reached().await;
            process::pause_here();
            gate.open.add_permits(1);
            assert_eq!(slow.await.unwrap(), 0);
        }
        other => panic!("no part is called {other}"),
    }
}

#[tokio::test]
async fn nor_does_one_that_a_second_process_overtakes() {
    let server = RedisServer::start();
    let cache = on(&server).await;
    for role in [
        "change the entry",
        "change the prefix",
        "delete",
        "invalidate the parent",
        "invalidate below",
        "clear",
        "set",
    ] {
        let truth = Truth::default();
        let (held, gate) = truth.held();
        let slow = tokio::spawn(with_cache(
            cache.clone(),
            async move { video(&held, 42).await },
        ));
        gate.reached().await;

        truth.change();
        Process::start("the_second_process", role, &server.url()).finish();
        gate.open.add_permits(1);
        slow.await.unwrap();

        assert_eq!(
            with_cache(cache.clone(), video(&truth, 42)).await,
            1,
            "{role}"
        );
        cache.clear("*").await.unwrap();
    }
}

#[tokio::test]
async fn nor_does_one_of_a_second_process_that_is_overtaken() {
    let server = RedisServer::start();
    let cache = on(&server).await;
    for &how in EVERYWHERE.iter().chain(BY_HAND) {
        let truth = Truth::default();
        let mut slow = Process::start("the_second_process", "load", &server.url());
        slow.paused();

        invalidate(how, &cache, &truth, Some(&server)).await;
        slow.finish();

        let seen = with_cache(cache.clone(), video(&truth, 42)).await;
        assert_eq!(seen, 1, "{how:?}");
        cache.clear("*").await.unwrap();
    }
}

#[tokio::test]
async fn nor_does_one_in_a_cache_with_a_key_prefix() {
    let server = RedisServer::start();
    let prefixed = Cache::builder()
        .redis_url(server.url())
        .response_timeout(LONG)
        .key_prefix("myapp");
    let cache = prefixed.open().await.unwrap();

    for &how in EVERYWHERE {
        check(how, &cache, &cache, Some(&server)).await;
    }
}

#[tokio::test]
async fn nor_does_one_whose_leader_was_cancelled_and_whose_follower_took_over_before_the_invalidation()
 {
    let server = RedisServer::start();
    for cache in [Cache::builder().open().await.unwrap(), on(&server).await] {
        for how in [How::Entry, How::Prefix, How::Delete, How::Clear, How::Set] {
            let truth = Truth::default();
            let (held, gate) = truth.held();
            let call = |held: Truth| {
                let cache = cache.clone();
                tokio::spawn(async move { By::Attribute.read(&cache, &held).await })
            };
            let leader = call(held.clone());
            gate.reached().await;
            let follower = call(held);
            // That a task waits for a flight cannot be seen from outside.
            tokio::time::sleep(Duration::from_millis(30)).await;
            let lease = || server.cli(&["GET", "lease@{video:42:meta}"]);
            let leaders = lease();
            leader.abort();
            gate.reached().await;
            assert_eq!(lease(), leaders, "{how:?}: it was not taken over");

            invalidate(how, &cache, &truth, Some(&server)).await;
            gate.open.add_permits(2);

            assert_eq!(follower.await.unwrap(), 0, "{how:?}");
            let seen = By::Attribute.read(&cache, &truth).await;
            assert_eq!(seen, 1, "{how:?}: the old value was left behind");
            cache.clear("*").await.unwrap();
        }
    }
}
