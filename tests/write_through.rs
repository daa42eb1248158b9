//! Entries named by the call that reads them: what a mutating function ends, and what it puts in their place.

mod support;

use std::time::Duration;

use cache_runtime::{Cache, cache_invalidate, cache_put, cached, peek, with_cache};
use serde::Serialize;
use support::{Bodies, RedisServer, Unwritable, in_process, on, wait_until_async};
use tokio::sync::Semaphore;

#[derive(Debug, PartialEq)]
struct Broken;

#[derive(Debug, PartialEq)]
struct Other;

#[cached(ttl = 300, prefix = "name", skip(bodies), tags = "names")]
async fn name(bodies: &Bodies, id: u64) -> Result<String, Other> {
    Ok(format!("loaded {}", bodies.run()))
}

#[cached(ttl = 300, prefix = "far", near = false, skip(bodies))]
async fn far(bodies: &Bodies, id: &str) -> String {
    format!("loaded {}", bodies.run())
}

#[cached(ttl = 300, prefix = "slow", skip(bodies, gate))]
async fn slow(bodies: &Bodies, gate: &Semaphore, id: u64) -> String {
    let number = bodies.run();
    gate.acquire().await.unwrap().forget();
    format!("loaded {number}")
}

#[cached(ttl = 300, prefix = "any", skip(bodies))]
async fn any<T: Serialize>(bodies: &Bodies, id: T) -> u64 {
    bodies.run()
}

struct User {
    id: u64,
    name: String,
}

#[cache_put(entry = name(bodies, user.id), ttl = "1h")]
async fn save(bodies: &Bodies, user: User) -> Result<String, Broken> {
    match user.name.is_empty() {
        true => Err(Broken),
        false => Ok(user.name),
    }
}

#[cache_put(entry = far(bodies, &id), ttl = Duration::from_secs(id.len() as u64 * 100))]
async fn save_far(bodies: &Bodies, id: String) -> String {
    format!("saved {id}")
}

#[cache_put(entry = slow(bodies, gate, id))]
async fn save_slow(bodies: &Bodies, gate: &Semaphore, id: u64) -> String {
    "saved".to_owned()
}

#[cache_put(entry = name(bodies, id))]
async fn save_never(bodies: &Bodies, id: u64) -> Result<String, Broken> {
    std::future::pending().await
}

#[cache_put(entry = any(bodies, id))]
async fn save_any<T: Serialize>(bodies: &Bodies, id: T) -> u64 {
    100
}

#[cache_invalidate(entry = name(bodies, id))]
async fn change(bodies: &Bodies, id: u64) {}

#[cache_invalidate(prefix = "stats", entry = [name(bodies, user.id), far(bodies, &user.name)], tags = "names", when = "ok")]
async fn change_both(bodies: &Bodies, user: User, fails: bool) -> Result<(), Broken> {
    drop(user);
    match fails {
        true => Err(Broken),
        false => Ok(()),
    }
}

#[cache_invalidate(entry = any(bodies, id))]
async fn change_any<T: Serialize>(bodies: &Bodies, id: T) {}

struct Films(Bodies);

impl Films {
    #[cached(prefix = "film", skip(self))]
    async fn film(&self, id: u64) -> u64 {
        self.0.run()
    }

    #[cache_put(entry = self.film(id))]
    async fn save(&self, id: u64, value: u64) -> u64 {
        value
    }

    #[cache_invalidate(entry = self.film(id))]
    async fn change(&self, id: u64) {}
}

fn user(id: u64, name: &str) -> User {
    let name = name.to_owned();
    User { id, name }
}

#[tokio::test]
async fn what_was_saved_is_the_entry_in_both_tiers() {
    let server = RedisServer::start();
    for (writer, reader) in [
        (on(&server).await, on(&server).await),
        (in_process().await, in_process().await),
    ] {
        let bodies = &Bodies::default();
        with_cache(writer.clone(), async {
            assert_eq!(name(bodies, 1).await.unwrap(), "loaded 1");
            assert_eq!(save(bodies, user(1, "saved")).await.unwrap(), "saved");
            let before = writer.stats();
            assert_eq!(name(bodies, 1).await.unwrap(), "saved");
            assert_eq!(writer.stats().near_hits, before.near_hits + 1);
            assert_eq!(writer.stats().misses, before.misses);
        })
        .await;
        if reader.stats().using_redis {
            let there = with_cache(reader.clone(), peek(name(bodies, 1))).await;
            assert_eq!(there.unwrap().unwrap(), "saved");
            reader.invalidate_tag("names").await.unwrap();
            let there = with_cache(on(&server).await, peek(name(bodies, 1))).await;
            assert_eq!(there, None, "it has the tags of its function");
            // And its ttl: that of the attribute, then one that is computed.
            with_cache(writer, async {
                save(bodies, user(2, "saved")).await.unwrap();
                let left = server.cli(&["ttl", "name:name:2"]);
                assert!(
                    (3_590..=3_600).contains(&left.trim().parse().unwrap()),
                    "{left}"
                );
                assert_eq!(save_far(bodies, "abcd".to_owned()).await, "saved abcd");
                let left = server.cli(&["ttl", "far:far:abcd"]);
                assert!(
                    (390..=400).contains(&left.trim().parse().unwrap()),
                    "{left}"
                );
                assert_eq!(far(bodies, "abcd").await, "saved abcd");
            })
            .await;
        }
    }
}

#[tokio::test]
async fn a_save_that_fails_or_is_dropped_leaves_no_entry() {
    let server = RedisServer::start();
    for cache in [in_process().await, on(&server).await] {
        let bodies = &Bodies::default();
        with_cache(cache, async {
            name(bodies, 1).await.unwrap();
            assert_eq!(save(bodies, user(1, "")).await, Err(Broken));
            assert_eq!(peek(name(bodies, 1)).await, None);

            name(bodies, 1).await.unwrap();
            let limit = Duration::from_millis(1);
            assert!(
                tokio::time::timeout(limit, save_never(bodies, 1))
                    .await
                    .is_err()
            );
            let gone = async || peek(name(bodies, 1)).await.is_none();
            wait_until_async(gone, "the entry of a dropped save is gone").await;
        })
        .await;
    }
}

#[tokio::test]
async fn a_load_that_is_under_way_does_not_overwrite_what_was_saved() {
    let server = RedisServer::start();
    let shared = on(&server).await;
    let pairs = [
        (in_process().await, None),
        (shared.clone(), None),
        (on(&server).await, Some(shared)),
    ];
    for (id, (loader, writer)) in (1..).zip(pairs) {
        let (bodies, gate) = (&Bodies::default(), &Semaphore::new(0));
        let writer = writer.unwrap_or_else(|| loader.clone());
        let saved = async {
            wait_until_async(async || bodies.count() == 1, "the load runs").await;
            save_slow(bodies, gate, id).await;
            gate.add_permits(1);
        };
        let load = with_cache(loader.clone(), slow(bodies, gate, id));
        let (loaded, ()) = tokio::join!(load, with_cache(writer.clone(), saved));
        assert_eq!(loaded, "loaded 1");
        for cache in [writer, loader] {
            let after = async || {
                let there = with_cache(cache.clone(), peek(slow(bodies, gate, id)));
                there.await.as_deref() == Some("saved")
            };
            wait_until_async(after, "what was saved is there").await;
        }
    }
}

#[tokio::test]
async fn without_redis_what_was_saved_does_not_let_the_old_entry_come_back() {
    let server = RedisServer::start();
    let builder = Cache::builder().redis_url(server.url());
    let builder = builder.response_timeout(Duration::from_millis(200));
    let (cache, bodies) = (builder.open().await.unwrap(), &Bodies::default());
    with_cache(cache.clone(), async {
        name(bodies, 1).await.unwrap();
        server.pause();
        save(bodies, user(1, "saved")).await.unwrap();
        assert_ne!(name(bodies, 1).await.unwrap(), "loaded 1");
        server.resume();
        let back = async || {
            let _ = cache.get::<u64>("nothing").await;
            cache.stats().using_redis
        };
        wait_until_async(back, "redis is trusted again").await;
        assert_ne!(name(bodies, 1).await.unwrap(), "loaded 1");
    })
    .await;
}

#[tokio::test]
async fn an_invalidation_reaches_the_entries_of_the_calls_it_names_and_no_other() {
    let server = RedisServer::start();
    for cache in [in_process().await, on(&server).await] {
        let (bodies, films) = (&Bodies::default(), Films(Bodies::default()));
        with_cache(cache.clone(), async {
            for id in [1, 2] {
                name(bodies, id).await.unwrap();
                films.film(id).await;
            }
            change(bodies, 1).await;
            films.change(1).await;
            assert_eq!(peek(name(bodies, 1)).await, None);
            assert_eq!(peek(films.film(1)).await, None);
            assert!(peek(name(bodies, 2)).await.is_some());
            assert!(peek(films.film(2)).await.is_some());
            assert_eq!(films.save(1, 50).await, 50);
            assert_eq!(films.film(1).await, 50);

            far(bodies, "one").await;
            assert_eq!(change_both(bodies, user(2, "one"), true).await, Err(Broken));
            assert!(peek(name(bodies, 2)).await.is_some());
            change_both(bodies, user(2, "one"), false).await.unwrap();
            assert_eq!(peek(name(bodies, 2)).await, None);
            assert_eq!(peek(far(bodies, "one")).await, None);
        })
        .await;
    }
}

#[tokio::test]
async fn an_entry_that_cannot_be_named_takes_its_prefix_along() {
    let bodies = &Bodies::default();
    with_cache(in_process().await, async {
        any(bodies, 1).await;
        change_any(bodies, Unwritable).await;
        assert_eq!(peek(any(bodies, 1)).await, None);
        any(bodies, 1).await;
        assert_eq!(save_any(bodies, Unwritable).await, 100);
        assert_eq!(peek(any(bodies, 1)).await, None);
        assert_eq!(save_any(bodies, 1).await, 100);
        assert_eq!(any(bodies, 1).await, 100);
    })
    .await;
}
