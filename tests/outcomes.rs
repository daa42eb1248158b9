//! An invalidation tells what it achieved: where it holds, why no further, and how many replicas have it.

mod support;

use std::time::Duration;

use cache_runtime::{Cache, CacheBuilder, Durability, ErrorKind, Invalidated, Mode, Reach};
use support::{Log, RedisServer, wait_until_async};
use tracing::Level;

fn at(server: &RedisServer) -> CacheBuilder {
    Cache::builder()
        .redis_url(server.url())
        .response_timeout(Duration::from_millis(400))
}

async fn both(cache: &Cache) -> [Invalidated; 2] {
    [
        cache.invalidate_prefix("video").await.unwrap(),
        cache.invalidate_tag("genre:noir").await.unwrap(),
    ]
}

#[tokio::test]
async fn in_process_it_is_confirmed_by_the_process() {
    let cache = Cache::builder().open().await.unwrap();
    for told in both(&cache).await {
        assert!(told.is_confirmed());
        assert_eq!(
            (told.reach, told.reason, told.replicas),
            (Reach::Process, None, 0)
        );
    }
}

#[tokio::test]
async fn with_redis_it_is_confirmed_by_redis() {
    let server = RedisServer::start();
    let cache = at(&server).open().await.unwrap();
    for told in both(&cache).await {
        assert!(told.is_confirmed());
        assert_eq!(
            (told.reach, told.reason, told.replicas),
            (Reach::Redis, None, 0)
        );
    }
}

#[tokio::test]
async fn where_redis_cannot_be_told_it_is_remembered_and_replayed() {
    let server = RedisServer::start_with(&["--requirepass", "secret"]);
    let (cache, other) = (at(&server).open().await.unwrap(), at(&server).near(false));
    let other = other.open().await.unwrap();
    for hangs in [true, false] {
        cache.set("video:1", &1_u64, None).await.unwrap();
        if hangs {
            server.pause();
        } else {
            // Brought back with its data gone; the point is that it cannot be told.
            server.kill();
        }
        for told in both(&cache).await {
            assert!(!told.is_confirmed());
            assert_eq!((told.reach, told.replicas), (Reach::Remembered, 0));
            let reason = told.reason.unwrap();
            assert!(
                reason.contains("redis") && !reason.contains("secret"),
                "{reason}"
            );
        }
        assert_eq!(
            cache.get::<u64>("video:1").await.unwrap(),
            None,
            "it holds here at once"
        );
        if hangs {
            server.resume();
        } else {
            server.restart();
        }
        let back = async || {
            let _ = cache.get::<u64>("video:1").await;
            cache.mode() == Mode::Redis && other.health().await.round_trip.is_some()
        };
        wait_until_async(back, "redis is back").await;
        cache.health().await;
        assert_eq!(
            other.get::<u64>("video:1").await.unwrap(),
            None,
            "replayed: {hangs}"
        );
    }
}

#[tokio::test]
async fn a_cache_that_is_off_reaches_nowhere_and_a_closed_one_is_an_error() {
    let cache = Cache::builder().enabled(false).open().await.unwrap();
    for told in both(&cache).await {
        assert!(!told.is_confirmed());
        assert_eq!(told.reach, Reach::Nowhere);
    }
    cache.close().await;
    for told in [
        cache.invalidate_prefix("a").await,
        cache.invalidate_tag("a").await,
    ] {
        assert_eq!(told.unwrap_err().kind(), ErrorKind::Closed);
    }
    let open = Cache::builder().open().await.unwrap();
    assert_eq!(
        open.invalidate_tag("").await.unwrap_err().kind(),
        ErrorKind::Key
    );
}

#[tokio::test]
async fn what_it_tells_can_be_written_down() {
    let cache = Cache::builder().open().await.unwrap();
    let told = cache.invalidate_prefix("video").await.unwrap();
    let json = serde_json::to_value(&told).unwrap();
    assert_eq!(
        json,
        serde_json::json!({"reach": "Process", "reason": null, "replicas": 0})
    );
}

// --- replicas -------------------------------------------------------------------------------

async fn replicated() -> (RedisServer, RedisServer) {
    let server = RedisServer::start();
    let port = server.port().to_string();
    let replica = RedisServer::start_with(&["--replicaof", "127.0.0.1", &port]);
    let linked = async || {
        server
            .cli(&["INFO", "replication"])
            .contains("state=online")
    };
    wait_until_async(linked, "the replica follows").await;
    (server, replica)
}

#[tokio::test]
async fn with_replicas_it_is_confirmed_once_they_have_it() {
    let (server, replica) = replicated().await;
    let cache = at(&server)
        .response_timeout(Duration::from_secs(2))
        .durability(Durability::Replicas(1))
        .open()
        .await
        .unwrap();
    cache.set("video:1", &1_u64, None).await.unwrap();

    let told = cache.invalidate_prefix("video").await.unwrap();

    assert!(told.is_confirmed(), "{told:?}");
    assert_eq!((told.reach, told.replicas), (Reach::Redis, 1));
    assert_eq!(replica.cli(&["EXISTS", "gen@video"]), "0");
}

#[tokio::test]
async fn replicas_that_are_missing_or_silent_leave_it_unconfirmed_and_hold_nobody_up() {
    let (server, replica) = replicated().await;
    // On a busy machine the one replica takes its time.
    let two = at(&server)
        .response_timeout(Duration::from_secs(2))
        .durability(Durability::Replicas(2))
        .open()
        .await
        .unwrap();
    let told = two.invalidate_prefix("video").await.unwrap();
    assert_eq!((told.reach, told.replicas), (Reach::Redis, 1));
    let reason = told.reason.unwrap();
    assert_eq!(reason, "1 of 2 replicas confirmed it in time");

    replica.pause();
    let one = at(&server)
        .durability(Durability::Replicas(1))
        .near(false)
        .open()
        .await
        .unwrap();
    one.set("other", &7_u64, None).await.unwrap();
    let waiting = tokio::spawn({
        let one = one.clone();
        async move { one.invalidate_prefix("video").await.unwrap() }
    });
    // By its flag: the last command of a connection stays in the list once it has ended.
    let waits = async || {
        let clients = server.cli(&["CLIENT", "LIST"]);
        let mut clients = clients.lines();
        clients.any(|client| client.contains("flags=b") && client.contains("cmd=wait"))
    };
    wait_until_async(waits, "it waits for the replica").await;
    // Over another connection than the one that waits.
    assert_eq!(one.get::<u64>("other").await.unwrap(), Some(7));
    assert!(!waiting.is_finished(), "the read was held up");
    let told = waiting.await.unwrap();
    assert_eq!(
        (told.is_confirmed(), told.reach, told.replicas),
        (false, Reach::Redis, 0)
    );
    replica.resume();
}

#[tokio::test]
async fn that_replicas_have_not_confirmed_it_is_said_once_in_a_while() {
    let (log, _guard) = Log::of_this_thread();
    let server = RedisServer::start();
    let cache = at(&server)
        .durability(Durability::Replicas(1))
        .open()
        .await
        .unwrap();
    for _ in 0..3 {
        both(&cache).await;
    }
    log.only(Level::WARN, "replicas have not confirmed an invalidation");
}
