//! Acting on the call itself: the call names the entry, and its body does not run except where that is said.

mod support;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use cache_runtime::{
    Cache, ErrorKind, Reach, bypass, cached, invalidate, key_of, peek, refresh, with_cache,
};
use serde::Serialize;
use support::{Bodies, DEADLINE, Log, RedisServer, Unwritable, in_process, on, wait_until_async};
use tokio::sync::Semaphore;

#[derive(Debug, PartialEq)]
struct Broken;

#[cached(prefix = "plain", skip(bodies))]
async fn plain(bodies: &Bodies, id: u64) -> u64 {
    bodies.run()
}

#[cached(prefix = "fallible", skip(bodies, fails))]
async fn fallible(bodies: &Bodies, id: u64, fails: bool) -> Result<u64, Broken> {
    match fails {
        true => Err(Broken),
        false => Ok(bodies.run()),
    }
}

#[cached(prefix = "far", near = false, skip(bodies), tags = ["all", "id:{id}"])]
async fn far(bodies: &Bodies, id: u64) -> u64 {
    bodies.run()
}

#[cached(prefix = "fleet", coalesce = "fleet", skip(bodies))]
async fn fleet(bodies: &Bodies, id: u64) -> u64 {
    bodies.run()
}

#[cached(
    prefix = "aged",
    stale_if_error = "1h",
    stale_while_revalidate = "1h",
    skip(bodies, fails)
)]
async fn aged(bodies: Arc<Bodies>, id: u64, fails: bool) -> Result<u64, Broken> {
    match fails {
        true => Err(Broken),
        false => Ok(bodies.run()),
    }
}

#[cached(prefix = "or_stale", stale_if_error = "1h", skip(bodies, fails))]
async fn or_stale(bodies: &Bodies, id: u64, fails: bool) -> Result<u64, Broken> {
    match fails {
        true => Err(Broken),
        false => Ok(bodies.run()),
    }
}

#[cached(prefix = "hidden", sensitive(token), skip(bodies))]
async fn hidden(bodies: &Bodies, token: &str) -> u64 {
    bodies.run()
}

#[cached(prefix = "any", skip(bodies))]
async fn any<T: Serialize>(bodies: &Bodies, id: T) -> u64 {
    bodies.run()
}

#[cached(prefix = "until", ttl = Duration::from_secs(*seconds), skip(bodies))]
async fn until(bodies: &Bodies, seconds: &u64) -> u64 {
    bodies.run()
}

#[cached(prefix = "labelled", skip(bodies, label), tags = "{label}")]
async fn labelled<T: Serialize>(bodies: &Bodies, label: T) -> u64 {
    bodies.run()
}

struct Films(Bodies);

impl Films {
    #[cached(prefix = "film", key = "{id}:meta", tags = "genre:{genre}")]
    async fn film(&self, id: u64, genre: &str) -> u64 {
        self.0.run()
    }
}

/// What `#[async_trait]` makes of a trait with an `async fn`.
trait Library {
    fn book<'a>(&'a self, id: u64) -> Pin<Box<dyn Future<Output = u64> + Send + 'a>>;
}

impl Library for Films {
    #[cached(prefix = "book", skip(self))]
    fn book<'a>(&'a self, id: u64) -> Pin<Box<dyn Future<Output = u64> + Send + 'a>> {
        Box::pin(async move {
            if let Some(returned) = None::<u64> {
                return returned;
            }
            self.0.run()
        })
    }
}

#[cached(prefix = "gated", skip(bodies, gate))]
async fn gated(bodies: &Bodies, gate: &Semaphore, id: u64) -> u64 {
    let number = bodies.run();
    gate.acquire().await.unwrap().forget();
    number
}

#[cached(prefix = "outer", skip(bodies))]
async fn outer(bodies: &Bodies, id: u64) -> (u64, u64) {
    (plain(bodies, id).await, bodies.run())
}

/// In process, on Redis, and under a key prefix there.
async fn caches(server: &RedisServer) -> Vec<Cache> {
    let prefixed = Cache::builder().redis_url(server.url()).key_prefix("myapp");
    let prefixed = prefixed.response_timeout(Duration::from_secs(5));
    vec![
        in_process().await,
        on(server).await,
        prefixed.open().await.unwrap(),
    ]
}

/// Every way through a call, with everything that can be done to it. The body has not run before.
async fn acts_as_promised<'a, F>(bodies: &'a Bodies, call: impl Fn() -> F + 'a)
where
    F: Future<Output = u64>,
{
    let before = bodies.count();
    let key = key_of(call()).unwrap();
    assert_eq!(peek(call()).await, None, "{key}");
    assert!(invalidate(call()).await.unwrap().is_confirmed(), "{key}");
    assert_eq!(bodies.count(), before, "{key}: no body has run");

    let first = call().await;
    assert_eq!((first, bodies.count()), (before + 1, before + 1), "{key}");
    assert_eq!(peek(call()).await, Some(first), "{key}");
    assert_eq!(bypass(call()).await, first + 1, "{key}");
    assert_eq!(call().await, first, "{key}: bypassing has stored nothing");

    let refreshed = refresh(call()).await;
    assert_eq!(refreshed, first + 2, "{key}");
    assert_eq!(call().await, refreshed, "{key}");
    assert_eq!(peek(call()).await, Some(refreshed), "{key}");

    assert!(invalidate(call()).await.unwrap().is_confirmed(), "{key}");
    assert_eq!(peek(call()).await, None, "{key}");
    assert_eq!(bodies.count(), first + 2, "{key}");
    assert_eq!(call().await, first + 3, "{key}");
    assert_eq!(key_of(call()).unwrap(), key);
}

#[tokio::test]
async fn a_call_names_its_entry_whatever_the_function() {
    let server = RedisServer::start();
    for cache in caches(&server).await {
        let bodies = &Bodies::default();
        let owned = &Arc::new(Bodies::default());
        let films = &Films(Bodies::default());
        with_cache(cache, async {
            acts_as_promised(bodies, || plain(bodies, 1)).await;
            acts_as_promised(bodies, || fleet(bodies, 1)).await;
            acts_as_promised(bodies, || any(bodies, "one")).await;
            acts_as_promised(bodies, || any(bodies, 1)).await;
            acts_as_promised(bodies, || until(bodies, &300)).await;
            acts_as_promised(owned, || async {
                aged(Arc::clone(owned), 1, false).await.unwrap()
            })
            .await;
            acts_as_promised(bodies, || async {
                fallible(bodies, 1, false).await.unwrap()
            })
            .await;
            acts_as_promised(bodies, || async {
                or_stale(bodies, 1, false).await.unwrap()
            })
            .await;
            acts_as_promised(&films.0, || films.book(1)).await;
            acts_as_promised(&films.0, || films.film(1, "scifi")).await;
        })
        .await;
    }
    let bodies = &Bodies::default();
    with_cache(
        on(&server).await,
        acts_as_promised(bodies, || far(bodies, 1)),
    )
    .await;
    let sensitive = acts_as_promised(bodies, || hidden(bodies, "secret"));
    with_cache(in_process().await, sensitive).await;
}

#[tokio::test]
async fn the_key_is_the_one_that_the_manual_api_takes() {
    let cache = Cache::builder().key_prefix("my:app").open().await.unwrap();
    let (bodies, films) = (&Bodies::default(), &Films(Bodies::default()));
    with_cache(cache.clone(), async {
        assert_eq!(key_of(plain(bodies, 7)).unwrap(), "plain:plain:7");
        assert_eq!(key_of(films.film(7, "drama")).unwrap(), "film:7:meta");
        let key = key_of(films.book(7)).unwrap();
        let value = films.book(7).await;
        assert_eq!(cache.get::<u64>(&key).await.unwrap(), Some(value));
    })
    .await;
}

#[tokio::test]
async fn a_call_that_reaches_no_cached_function_is_an_error_and_goes_no_further() {
    let (log, _guard) = Log::of_this_thread();
    let bodies = Bodies::default();
    let elsewhere = async || {
        tokio::task::yield_now().await;
        plain(&bodies, 1).await
    };
    let none = async || bodies.run();
    for problem in [
        key_of(elsewhere()).unwrap_err(),
        invalidate(elsewhere()).await.unwrap_err(),
        key_of(async {}).unwrap_err(),
        invalidate(async {}).await.unwrap_err(),
    ] {
        assert_eq!(problem.kind(), ErrorKind::NotCached, "{problem}");
    }
    assert_eq!(bodies.count(), 0);

    assert_eq!(peek(elsewhere()).await, None);
    assert_eq!(bodies.count(), 0);
    log.only(tracing::Level::ERROR, "reaches no cached function");
    log.clear();
    assert_eq!(refresh(none()).await, 1);
    log.only(tracing::Level::ERROR, "reaches no cached function");
}

#[tokio::test]
async fn no_body_runs_where_nothing_can_be_cached() {
    let disabled = Cache::builder().enabled(false).open().await.unwrap();
    let closed = in_process().await;
    closed.close().await;
    let bodies = &Bodies::default();
    for cache in [disabled.clone(), closed.clone()] {
        with_cache(cache, async {
            assert_eq!(key_of(plain(bodies, 1)).unwrap(), "plain:plain:1");
            assert_eq!(peek(plain(bodies, 1)).await, None);
            assert_eq!(peek(aged(Arc::default(), 1, false)).await, None);
        })
        .await;
    }
    let done = with_cache(disabled, invalidate(plain(bodies, 1))).await;
    assert_eq!(done.unwrap().reach, Reach::Nowhere);
    let done = with_cache(closed.clone(), invalidate(plain(bodies, 1))).await;
    assert_eq!(done.unwrap_err().kind(), ErrorKind::Closed);

    with_cache(in_process().await, async {
        let problem = key_of(any(bodies, Unwritable)).unwrap_err();
        assert_eq!(problem.kind(), ErrorKind::Key, "{problem}");
        let problem = invalidate(any(bodies, Unwritable)).await.unwrap_err();
        assert_eq!(problem.kind(), ErrorKind::Key, "{problem}");
        assert_eq!(peek(any(bodies, Unwritable)).await, None);
        assert_eq!(bypass(peek(plain(bodies, 1))).await, None);
        // Tags are no part of the name.
        let key = key_of(labelled(bodies, Unwritable)).unwrap();
        assert!(key.starts_with("labelled:labelled:@"), "{key}");
        assert_eq!(peek(labelled(bodies, Unwritable)).await, None);
    })
    .await;
    assert_eq!(bodies.count(), 0);
    assert_eq!(with_cache(closed, refresh(plain(bodies, 1))).await, 1);
    assert_eq!(refresh(any(bodies, Unwritable)).await, 2);
}

#[tokio::test]
async fn what_stands_beside_the_call_does_not_run_its_body_either() {
    let bodies = &Bodies::default();
    with_cache(in_process().await, async {
        let both = || async { tokio::join!(plain(bodies, 1), plain(bodies, 2)) };
        assert_eq!(key_of(both()).unwrap(), "plain:plain:1");
        assert_eq!(peek(both()).await, None);
        invalidate(both()).await.unwrap();
        assert_eq!(bodies.count(), 0);

        plain(bodies, 1).await;
        let one_after_the_other = async {
            plain(bodies, 1).await;
            plain(bodies, 2).await
        };
        assert_eq!(peek(one_after_the_other).await, None);
        assert_eq!(bodies.count(), 1);
    })
    .await;
}

#[tokio::test]
async fn bypassing_reaches_what_is_cached_inside_and_refreshing_does_not() {
    let bodies = &Bodies::default();
    with_cache(in_process().await, async {
        assert_eq!(outer(bodies, 1).await, (1, 2));
        assert_eq!(bypass(outer(bodies, 1)).await, (3, 4));
        assert_eq!(refresh(outer(bodies, 1)).await, (1, 5));
        assert_eq!(outer(bodies, 1).await, (1, 5));
        // Also in the cache of somebody further inside.
        let inside = with_cache(in_process().await, plain(bodies, 1));
        assert_eq!(bypass(inside).await, 6);
        assert_eq!(plain(bodies, 1).await, 1);
    })
    .await;
}

#[tokio::test]
async fn concurrent_refreshes_are_one_load() {
    let server = RedisServer::start();
    for cache in caches(&server).await {
        let (bodies, gate) = (&Bodies::default(), &Semaphore::new(1));
        with_cache(cache.clone(), async {
            assert_eq!(gated(bodies, gate, 1).await, 1);
            let opened = async {
                let waiting = async || bodies.count() == 2;
                wait_until_async(waiting, "a refresh runs the body").await;
                gate.add_permits(1);
            };
            let one = || refresh(gated(bodies, gate, 1));
            let (a, b, c, ()) = tokio::join!(one(), one(), one(), opened);
            assert_eq!((a, b, c), (2, 2, 2));
            assert_eq!(gated(bodies, gate, 1).await, 2);
        })
        .await;
    }
}

#[tokio::test]
async fn a_refresh_that_is_overtaken_by_an_invalidation_stores_nothing() {
    let server = RedisServer::start();
    for cache in caches(&server).await {
        let (bodies, gate) = (&Bodies::default(), &Semaphore::new(1));
        with_cache(cache.clone(), async {
            gated(bodies, gate, 1).await;
            let invalidated = async {
                wait_until_async(async || bodies.count() == 2, "the body runs").await;
                invalidate(gated(bodies, gate, 1)).await.unwrap();
                gate.add_permits(1);
            };
            let (value, ()) = tokio::join!(refresh(gated(bodies, gate, 1)), invalidated);
            assert_eq!(value, 2);
            assert_eq!(peek(gated(bodies, gate, 1)).await, None);
        })
        .await;
    }
}

#[tokio::test]
async fn a_refresh_outdoes_the_load_that_another_process_has_begun() {
    let server = RedisServer::start();
    let (theirs, ours) = (on(&server).await, on(&server).await);
    let (bodies, gate) = (&Bodies::default(), &Semaphore::new(0));
    let old = with_cache(theirs, gated(bodies, gate, 1));
    let new = async {
        wait_until_async(async || bodies.count() == 1, "the older load runs").await;
        let opened = async {
            wait_until_async(async || bodies.count() == 2, "the refresh runs").await;
            gate.add_permits(2);
        };
        tokio::join!(refresh(gated(bodies, gate, 1)), opened).0
    };
    let (old, new) = tokio::join!(old, with_cache(ours.clone(), new));
    assert_eq!((old, new), (1, 2));
    let reader = on(&server).await;
    assert_eq!(
        with_cache(reader, peek(gated(bodies, gate, 1))).await,
        Some(2)
    );
}

#[tokio::test]
async fn a_refresh_that_fails_returns_the_error_and_leaves_the_entry() {
    let server = RedisServer::start();
    for cache in caches(&server).await {
        let (bodies, owned) = (&Bodies::default(), Arc::new(Bodies::default()));
        with_cache(cache, async {
            or_stale(bodies, 1, false).await.unwrap();
            assert_eq!(refresh(or_stale(bodies, 1, true)).await, Err(Broken));
            assert_eq!(peek(or_stale(bodies, 1, true)).await, Some(Ok(1)));
            aged(Arc::clone(&owned), 1, false).await.unwrap();
            assert_eq!(
                refresh(aged(Arc::clone(&owned), 1, true)).await,
                Err(Broken)
            );
            assert_eq!(peek(aged(owned, 1, true)).await, Some(Ok(1)));
        })
        .await;
    }
}

#[tokio::test]
async fn without_redis_a_refresh_does_not_let_the_old_entry_come_back() {
    let server = RedisServer::start();
    let builder = Cache::builder().redis_url(server.url());
    let builder = builder.response_timeout(Duration::from_millis(200));
    let (cache, reader) = (builder.open().await.unwrap(), on(&server).await);
    let bodies = &Bodies::default();
    with_cache(cache.clone(), async {
        assert_eq!(plain(bodies, 1).await, 1);
        server.pause();
        assert_eq!(refresh(plain(bodies, 1)).await, 2);
        assert!(plain(bodies, 1).await >= 2);
        server.resume();
        let back = async || cache.check_in().await;
        wait_until_async(back, "redis is trusted again").await;
    })
    .await;
    let left = with_cache(reader, peek(plain(bodies, 1))).await;
    assert_ne!(left, Some(1));
}

/// Whether Redis answers again.
trait CheckIn {
    async fn check_in(&self) -> bool;
}

impl CheckIn for Cache {
    async fn check_in(&self) -> bool {
        let _ = self.get::<u64>("nothing").await;
        self.stats().using_redis
    }
}

#[tokio::test]
async fn dropped_anywhere_none_of_them_leaves_anything_behind() {
    let server = RedisServer::start();
    for cache in caches(&server).await {
        for polls in 1..12 {
            let bodies = &Bodies::default();
            with_cache(cache.clone(), async {
                let id = polls;
                let before = plain(bodies, id).await;
                dropped_after(polls, refresh(plain(bodies, id))).await;
                dropped_after(polls, peek(plain(bodies, id))).await;
                assert!(plain(bodies, id).await >= before);
                dropped_after(polls, invalidate(plain(bodies, id))).await;
                let value = refresh(plain(bodies, id)).await;
                assert_eq!(value, bodies.count(), "no load was left half done");
                dropped_after(polls, bypass(plain(bodies, id))).await;
                // The dropped bypass is no longer in force, nor is any intent.
                let count = bodies.count();
                let read = tokio::time::timeout(DEADLINE, plain(bodies, id));
                assert_eq!((read.await, bodies.count()), (Ok(value), count));
            })
            .await;
        }
    }
}

/// Polls a future so often, as far as it goes, and drops it.
async fn dropped_after<F: Future>(polls: u64, future: F) {
    let mut future = Box::pin(future);
    for _ in 0..polls {
        let mut context = Context::from_waker(Waker::noop());
        if future.as_mut().poll(&mut context).is_ready() {
            return;
        }
        tokio::task::yield_now().await;
    }
}
