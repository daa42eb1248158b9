//! `sensitive(..)`: an argument is part of the key as a keyed hash, names the same entry everywhere, and never in clear.

mod support;

use std::time::Duration;

use cache_runtime::{Cache, CacheBuilder, cache_invalidate, cached, with_cache};
use proptest::prelude::*;
use serde::{Serialize, Serializer};
use support::{Bodies, Log, RedisServer};
use tracing::Level;

const KEY: &[u8] = b"a key of the fleet, 32 bytes long";

/// Stands in no key, log line or error.
const TOKEN: &str = "tok-5f2b";

#[derive(Serialize)]
struct User<'a> {
    id: u64,
    email: &'a str,
}

#[cached(ttl = 300, prefix = "session", skip(bodies), sensitive(token))]
async fn session(bodies: &Bodies, token: &str, page: u64) -> u64 {
    bodies.run()
}

#[cached(
    ttl = 300,
    prefix = "profile",
    key = "{token}:{user.email}:{user.id}",
    tags = ["mail:{user.email}", "all"],
    sensitive(token, user)
)]
async fn profile(bodies: &Bodies, token: &str, user: &User<'_>) -> u64 {
    bodies.run()
}

#[cache_invalidate(
    prefix = "profile",
    key = "{token}:{mail}:{id}",
    sensitive(token, mail, id)
)]
async fn forget_profile(token: String, mail: String, id: u8) {
    drop((token, mail));
}

#[cache_invalidate(tags = "mail:{mail}", sensitive(mail))]
async fn forget_mail(mail: &str) {}

/// Under the same key as `short`, but the tag is in clear.
#[cached(ttl = 300, prefix = "short", key = "{id}", tags = "mail:{mail}")]
async fn in_clear(bodies: &Bodies, id: u64, mail: &str) -> u64 {
    bodies.run()
}

#[cached(
    ttl = 300,
    prefix = "short",
    key = "{id}",
    tags = "mail:{mail}",
    sensitive(mail)
)]
async fn short(bodies: &Bodies, id: u64, mail: &str) -> u64 {
    bodies.run()
}

#[cached(ttl = 300, prefix = "two", skip(bodies), sensitive(one, other))]
async fn two(bodies: &Bodies, one: &str, other: &str) -> u64 {
    bodies.run()
}

#[cached(
    ttl = 300,
    prefix = "pair",
    key = "{one}:{other}",
    sensitive(one, other)
)]
async fn pair(bodies: &Bodies, one: &Option<String>, other: &Vec<String>) -> u64 {
    bodies.run()
}

/// Its `Serialize` fails, and quotes the value.
struct Talkative;

impl Serialize for Talkative {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom(format_args!("{TOKEN} is odd")))
    }
}

#[cached(ttl = 300, prefix = "talkative", skip(bodies), sensitive(token))]
async fn talkative(bodies: &Bodies, token: &Talkative) -> u64 {
    bodies.run()
}

fn on(server: &RedisServer) -> CacheBuilder {
    let builder = Cache::builder().redis_url(server.url());
    let builder = builder.connect_timeout(Duration::from_secs(5));
    builder.response_timeout(Duration::from_secs(5))
}

fn user() -> User<'static> {
    User {
        id: 7,
        email: "ada@example.org",
    }
}

#[tokio::test]
async fn a_sensitive_argument_is_part_of_the_key_and_not_in_clear() {
    let server = RedisServer::start();
    let bodies = Bodies::default();
    for builder in [Cache::builder(), on(&server).hash_key(KEY)] {
        let cache = builder.open().await.unwrap();
        with_cache(cache, async {
            let first = session(&bodies, TOKEN, 1).await;
            assert_eq!(session(&bodies, TOKEN, 1).await, first);
            assert_ne!(session(&bodies, TOKEN, 2).await, first);
            assert_ne!(session(&bodies, "another", 1).await, first);
            profile(&bodies, TOKEN, &user()).await;
        })
        .await;
    }

    let keys = server.keys("*");
    assert_eq!(server.keys("session:session:##*:1").len(), 2, "{keys:?}");
    assert_eq!(server.keys("profile:##*:##*:##*").len(), 1, "{keys:?}");
    assert_eq!(server.keys("gen@tag@mail:##*").len(), 1, "{keys:?}");
    for secret in [TOKEN, "ada", "example"] {
        assert!(!keys.iter().any(|key| key.contains(secret)), "{keys:?}");
        // Unkeyed it could be found by trying.
        let guess = blake3_hex(secret);
        assert!(!keys.iter().any(|key| key.contains(&guess)), "{keys:?}");
    }
}

fn blake3_hex(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().to_string()
}

#[tokio::test]
async fn processes_with_one_hash_key_share_entries_and_invalidations() {
    let server = RedisServer::start();
    let bodies = Bodies::default();
    let one = on(&server).hash_key(KEY).near(false).open().await.unwrap();
    let other = on(&server).hash_key(KEY).near(false).open().await.unwrap();

    let first = with_cache(one.clone(), profile(&bodies, TOKEN, &user())).await;
    let read = with_cache(other.clone(), profile(&bodies, TOKEN, &user())).await;
    assert_eq!(read, first);

    // Arguments of other names and types, one written by its own, one by a field: the same entry.
    let forget = forget_profile(TOKEN.to_owned(), "ada@example.org".to_owned(), 7);
    with_cache(other.clone(), forget).await;
    let second = with_cache(one.clone(), profile(&bodies, TOKEN, &user())).await;
    assert_ne!(second, first);

    with_cache(other, forget_mail("ada@example.org")).await;
    let third = with_cache(one.clone(), profile(&bodies, TOKEN, &user())).await;
    assert_ne!(third, second);

    with_cache(one.clone(), forget_mail("eve@example.org")).await;
    assert_eq!(
        with_cache(one, profile(&bodies, TOKEN, &user())).await,
        third
    );
}

#[tokio::test]
async fn a_tag_in_clear_and_the_same_one_hashed_are_two() {
    let server = RedisServer::start();
    let bodies = Bodies::default();
    for builder in [Cache::builder(), on(&server).hash_key(KEY)] {
        let cache = builder.open().await.unwrap();
        with_cache(cache, async {
            let first = in_clear(&bodies, 1, "ada").await;
            let hashed = short(&bodies, 1, "ada").await;
            assert_ne!(
                hashed, first,
                "an invalidation by the hashed tag would miss it"
            );

            forget_mail("ada").await;
            assert_ne!(short(&bodies, 1, "ada").await, hashed);
        })
        .await;
    }
}

#[tokio::test]
async fn without_a_hash_key_that_others_have_nothing_is_cached_and_one_line_says_so() {
    let (log, _guard) = Log::of_this_thread();
    let server = RedisServer::start();
    let bodies = Bodies::default();
    let cache = on(&server).open().await.unwrap();

    with_cache(cache, async {
        for run in 1..=3 {
            assert_eq!(session(&bodies, TOKEN, 1).await, run);
        }
        assert_eq!(profile(&bodies, TOKEN, &user()).await, 4);
        assert_eq!(
            short(&bodies, 1, "ada").await,
            5,
            "an entry without its tag"
        );
        assert_eq!(short(&bodies, 1, "ada").await, 6);
    })
    .await;

    // By whom the data was served is all there is.
    assert_eq!(server.keys("*"), ["run@"]);
    let said = log.only(Level::WARN, "sensitive arguments need a key");
    assert!(said.contains("CACHE_HASH_KEY"), "{said}");
    assert_eq!(log.at(Level::WARN).len(), 1, "{:#?}", log.events());
    assert!(!log.mentions(TOKEN), "{:#?}", log.events());
}

#[tokio::test]
async fn an_invalidation_without_a_hash_key_reaches_more_and_never_less() {
    let (log, _guard) = Log::of_this_thread();
    let server = RedisServer::start();
    let bodies = Bodies::default();
    let whole = on(&server).hash_key(KEY).near(false).open().await.unwrap();
    let without = on(&server).near(false).open().await.unwrap();

    let first = with_cache(whole.clone(), profile(&bodies, TOKEN, &user())).await;
    let forget = forget_profile(TOKEN.to_owned(), "ada@example.org".to_owned(), 7);
    with_cache(without.clone(), forget).await;
    let second = with_cache(whole.clone(), profile(&bodies, TOKEN, &user())).await;
    assert_ne!(second, first);

    with_cache(without, forget_mail("ada@example.org")).await;
    assert_ne!(
        with_cache(whole, profile(&bodies, TOKEN, &user())).await,
        second
    );
    assert_eq!(log.at(Level::WARN).len(), 1, "{:#?}", log.events());
}

#[tokio::test]
async fn a_sensitive_argument_that_cannot_be_written_is_not_quoted() {
    let (log, _guard) = Log::of_this_thread();
    let bodies = Bodies::default();
    let cache = Cache::builder().open().await.unwrap();

    assert_eq!(
        with_cache(cache.clone(), talkative(&bodies, &Talkative)).await,
        1
    );
    assert_eq!(with_cache(cache, talkative(&bodies, &Talkative)).await, 2);

    log.at(Level::WARN)
        .iter()
        .for_each(|line| assert!(line.contains("a sensitive argument cannot be written")));
    assert_eq!(log.at(Level::WARN).len(), 2);
    assert!(!log.mentions(TOKEN), "{:#?}", log.events());
}

#[tokio::test]
async fn caches_without_redis_need_no_hash_key_and_may_have_one() {
    let bodies = Bodies::default();
    let (one, other) = (Cache::builder(), Cache::builder().hash_key(KEY));
    for builder in [one, other] {
        let cache = builder.open().await.unwrap();
        with_cache(cache, async {
            let first = profile(&bodies, TOKEN, &user()).await;
            assert_eq!(profile(&bodies, TOKEN, &user()).await, first);
            forget_profile(TOKEN.to_owned(), "ada@example.org".to_owned(), 7).await;
            assert_ne!(profile(&bodies, TOKEN, &user()).await, first);
        })
        .await;
    }
}

#[tokio::test]
async fn a_hash_key_that_can_be_guessed_is_refused() {
    let error = Cache::builder().hash_key("fifteen bytes ..").open().await;
    assert!(error.is_ok(), "sixteen are enough");

    let error = Cache::builder().hash_key("fifteen bytes .").open().await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("`hash_key`"), "{error}");
    assert!(!error.contains("fifteen"), "{error}");
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

proptest! {
    /// P5 holds for what is hashed as for what is not.
    #[test]
    fn sensitive_arguments_that_differ_share_no_entry(
        a in "[-ab:#%'~]{0,3}", b in "[-ab:#%'~]{0,3}", c in "[-ab:#%'~]{0,3}", d in "[-ab:#%'~]{0,3}",
    ) {
        let bodies = Bodies::default();
        runtime().block_on(async {
            let cache = Cache::builder().open().await.unwrap();
            with_cache(cache, async {
                let first = two(&bodies, &a, &b).await;
                let second = two(&bodies, &c, &d).await;
                prop_assert_eq!(first == second, (&a, &b) == (&c, &d));

                let first = pair(&bodies, &Some(a.clone()), &vec![b.clone()]).await;
                let second = pair(&bodies, &Some(c.clone()), &vec![d.clone()]).await;
                prop_assert_eq!(first == second, (&a, &b) == (&c, &d));
                prop_assert_ne!(pair(&bodies, &None, &vec![b.clone()]).await, first);
                prop_assert_ne!(pair(&bodies, &Some(a.clone()), &vec![]).await, first);
                Ok(())
            })
            .await
        })?;
    }
}
