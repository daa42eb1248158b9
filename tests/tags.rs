//! Tags: an invalidation reaches every entry that has one, whatever its prefix and its function, and no other.

mod support;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_runtime::{Cache, ErrorKind, cache_invalidate, cached, with_cache};
use serde::{Serialize, Serializer};
use support::{Bodies, DEADLINE, Process, RedisServer, on, process, wait_until_async};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

#[cached(
    ttl = 300,
    prefix = "film",
    key = "{id}:meta",
    tags = ["genre:{genre}", "all"]
)]
async fn film(bodies: &Bodies, id: u64, genre: &str) -> u64 {
    bodies.run()
}

#[cached(ttl = 300, prefix = "charts", skip(bodies), tags = "genre:{genre}")]
async fn charts(bodies: &Bodies, genre: &str) -> String {
    format!("{genre} {}", bodies.run())
}

#[cached(ttl = 300, prefix = "pair", key = "{id}", tags = ["with:{one}", "with:{other}"])]
async fn pair(bodies: &Bodies, id: u64, one: &str, other: &str) -> u64 {
    bodies.run()
}

#[cached(ttl = 300, prefix = "film", key = "{id}:plain")]
async fn untagged(bodies: &Bodies, id: u64) -> u64 {
    bodies.run()
}

#[cache_invalidate(tags = "genre:{genre}")]
async fn change_genre(genre: &str) {}

#[cache_invalidate(tags = ["with:{one}", "with:{other}"])]
async fn change_both(one: &str, other: &str) {}

/// A cache whose every read asks Redis.
async fn asking(server: &RedisServer) -> Cache {
    let builder = Cache::builder().redis_url(server.url()).near(false);
    let builder = builder.response_timeout(Duration::from_secs(5));
    builder.open().await.unwrap()
}

/// The cache that reads and the one that invalidates: the same in process, the same on Redis with and without a tier in
/// process, two on Redis, and one under a key prefix.
async fn tiers(server: &RedisServer) -> Vec<(Cache, Cache)> {
    let in_process = Cache::builder().open().await.unwrap();
    let prefixed = Cache::builder().redis_url(server.url()).key_prefix("myapp");
    let prefixed = prefixed.response_timeout(Duration::from_secs(5));
    let prefixed = prefixed.open().await.unwrap();
    let (near, asking) = (on(server).await, asking(server).await);
    vec![
        (in_process.clone(), in_process),
        (near.clone(), near.clone()),
        (asking.clone(), asking.clone()),
        (asking, near),
        (prefixed.clone(), prefixed),
    ]
}

/// Entries with and without the tags; which are loaded again tells which were reached.
async fn read_all(cache: &Cache, bodies: &Bodies) -> Vec<&'static str> {
    let read = async {
        let mut loaded = Vec::new();
        let mut before = bodies.count();
        let mut note = |name| {
            if bodies.count() > before {
                loaded.push(name);
            }
            before = bodies.count();
        };
        film(bodies, 1, "scifi").await;
        note("film 1, scifi");
        film(bodies, 2, "scifi").await;
        note("film 2, scifi");
        film(bodies, 3, "drama").await;
        note("film 3, drama");
        charts(bodies, "scifi").await;
        note("charts, scifi");
        charts(bodies, "drama").await;
        note("charts, drama");
        pair(bodies, 1, "scifi", "drama").await;
        note("pair of both");
        untagged(bodies, 1).await;
        note("untagged");
        loaded
    };
    with_cache(cache.clone(), read).await
}

const SCIFI: [&str; 3] = ["film 1, scifi", "film 2, scifi", "charts, scifi"];
const ALL: [&str; 3] = ["film 1, scifi", "film 2, scifi", "film 3, drama"];

#[tokio::test]
async fn a_tag_reaches_every_entry_that_has_it_and_no_other() {
    let server = RedisServer::start();
    for (tier, (reader, writer)) in tiers(&server).await.into_iter().enumerate() {
        let bodies = Bodies::default();
        assert_eq!(read_all(&reader, &bodies).await.len(), 7, "tier {tier}");
        assert_eq!(read_all(&reader, &bodies).await, [""; 0], "tier {tier}");

        with_cache(writer.clone(), change_genre("scifi")).await;
        assert_eq!(read_all(&reader, &bodies).await, SCIFI, "tier {tier}");

        writer.invalidate_tag("genre:scifi").await.unwrap();
        assert_eq!(read_all(&reader, &bodies).await, SCIFI, "tier {tier}");

        writer.invalidate_tag("all").await.unwrap();
        assert_eq!(read_all(&reader, &bodies).await, ALL, "tier {tier}");

        // Tags are flat, and they are no prefixes.
        for other in ["genre", "genre:sci", "genre:scifi:x", "film", "nobody's"] {
            writer.invalidate_tag(other).await.unwrap();
        }
        writer.invalidate_prefix("genre").await.unwrap();
        assert_eq!(read_all(&reader, &bodies).await, [""; 0], "tier {tier}");
        reader.clear("*").await.unwrap();
    }
}

#[tokio::test]
async fn an_entry_with_several_tags_is_reached_by_each_of_them() {
    let server = RedisServer::start();
    for (tier, (reader, writer)) in tiers(&server).await.into_iter().enumerate() {
        let bodies = Bodies::default();
        let read = async |one, other| {
            let call = pair(&bodies, 7, one, other);
            with_cache(reader.clone(), call).await
        };
        assert_eq!(read("a", "b").await, 1);
        for (number, tag) in ["with:a", "with:b"].into_iter().enumerate() {
            writer.invalidate_tag(tag).await.unwrap();
            let due = u64::try_from(number).unwrap() + 2;
            assert_eq!(read("a", "b").await, due, "tier {tier}, {tag}");
            assert_eq!(read("a", "b").await, due, "tier {tier}, {tag}");
        }
        with_cache(writer.clone(), change_both("x", "b")).await;
        assert_eq!(read("a", "b").await, 4, "tier {tier}");
        reader.clear("*").await.unwrap();
    }
}

#[tokio::test]
async fn two_holes_with_the_same_text_are_one_tag() {
    let server = RedisServer::start();
    for (tier, (reader, writer)) in tiers(&server).await.into_iter().enumerate() {
        let bodies = Bodies::default();
        let read = async || with_cache(reader.clone(), pair(&bodies, 8, "same", "same")).await;
        assert_eq!((read().await, read().await), (1, 1), "tier {tier}");

        with_cache(writer.clone(), change_both("same", "same")).await;

        assert_eq!((read().await, read().await), (2, 2), "tier {tier}");
        reader.clear("*").await.unwrap();
    }
}

#[tokio::test]
async fn a_tag_may_be_long_and_two_long_ones_are_told_apart() {
    let server = RedisServer::start();
    let long = "x".repeat(1_000);
    for (tier, (reader, writer)) in tiers(&server).await.into_iter().enumerate() {
        let bodies = Bodies::default();
        let read = async || with_cache(reader.clone(), long_tag(&bodies)).await;
        assert_eq!((read().await, read().await), (1, 1), "tier {tier}");

        writer.invalidate_tag(&format!("{long}y")).await.unwrap();
        writer.invalidate_tag(&long[1..]).await.unwrap();
        assert_eq!(read().await, 1, "tier {tier}");
        writer.invalidate_tag(&long).await.unwrap();

        assert_eq!(read().await, 2, "tier {tier}");
        reader.clear("*").await.unwrap();
    }
    for name in server.keys("gen@*") {
        assert!(name.len() < 300, "{name}");
    }
}

#[rustfmt::skip]
#[cached(ttl = 300, prefix = "long", key = "tag", tags = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")]
async fn long_tag(bodies: &Bodies) -> u64 {
    bodies.run()
}

/// An argument that stands in a tag only, and has no text.
struct Unwritable;

impl Serialize for Unwritable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("it has no text"))
    }
}

#[cached(ttl = 300, prefix = "film", key = "{id}:odd", tags = ["all", "{odd}"])]
async fn oddly_tagged(bodies: &Bodies, id: u64, odd: &Unwritable) -> u64 {
    bodies.run()
}

#[cache_invalidate(tags = "{odd}")]
async fn change_odd(odd: &Unwritable) {}

#[tokio::test]
async fn an_argument_that_cannot_be_part_of_a_tag_runs_uncached_and_invalidates_everything() {
    let server = RedisServer::start();
    for (tier, (reader, writer)) in tiers(&server).await.into_iter().enumerate() {
        let bodies = Bodies::default();
        let odd = async || with_cache(reader.clone(), oddly_tagged(&bodies, 1, &Unwritable)).await;
        assert_eq!((odd().await, odd().await), (1, 2), "tier {tier}");
        assert!(!reader.exists("film:1:odd").await.unwrap());

        read_all(&reader, &bodies).await;
        with_cache(writer.clone(), change_odd(&Unwritable)).await;

        // Which entries were meant cannot be known, so all were.
        let loaded = read_all(&reader, &bodies).await;
        assert_eq!(loaded.len(), 7, "tier {tier}: {loaded:?}");
        reader.clear("*").await.unwrap();
    }
}

#[tokio::test]
async fn an_empty_tag_by_hand_is_an_error() {
    let cache = Cache::builder().open().await.unwrap();
    let error = cache.invalidate_tag("").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Key);
}

/// Played by a second process.
#[tokio::test]
async fn the_second_process() {
    let Some(part) = process::part() else { return };
    let builder = Cache::builder().redis_url(&part.server);
    let builder = builder.response_timeout(Duration::from_secs(5));
    let cache = builder.open().await.unwrap();
    match part.role.as_str() {
        "change scifi" => with_cache(cache, change_genre("scifi")).await,
        "invalidate scifi" => drop(cache.invalidate_tag("genre:scifi").await.unwrap()),
        other => panic!("no part is called {other}"),
    }
}

#[tokio::test]
async fn a_tag_reaches_the_entries_of_other_processes_and_so_does_its_generation_deleted_by_hand() {
    let server = RedisServer::start();
    let cache = asking(&server).await;
    let near = on(&server).await;
    let bodies = Bodies::default();
    read_all(&cache, &bodies).await;
    for role in ["change scifi", "invalidate scifi"] {
        assert_eq!(read_all(&near, &bodies).await, [""; 0]);
        Process::start("the_second_process", role, &server.url()).finish();

        assert_eq!(read_all(&cache, &bodies).await, SCIFI, "{role}");
    }

    assert_eq!(server.cli(&["DEL", "gen@tag@genre:scifi"]), "1");
    assert_eq!(read_all(&cache, &bodies).await, SCIFI);

    // The tier in process of another cache follows as soon as it is told.
    assert_eq!(read_all(&near, &bodies).await, [""; 0]);
    let before = bodies.count();
    assert_eq!(server.cli(&["DEL", "gen@tag@genre:scifi"]), "1");
    let follows = async || {
        read_all(&near, &bodies).await;
        bodies.count() == before + 3
    };
    wait_until_async(follows, "the tier in process follows").await;
}

#[tokio::test]
async fn a_key_prefix_keeps_the_tags_of_two_caches_apart() {
    let server = RedisServer::start();
    let prefixed = |prefix: &str| {
        let builder = Cache::builder().redis_url(server.url()).key_prefix(prefix);
        builder.response_timeout(Duration::from_secs(5)).open()
    };
    let (one, two) = (
        prefixed("one").await.unwrap(),
        prefixed("two").await.unwrap(),
    );
    let bodies = Bodies::default();
    read_all(&one, &bodies).await;
    read_all(&two, &bodies).await;

    one.invalidate_tag("genre:scifi").await.unwrap();

    assert_eq!(read_all(&two, &bodies).await, [""; 0]);
    assert_eq!(read_all(&one, &bodies).await, SCIFI);
    let names = server.keys("gen@tag@*");
    assert!(
        names.contains(&"gen@tag@one:genre:scifi".to_owned()),
        "{names:?}"
    );
    assert!(
        names.contains(&"gen@tag@two:genre:scifi".to_owned()),
        "{names:?}"
    );
}

#[tokio::test]
async fn an_entry_with_tags_ends_with_its_prefixes_as_well() {
    let server = RedisServer::start();
    for (tier, (reader, writer)) in tiers(&server).await.into_iter().enumerate() {
        let bodies = Bodies::default();
        let read = async || with_cache(reader.clone(), film(&bodies, 1, "scifi")).await;
        for (number, prefix) in ["film", "film:1", "film:1:meta"].into_iter().enumerate() {
            let before = read().await;
            writer.invalidate_prefix(prefix).await.unwrap();
            assert_eq!(read().await, before + 1, "tier {tier}, {prefix}, {number}");
        }
        let before = read().await;
        writer.invalidate_prefix("film:2").await.unwrap();
        writer.invalidate_prefix("charts").await.unwrap();
        assert_eq!(read().await, before, "tier {tier}");
        assert!(writer.delete("film:1:meta").await.unwrap(), "tier {tier}");
        assert_eq!(read().await, before + 1, "tier {tier}");
        reader.clear("*").await.unwrap();
    }
}

#[tokio::test]
async fn what_was_stored_by_hand_lacks_the_tags_of_a_function_and_is_a_miss_for_it() {
    let server = RedisServer::start();
    for (tier, (reader, writer)) in tiers(&server).await.into_iter().enumerate() {
        for looked in [false, true] {
            let bodies = Bodies::default();
            let case = format!("tier {tier}, looked at by hand: {looked}");
            let read = async || with_cache(reader.clone(), film(&bodies, 1, "scifi")).await;

            writer.set("film:1:meta", &100_u64, None).await.unwrap();
            if looked {
                let by_hand = reader.get("film:1:meta").await.unwrap();
                assert_eq!(by_hand, Some(100_u64), "{case}");
            }
            assert_eq!(read().await, 1, "{case}: no tag would reach it");
            writer.delete("film:1:meta").await.unwrap();

            let load = || async { Ok::<_, Infallible>(200_u64) };
            let stored = writer.get_or_set("film:1:meta", None, load).await;
            assert_eq!(stored, Ok(200), "{case}");
            if looked {
                let by_hand = reader.get("film:1:meta").await.unwrap();
                assert_eq!(by_hand, Some(200_u64), "{case}");
            }
            assert_eq!(read().await, 2, "{case}: no tag would reach it");
            reader.clear("*").await.unwrap();
        }
    }
}

#[tokio::test]
async fn reading_by_hand_respects_the_tags_of_an_entry() {
    let server = RedisServer::start();
    for (tier, (reader, writer)) in tiers(&server).await.into_iter().enumerate() {
        for tag in ["genre:scifi", "all"] {
            let bodies = Bodies::default();
            with_cache(writer.clone(), film(&bodies, 1, "scifi")).await;
            let seen = async || {
                let one = reader.get::<u64>("film:1:meta").await.unwrap();
                let many = reader.get_many::<u64>(["film:1:meta", "film:2:meta"]);
                let stands = reader.exists("film:1:meta").await.unwrap();
                (one, many.await.unwrap(), stands)
            };
            assert_eq!(
                seen().await,
                (Some(1), vec![Some(1), None], true),
                "tier {tier}"
            );

            writer.invalidate_tag(tag).await.unwrap();

            assert_eq!(
                seen().await,
                (None, vec![None, None], false),
                "tier {tier}, {tag}"
            );
            with_cache(writer.clone(), film(&bodies, 1, "scifi")).await;
            assert_eq!(seen().await.0, Some(2), "tier {tier}, {tag}");
            reader.clear("*").await.unwrap();
        }
    }
}

/// A load that has read version 0 and is held.
struct Held {
    load: JoinHandle<u64>,
    open: Arc<Semaphore>,
}

#[cached(ttl = 300, prefix = "film", key = "{id}:meta", tags = ["genre:scifi", "all"])]
async fn film_slowly(version: &AtomicU64, id: u64, reached: &Semaphore, open: &Semaphore) -> u64 {
    let version = version.load(Ordering::SeqCst);
    reached.add_permits(1);
    open.acquire().await.unwrap().forget();
    version
}

async fn hold_a_load(cache: &Cache, version: &Arc<AtomicU64>) -> Held {
    let (reached, open) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let load = tokio::spawn(with_cache(cache.clone(), {
        let (version, reached, open) = (version.clone(), reached.clone(), open.clone());
        async move { film_slowly(&version, 1, &reached, &open).await }
    }));
    reached.acquire().await.unwrap().forget();
    Held { load, open }
}

#[tokio::test]
async fn a_load_that_a_tag_overtakes_is_neither_adopted_nor_left_behind() {
    let server = RedisServer::start();
    for (tier, (reader, writer)) in tiers(&server).await.into_iter().enumerate() {
        for way in [
            "attribute",
            "by hand",
            "second process",
            "its generation deleted",
        ] {
            let case = format!("tier {tier}, {way}");
            let version = Arc::new(AtomicU64::new(0));
            let held = hold_a_load(&reader, &version).await;

            version.store(1, Ordering::SeqCst);
            match way {
                "attribute" => with_cache(writer.clone(), change_genre("scifi")).await,
                "by hand" => drop(writer.invalidate_tag("all").await.unwrap()),
                // In process, and under a key prefix, they would not reach this cache.
                _ if tier == 0 || tier == 4 => drop(writer.invalidate_tag("all").await.unwrap()),
                "second process" => {
                    Process::start("the_second_process", "change scifi", &server.url()).finish();
                }
                _ => assert_eq!(server.cli(&["DEL", "gen@tag@all"]), "1", "{case}"),
            }

            let open = Semaphore::new(100);
            let fresh = film_slowly(&version, 1, &open, &open);
            let fresh = tokio::time::timeout(DEADLINE, with_cache(reader.clone(), fresh)).await;
            let fresh = fresh.unwrap_or_else(|_| panic!("{case}: it followed the old load"));
            assert_eq!(fresh, 1, "{case}: it adopted the old load");
            held.open.add_permits(1);
            assert_eq!(held.load.await.unwrap(), 0, "{case}");
            for cache in [&reader, &writer] {
                let after = film_slowly(&version, 1, &open, &open);
                let after = with_cache(cache.clone(), after).await;
                assert_eq!(after, 1, "{case}: the old value was left behind");
            }
            reader.clear("*").await.unwrap();
        }
    }
}

#[cached(ttl = 3, prefix = "brief", key = "{number}", tags = ["brief:{number}"])]
async fn brief(number: u64) -> u64 {
    number
}

/// Longer than the shortest life of a generation.
#[cached(ttl = 604_800, prefix = "lasting", key = "{number}", tags = ["lasting:{number}"])]
async fn lasting(number: u64) -> u64 {
    number
}

#[tokio::test]
async fn generations_do_not_pile_up_and_none_ends_before_what_it_guards() {
    let server = RedisServer::start();
    let cache = asking(&server).await;
    for number in 0..100 {
        with_cache(cache.clone(), async {
            brief(number).await;
            lasting(number).await;
        })
        .await;
        let by_hand = format!("by:hand:{number}");
        let year = Duration::from_secs(365 * 86_400);
        cache.set(&by_hand, &number, year).await.unwrap();
        let tag = format!("brief:{number}");
        cache.invalidate_tag(&tag).await.unwrap();
    }

    let left = |name: &str| server.cli(&["PTTL", name]).parse::<i64>().unwrap();
    let generations = server.keys("gen@*");
    // The tags of the brief ones are gone at once; what is left are those of the lasting, and the levels.
    assert_eq!(
        generations.len(),
        100 + "gen@ brief lasting by by:hand".split(' ').count()
    );
    for name in &generations {
        assert!(left(name) > 0, "{name} has no end");
    }
    for number in 0..100 {
        let guards = ["gen@", "gen@lasting", &format!("gen@tag@lasting:{number}")];
        for guard in guards {
            let (entry, guard) = (left(&format!("lasting:{number}")), (guard, left(guard)));
            assert!(entry > 0 && guard.1 >= entry, "{guard:?} before {entry}");
        }
        for guard in ["gen@", "gen@by", "gen@by:hand"] {
            let (entry, guard) = (left(&format!("by:hand:{number}")), (guard, left(guard)));
            assert!(entry > 0 && guard.1 >= entry, "{guard:?} before {entry}");
        }
    }
}
