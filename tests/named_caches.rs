//! Further caches by name: a function and who invalidates for it always mean the same one.

mod support;

use cache_runtime::{
    Cache, CacheBuilder, ErrorKind, cache_invalidate, cached, install, with_cache,
};
use support::{Bodies, Log, RedisServer};
use tracing::Level;

async fn named(name: &str) -> Cache {
    opened(Cache::builder().name(name)).await
}

async fn opened(builder: CacheBuilder) -> Cache {
    builder.open().await.expect("the cache opens")
}

#[cached(ttl = 300, prefix = "page", skip(bodies))]
async fn in_default(bodies: &Bodies) -> u64 {
    bodies.run()
}

#[cached(ttl = 300, prefix = "page", skip(bodies), cache = "tenant")]
async fn in_tenant(bodies: &Bodies) -> u64 {
    bodies.run()
}

#[cached(ttl = 300, prefix = "page", skip(bodies), cache = "other")]
async fn in_other(bodies: &Bodies) -> u64 {
    bodies.run()
}

#[cache_invalidate(prefix = "page")]
async fn change_default() {}

#[cache_invalidate(prefix = "page", cache = "tenant")]
async fn change_tenant() {}

mod installed {
    use super::*;

    #[cached(ttl = 300, prefix = "session", skip(bodies), cache = "sessions")]
    async fn session(bodies: &Bodies) -> u64 {
        bodies.run()
    }

    #[cached(ttl = 300, prefix = "session", skip(bodies))]
    async fn elsewhere(bodies: &Bodies) -> u64 {
        bodies.run()
    }

    #[cache_invalidate(prefix = "session", cache = "sessions")]
    async fn log_out() {}

    #[cache_invalidate(prefix = "session")]
    async fn change_elsewhere() {}

    #[tokio::test]
    async fn a_function_and_an_invalidation_use_the_cache_that_they_name() {
        let sessions = named("sessions").await;
        install(sessions.clone()).expect("the name is free");
        let (here, there) = (Bodies::default(), Bodies::default());

        with_cache(opened(Cache::builder()).await, async {
            assert_eq!([session(&here).await, session(&here).await], [1, 1]);
            assert_eq!(elsewhere(&there).await, 1);
            change_elsewhere().await;
            assert_eq!([session(&here).await, elsewhere(&there).await], [1, 2]);
            log_out().await;
            assert_eq!([session(&here).await, elsewhere(&there).await], [2, 2]);
        })
        .await;

        assert_eq!(sessions.stats().loads, 2);
        let found = Cache::named("sessions").expect("it is installed");
        assert_eq!(found.stats().loads, 2);

        let again = install(named("sessions").await).expect_err("a name is taken once");
        assert_eq!(again.kind(), ErrorKind::Installed);
        assert!(again.to_string().contains("`sessions`"), "{again}");
    }
}

mod missing {
    use super::*;

    #[cached(ttl = 300, prefix = "report", skip(bodies), cache = "reports")]
    async fn report(bodies: &Bodies) -> u64 {
        bodies.run()
    }

    #[cache_invalidate(prefix = "report", cache = "reports")]
    async fn change_reports() {}

    #[tokio::test]
    async fn without_its_cache_a_function_runs_uncached_for_good_and_says_so_once() {
        let log = Log::of_this_process();
        let bodies = Bodies::default();

        assert_eq!([report(&bodies).await, report(&bodies).await], [1, 2]);
        change_reports().await;

        let line = log.only(Level::WARN, "name=reports");
        assert!(line.contains("`install`"), "{line}");
        // Whoever is changing something at this moment has no cache to invalidate in, so nobody gets one any more.
        let late = install(named("reports").await).expect_err("it comes too late");
        assert_eq!(late.kind(), ErrorKind::Installed);
        assert!(late.to_string().contains("`reports`"), "{late}");
        assert_eq!(report(&bodies).await, 3);
        assert!(Cache::named("reports").is_none());
    }
}

mod asked_for_first {
    use super::*;

    #[cache_invalidate(prefix = "draft", cache = "drafts")]
    async fn change_drafts() {}

    #[tokio::test]
    async fn to_look_for_a_cache_by_hand_settles_nothing_but_an_invalidation_does() {
        assert!(Cache::named("drafts").is_none());
        assert!(Cache::named("letters").is_none());
        install(named("letters").await).expect("nothing has used the name");

        change_drafts().await;

        assert!(install(named("drafts").await).is_err());
        assert!(Cache::named("letters").is_some());
    }
}

#[cached(ttl = 300, prefix = "menu", skip(bodies))]
async fn menu(bodies: &Bodies, day: u64) -> u64 {
    bodies.run()
}

#[tokio::test]
async fn inside_of_another_cache_the_default_one_does_not_answer_although_it_has_the_value() {
    let bodies = Bodies::default();
    // Found the shortest way, as long as nobody has used another.
    let first = menu(&bodies, 1).await;
    assert_eq!(menu(&bodies, 1).await, first);
    let other = opened(Cache::builder()).await;
    let inside = with_cache(other.clone(), menu(&bodies, 1)).await;
    assert_ne!(inside, first);
    assert_eq!(with_cache(other, menu(&bodies, 1)).await, inside);
    assert_eq!(menu(&bodies, 1).await, first);
}

#[tokio::test]
async fn a_cache_given_for_a_future_stands_in_for_the_default_and_for_its_own_name() {
    let (given, default) = (named("tenant").await, opened(Cache::builder()).await);
    let bodies = Bodies::default();

    with_cache(given.clone(), async {
        assert_eq!([in_tenant(&bodies).await, in_tenant(&bodies).await], [1, 1]);
        // Of its own name only.
        assert_eq!([in_other(&bodies).await, in_other(&bodies).await], [2, 3]);
        assert_eq!(
            [in_default(&bodies).await, in_default(&bodies).await],
            [4, 4]
        );

        with_cache(default.clone(), async {
            // One without a name stands in for the default alone.
            assert_eq!(
                [in_default(&bodies).await, in_default(&bodies).await],
                [5, 5]
            );
            assert_eq!(in_tenant(&bodies).await, 1);
            change_default().await;
            assert_eq!(
                [in_tenant(&bodies).await, in_default(&bodies).await],
                [1, 6]
            );
            change_tenant().await;
            assert_eq!(
                [in_tenant(&bodies).await, in_default(&bodies).await],
                [7, 6]
            );
            assert!(Cache::named("tenant").is_some());
        })
        .await;
    })
    .await;

    assert_eq!(default.stats().loads, 2);
    assert_eq!(given.stats().loads, 3);
    assert!(Cache::named("tenant").is_none());
}

mod acting {
    use super::*;
    use cache_runtime::{bypass, invalidate, key_of, peek};

    #[cached(ttl = 300, prefix = "note", skip(bodies), cache = "notes")]
    async fn nowhere(bodies: &Bodies) -> u64 {
        bodies.run()
    }

    #[cache_invalidate(entry = in_tenant(bodies), cache = "notes")]
    async fn change_the_page(bodies: &Bodies) {}

    #[tokio::test]
    async fn a_call_names_its_entry_in_the_cache_of_its_function() {
        let bodies = Bodies::default();
        let tenant = opened(Cache::builder().name("tenant").key_prefix("t")).await;
        let default = opened(Cache::builder().key_prefix("d")).await;
        with_cache(tenant.clone(), async {
            with_cache(default.clone(), async {
                assert_eq!(
                    [in_tenant(&bodies).await, in_default(&bodies).await],
                    [1, 2]
                );
                let key = key_of(in_tenant(&bodies)).expect("it is cached");
                assert_eq!(key, "page:in_tenant");
                assert!(tenant.exists(&key).await.expect("it is a key"));
                invalidate(in_tenant(&bodies)).await.expect("it is cached");
                assert_eq!(peek(in_tenant(&bodies)).await, None);
                assert_eq!(peek(in_default(&bodies)).await, Some(2));

                // Whatever the cache of the one who says so.
                assert_eq!(in_tenant(&bodies).await, 3);
                change_the_page(&bodies).await;
                assert_eq!(peek(in_tenant(&bodies)).await, None);
            })
            .await;
        })
        .await;
    }

    #[tokio::test]
    async fn without_its_cache_a_call_names_no_entry_and_the_error_says_why() {
        let bodies = Bodies::default();
        let none = key_of(nowhere(&bodies)).expect_err("there is no cache");
        assert_eq!(none.kind(), ErrorKind::NotCached);
        assert!(none.to_string().contains("`notes`"), "{none}");
        assert_eq!(peek(nowhere(&bodies)).await, None);
        assert_eq!(bodies.count(), 0);
    }

    #[tokio::test]
    async fn to_bypass_the_caches_leaves_those_in_place_that_were_given_around_it() {
        let tenant = named("tenant").await;
        let bodies = Bodies::default();
        with_cache(tenant.clone(), async {
            assert_eq!(in_tenant(&bodies).await, 1);
            assert_eq!(bypass(in_tenant(&bodies)).await, 2);
            // An invalidation is one all the same, and finds the cache.
            bypass(change_tenant()).await;
            assert_eq!([in_tenant(&bodies).await, in_tenant(&bodies).await], [3, 3]);
            // So it is the other way round.
            bypass(with_cache(named("other").await, async {
                assert_eq!([in_tenant(&bodies).await, in_other(&bodies).await], [4, 5]);
                assert_eq!(in_other(&bodies).await, 6);
            }))
            .await;
        })
        .await;
        assert_eq!(tenant.stats().loads, 2);
    }
}

#[tokio::test]
async fn two_caches_on_one_redis_are_apart_where_their_key_prefixes_are() {
    let server = RedisServer::start();
    let cache = |name: &str, prefix: &str| {
        let url = server.url();
        opened(
            Cache::builder()
                .name(name)
                .redis_url(url)
                .key_prefix(prefix),
        )
    };
    let (tenant, other) = (cache("tenant", "a").await, cache("other", "b").await);
    let bodies = Bodies::default();

    let pages = async || [in_tenant(&bodies).await, in_other(&bodies).await];
    let counted = with_cache(
        tenant.clone(),
        with_cache(other.clone(), async {
            let first = pages().await;
            change_tenant().await;
            [first, pages().await]
        }),
    )
    .await;
    assert_eq!(counted, [[1, 2], [3, 2]]);

    // The name is no part of keys: under one prefix they are two handles to the same entries.
    let same = cache("same", "b").await;
    same.set("word", &7_u64, None).await.expect("it is stored");
    assert_eq!(other.get("word").await.ok().flatten(), Some(7_u64));
    assert_eq!(tenant.get::<u64>("word").await.ok().flatten(), None);
}

#[tokio::test]
async fn an_empty_name_is_refused() {
    let refused = Cache::builder().name("").open().await.expect_err("no name");
    assert_eq!(refused.kind(), ErrorKind::Config);
    assert!(refused.to_string().contains("`name`"), "{refused}");
}
