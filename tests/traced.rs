//! Where the value of a call came from, and how old it is: what `traced` tells is what the call did.

mod support;

use std::sync::Arc;
use std::time::Duration;

use cache_runtime::{
    Cache, Mode, Source, Traced, bypass, cached, invalidate, refresh, traced, with_cache,
};
use support::envelope::{at, earlier};
use support::{Bodies, Log, RedisServer, in_process, on, wait_until_async};
use tokio::sync::Semaphore;
use tokio::time::advance;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);

#[cached(ttl = 300, prefix = "plain", skip(bodies))]
async fn plain(bodies: &Bodies, id: u64) -> u64 {
    bodies.run()
}

#[cached(ttl = 300, prefix = "outer", skip(bodies))]
async fn outer(bodies: &Bodies, id: u64) -> u64 {
    plain(bodies, id).await + 100
}

#[cached(ttl = 300, prefix = "gated", skip(bodies, gate))]
async fn gated(bodies: &Bodies, gate: &Semaphore, id: u64) -> u64 {
    let number = bodies.run();
    gate.acquire().await.unwrap().forget();
    number
}

#[cached(ttl = 300, prefix = "fleet", coalesce = "fleet", skip(bodies, gate))]
async fn fleet(bodies: &Bodies, gate: &Semaphore, id: u64) -> u64 {
    let number = bodies.run();
    gate.acquire().await.unwrap().forget();
    number
}

#[cached(
    ttl = 10,
    prefix = "or_stale",
    stale_if_error = "1h",
    skip(bodies, fails)
)]
async fn or_stale(bodies: &Bodies, id: u64, fails: bool) -> Result<u64, String> {
    match fails {
        true => Err("broken".to_owned()),
        false => Ok(bodies.run()),
    }
}

/// What it returns while it loads is older than what it returns where that fails.
#[cached(
    ttl = 10,
    prefix = "both",
    stale_while_revalidate = "1h",
    stale_if_error = "5s",
    skip(bodies, fails)
)]
async fn both(bodies: &Bodies, id: u64, fails: bool) -> Result<u64, String> {
    match fails {
        true => Err("broken".to_owned()),
        false => Ok(bodies.run()),
    }
}

#[cached(
    ttl = 10,
    prefix = "behind",
    stale_while_revalidate = "1h",
    skip(bodies)
)]
async fn behind(bodies: Arc<Bodies>, id: u64) -> u64 {
    bodies.run()
}

#[cached(
    ttl = 10,
    prefix = "patient",
    stale_if_error = "1h",
    load_timeout = "1s",
    skip(bodies, gate)
)]
async fn patient(bodies: Arc<Bodies>, gate: Arc<Semaphore>, id: u64) -> u64 {
    let number = bodies.run();
    gate.acquire().await.unwrap().forget();
    number
}

/// Waits until so many requests have been answered one after another: by then a call that began before, over the same
/// connection, has had as many answers.
async fn answered(cache: &Cache, requests: usize) {
    for _ in 0..requests {
        cache.exists("anything").await.unwrap();
    }
}

/// What a traced call says beside its age.
fn told<T: Copy>(traced: &Traced<T>) -> (T, Source, bool) {
    (traced.value, traced.source, traced.coalesced)
}

#[tokio::test(start_paused = true)]
async fn a_value_comes_from_a_load_and_then_from_the_process_and_is_as_old_as_that() {
    let bodies = &Bodies::default();
    with_cache(in_process().await, async {
        let first = traced(plain(bodies, 1)).await;
        assert_eq!(told(&first), (1, Source::Load, false));
        assert_eq!(first.age, Duration::ZERO);

        let second = traced(plain(bodies, 1)).await;
        assert_eq!(
            (told(&second), second.age),
            ((1, Source::Near, false), Duration::ZERO)
        );
        advance(90 * SECOND).await;
        let third = traced(plain(bodies, 1)).await;
        assert_eq!(
            (told(&third), third.age),
            ((1, Source::Near, false), 90 * SECOND)
        );

        refresh(plain(bodies, 1)).await;
        let renewed = traced(plain(bodies, 1)).await;
        assert_eq!(
            (told(&renewed), renewed.age),
            ((2, Source::Near, false), Duration::ZERO)
        );
        invalidate(plain(bodies, 1)).await.unwrap();
        assert_eq!(
            told(&traced(plain(bodies, 1)).await),
            (3, Source::Load, false)
        );
    })
    .await;
}

#[tokio::test]
async fn another_process_has_it_from_redis_and_it_is_as_old_as_it_is_there() {
    let server = RedisServer::start();
    let bodies = &Bodies::default();
    let first = with_cache(on(&server).await, traced(plain(bodies, 1))).await;
    assert_eq!(told(&first), (1, Source::Load, false));

    let cache = on(&server).await;
    let read = with_cache(cache.clone(), traced(plain(bodies, 1))).await;
    assert_eq!(told(&read), (1, Source::Redis, false));
    assert!(read.age < HOUR / 2, "{:?}", read.age);
    let kept = with_cache(cache.clone(), traced(plain(bodies, 1))).await;
    assert_eq!(told(&kept), (1, Source::Near, false));
    assert!(kept.age < HOUR / 2, "{:?}", kept.age);

    earlier(&server, "plain:plain:1", at::FILLED, 3_600_000);
    let cache = on(&server).await;
    for source in [Source::Redis, Source::Near] {
        let read = with_cache(cache.clone(), traced(plain(bodies, 1))).await;
        assert_eq!(told(&read), (1, source, false));
        let ages = HOUR..HOUR + HOUR / 2;
        assert!(ages.contains(&read.age), "{source:?}: {:?}", read.age);
    }

    // By the clock of a server that was set back.
    earlier(&server, "plain:plain:1", at::FILLED, -2 * 3_600_000);
    let read = with_cache(on(&server).await, traced(plain(bodies, 1))).await;
    assert_eq!(
        (told(&read), read.age),
        ((1, Source::Redis, false), Duration::ZERO)
    );
}

#[tokio::test]
async fn while_redis_is_away_it_comes_from_the_process() {
    let server = RedisServer::start();
    let cache = on(&server).await;
    server.kill();
    let bodies = &Bodies::default();
    with_cache(cache.clone(), async {
        let away = async || {
            cache.exists("anything").await.unwrap();
            cache.mode() == Mode::Fallback
        };
        wait_until_async(away, "it is known to be away").await;
        assert_eq!(
            told(&traced(plain(bodies, 1)).await),
            (1, Source::Load, false)
        );
        assert_eq!(
            told(&traced(plain(bodies, 1)).await),
            (1, Source::Near, false)
        );

        // What is in the process does not keep it from finding Redis again.
        server.restart();
        let back = async || {
            traced(plain(bodies, 1)).await;
            cache.mode() == Mode::Redis
        };
        wait_until_async(back, "redis is found again").await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_expired_value_that_is_returned_for_a_failed_body_is_stale() {
    let bodies = &Bodies::default();
    with_cache(in_process().await, async {
        or_stale(bodies, 1, false).await.unwrap();
        advance(15 * SECOND).await;

        let stale = traced(or_stale(bodies, 1, true)).await;
        assert_eq!((&stale.value, stale.source), (&Ok(1), Source::Stale));
        assert_eq!((stale.age, stale.coalesced), (15 * SECOND, false));

        let loaded = traced(or_stale(bodies, 1, false)).await;
        assert_eq!((&loaded.value, loaded.source), (&Ok(2), Source::Load));
        assert_eq!(loaded.age, Duration::ZERO);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_error_is_of_a_load_also_where_something_too_old_was_found_after_it() {
    let bodies = &Bodies::default();
    with_cache(in_process().await, async {
        let failed = traced(or_stale(bodies, 1, true)).await;
        assert_eq!((failed.value.is_err(), failed.source), (true, Source::Load));

        both(bodies, 1, false).await.unwrap();
        advance(60 * SECOND).await;
        let failed = traced(both(bodies, 1, true)).await;
        assert_eq!((failed.value.is_err(), failed.source), (true, Source::Load));
        assert_eq!(failed.age, Duration::ZERO);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_expired_value_that_is_returned_while_it_is_loaded_is_stale() {
    let bodies = Arc::new(Bodies::default());
    with_cache(in_process().await, async {
        behind(Arc::clone(&bodies), 1).await;
        advance(15 * SECOND).await;

        let stale = traced(behind(Arc::clone(&bodies), 1)).await;
        assert_eq!(
            (told(&stale), stale.age),
            ((1, Source::Stale, false), 15 * SECOND)
        );

        wait_until_async(async || bodies.count() == 2, "it is loaded behind").await;
        let fresh = async || traced(behind(Arc::clone(&bodies), 1)).await.value == 2;
        wait_until_async(fresh, "it is there").await;
        assert_eq!(
            traced(behind(Arc::clone(&bodies), 1)).await.source,
            Source::Near
        );
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_expired_value_that_is_returned_because_the_load_takes_too_long_is_stale() {
    let (bodies, gate) = (Arc::new(Bodies::default()), Arc::new(Semaphore::new(1)));
    let call = || patient(Arc::clone(&bodies), Arc::clone(&gate), 1);
    with_cache(in_process().await, async {
        assert_eq!(told(&traced(call()).await), (1, Source::Load, false));
        advance(15 * SECOND).await;

        let stale = traced(call()).await;
        assert_eq!(told(&stale), (1, Source::Stale, false));
        assert!(
            (15 * SECOND..30 * SECOND).contains(&stale.age),
            "{:?}",
            stale.age
        );

        // Within its time it is waited for.
        gate.add_permits(1);
        let fresh = async || call().await == 2;
        wait_until_async(fresh, "the load that was not waited for").await;
        advance(15 * SECOND).await;
        gate.add_permits(1);
        assert_eq!(told(&traced(call()).await), (3, Source::Load, false));
    })
    .await;
}

#[tokio::test]
async fn who_waits_for_the_load_of_another_call_is_told_so() {
    let server = RedisServer::start();
    for cache in [in_process().await, on(&server).await] {
        let (bodies, gate) = (&Bodies::default(), &Semaphore::new(0));
        with_cache(cache.clone(), async {
            let led = traced(gated(bodies, gate, 1));
            let followed = async {
                wait_until_async(async || bodies.count() == 1, "the body runs").await;
                let opened = async {
                    answered(&cache, 1).await;
                    gate.add_permits(1);
                };
                tokio::join!(traced(gated(bodies, gate, 1)), opened).0
            };
            let (led, followed) = tokio::join!(led, followed);
            assert_eq!(told(&led), (1, Source::Load, false));
            assert_eq!(told(&followed), (1, Source::Load, true));
            assert_eq!(followed.age, Duration::ZERO);
        })
        .await;
    }
}

#[tokio::test]
async fn who_waits_for_the_load_of_another_process_is_told_so() {
    let server = RedisServer::start();
    let (theirs, ours) = (on(&server).await, on(&server).await);
    let (bodies, gate) = (&Bodies::default(), &Semaphore::new(0));
    let led = with_cache(theirs, traced(fleet(bodies, gate, 1)));
    let waited = async {
        wait_until_async(async || bodies.count() == 1, "the body runs").await;
        let opened = async {
            // To its look-up, to the creation of what is missing, and to the request for the lease.
            answered(&ours, 8).await;
            gate.add_permits(1);
        };
        let call = with_cache(ours.clone(), traced(fleet(bodies, gate, 1)));
        tokio::join!(call, opened).0
    };
    let (led, waited) = tokio::join!(led, waited);
    assert_eq!(told(&led), (1, Source::Load, false));
    assert_eq!(told(&waited), (1, Source::Redis, true));
    assert_eq!(bodies.count(), 1);
}

#[tokio::test]
async fn what_is_told_is_of_the_call_itself_and_not_of_those_inside_its_body() {
    let bodies = &Bodies::default();
    with_cache(in_process().await, async {
        plain(bodies, 1).await;
        assert_eq!(
            told(&traced(outer(bodies, 1)).await),
            (101, Source::Load, false)
        );
        assert_eq!(
            told(&traced(outer(bodies, 1)).await),
            (101, Source::Near, false)
        );
        let within = traced(async { outer(bodies, 1).await + plain(bodies, 2).await }).await;
        assert_eq!(told(&within), (103, Source::Near, false));
    })
    .await;
}

#[tokio::test]
async fn where_nothing_is_cached_it_is_a_load() {
    let (log, _guard) = Log::of_this_thread();
    let bodies = &Bodies::default();
    let disabled = Cache::builder().enabled(false).open().await.unwrap();
    for number in 1..=2 {
        let call = with_cache(disabled.clone(), traced(plain(bodies, 1))).await;
        assert_eq!(told(&call), (number, Source::Load, false));
    }
    let call = with_cache(in_process().await, bypass(traced(plain(bodies, 1)))).await;
    assert_eq!(told(&call), (3, Source::Load, false));
    assert!(!log.mentions("reaches no cached function"));

    let none = traced(async { bodies.run() }).await;
    assert_eq!(told(&none), (4, Source::Load, false));
    log.only(tracing::Level::ERROR, "reaches no cached function");
}

#[tokio::test]
async fn it_counts_as_any_other_call_does() {
    let server = RedisServer::start();
    for cache in [in_process().await, on(&server).await] {
        let bodies = &Bodies::default();
        let count = |stats: cache_runtime::Stats| {
            let hits = (stats.hits, stats.near_hits, stats.misses, stats.loads);
            (hits, stats.coalesced, stats.errors)
        };
        let calls = async {
            plain(bodies, 1).await;
            plain(bodies, 1).await;
        };
        with_cache(cache.clone(), calls).await;
        let ordinary = count(cache.stats());
        invalidate_all(&cache).await;

        let calls = async {
            traced(plain(bodies, 2)).await;
            traced(plain(bodies, 2)).await;
        };
        with_cache(cache.clone(), calls).await;

        let ((hits, near_hits, misses, loads), coalesced, errors) = ordinary;
        let twice = (2 * hits, 2 * near_hits, 2 * misses, 2 * loads);
        assert_eq!(count(cache.stats()), (twice, 2 * coalesced, 2 * errors));
    }
}

async fn invalidate_all(cache: &Cache) {
    assert!(
        cache
            .invalidate_prefix("plain")
            .await
            .unwrap()
            .is_confirmed()
    );
}

#[tokio::test]
async fn what_is_told_is_plain_data() {
    let bodies = &Bodies::default();
    let call = with_cache(in_process().await, traced(plain(bodies, 1))).await;

    let text = serde_json::to_string(&call.clone()).unwrap();
    let age = r#""age":{"secs":0,"nanos":0}"#;
    let expected = format!(r#"{{"value":1,"source":"load",{age},"coalesced":false}}"#);
    assert_eq!(text, expected);
    assert!(format!("{call:?}").contains("source: Load"));
}
