//! Compression: what is large is stored in fewer bytes, and whatever stands in Redis is read or is a miss.

mod support;

use std::sync::Arc;
use std::time::Duration;

use cache_runtime::{Cache, CacheBuilder, Codec, cached, with_cache};
use serde::{Deserialize, Serialize};
use support::envelope::{at, entry, holding, payload, replace, with_checksum};
use support::{Log, RedisServer};
use tracing::Level;

const KEY: [u8; 32] = *b"a key of 32 bytes for the fleet.";

const CODECS: [Codec; 3] = [Codec::Bincode, Codec::Postcard, Codec::Json];

/// What the text of an article comes to.
const LONG: usize = 20_000;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Article {
    number: u64,
    text: String,
}

fn article(number: u64) -> Article {
    Article {
        number,
        text: "the same words again and again, ".repeat(LONG / 32),
    }
}

/// Of which nothing repeats itself.
fn noise(number: u64) -> Article {
    let mut hash = blake3::Hasher::new();
    hash.update(&number.to_le_bytes());
    let mut bytes = vec![0; LONG];
    hash.finalize_xof().fill(&mut bytes);
    Article {
        number,
        // Of all printable characters, so that each codec writes what no compression shortens.
        text: bytes
            .iter()
            .map(|byte| char::from(b' ' + byte % 95))
            .collect(),
    }
}

#[cached(ttl = 300, prefix = "as_the_cache")]
async fn as_the_cache(number: u64) -> Article {
    article(number)
}

#[cached(ttl = 300, prefix = "always", compress = true)]
async fn always(number: u64) -> Result<Article, String> {
    Ok(article(number))
}

#[cached(ttl = 300, prefix = "never", compress = false)]
async fn never(number: u64) -> Article {
    article(number)
}

#[cached(ttl = 300, prefix = "shared", compress = true)]
async fn shared(number: u64) -> Arc<Article> {
    Arc::new(article(number))
}

/// Every read of it asks Redis.
fn on(server: &RedisServer) -> CacheBuilder {
    let builder = Cache::builder().redis_url(server.url()).near(false);
    let builder = builder.connect_timeout(Duration::from_secs(5));
    builder.response_timeout(Duration::from_secs(5))
}

async fn compressing(server: &RedisServer) -> Cache {
    on(server).compression(true).open().await.unwrap()
}

/// Whether an entry says of itself that it is compressed.
fn is_compressed(entry: &[u8]) -> bool {
    entry[at::FLAGS] & 2 != 0
}

/// Stores a value in each way there is; answers the keys.
async fn store(cache: &Cache, value: impl Fn(u64) -> Article) -> [&'static str; 5] {
    with_cache(cache.clone(), as_the_cache(1)).await;
    cache.set("by:hand:2", &value(2), None).await.unwrap();
    let several = [("several:3", value(3)), ("several:4", value(4))];
    cache.set_many(&several, None).await.unwrap();
    let load = || async { Ok::<_, String>(value(5)) };
    cache.get_or_set("loaded:5", None, load).await.unwrap();
    [
        "as_the_cache:as_the_cache:1",
        "by:hand:2",
        "several:3",
        "several:4",
        "loaded:5",
    ]
}

#[tokio::test]
async fn a_large_value_stored_in_any_way_takes_few_bytes_and_is_read_back() {
    for codec in CODECS {
        let server = RedisServer::start();
        let cache = on(&server)
            .codec(codec)
            .compression(true)
            .open()
            .await
            .unwrap();
        let keys = store(&cache, article).await;

        for (key, number) in keys.into_iter().zip(1..) {
            let entry = entry(&server, key);
            assert!(
                is_compressed(&entry) && entry.len() < LONG / 10,
                "{codec}: {key}"
            );
            assert!(cache.exists(key).await.unwrap(), "{codec}: {key}");
            if number > 1 {
                let read = cache.get::<Article>(key).await.unwrap();
                assert_eq!(read, Some(article(number)), "{codec}: {key}");
            }
        }
        let read = with_cache(cache.clone(), as_the_cache(1)).await;
        assert_eq!(
            (read, cache.stats().loads),
            (article(1), 2),
            "{codec}: none but the first"
        );
    }
}

#[tokio::test]
async fn without_it_values_are_stored_as_they_are() {
    for codec in CODECS {
        let server = RedisServer::start();
        let cache = on(&server).codec(codec).open().await.unwrap();

        for key in store(&cache, article).await {
            let entry = entry(&server, key);
            assert!(
                !is_compressed(&entry) && entry.len() > LONG - 32,
                "{codec}: {key}"
            );
        }
    }
}

#[tokio::test]
async fn what_is_small_or_becomes_no_smaller_is_stored_as_it_is() {
    let server = RedisServer::start();
    let cache = compressing(&server).await;
    let small = Article {
        number: 1,
        text: "again ".repeat(100),
    };

    cache.set("small", &small, None).await.unwrap();
    cache.set("noise", &noise(2), None).await.unwrap();

    assert!(!is_compressed(&entry(&server, "small")));
    assert!(!is_compressed(&entry(&server, "noise")));
    assert_eq!(cache.get::<Article>("small").await.unwrap(), Some(small));
    assert_eq!(cache.get::<Article>("noise").await.unwrap(), Some(noise(2)));
}

#[tokio::test]
async fn a_compressed_value_that_is_given_another_life_is_read_back() {
    for encryption in [None, Some(KEY)] {
        let server = RedisServer::start();
        let builder = on(&server).compression(true);
        let builder = match encryption {
            Some(key) => builder.encryption_key(1, key),
            None => builder,
        };
        let cache = builder.open().await.unwrap();
        cache.set("article", &article(1), None).await.unwrap();

        let touched = cache.touch("article", Duration::from_secs(900)).await;

        assert!(touched.unwrap());
        assert!(is_compressed(&entry(&server, "article")));
        assert_eq!(cache.get("article").await.unwrap(), Some(article(1)));
    }
}

#[tokio::test]
async fn who_compresses_and_who_does_not_read_each_others_values() {
    let server = RedisServer::start();
    let (one, other) = (
        compressing(&server).await,
        on(&server).open().await.unwrap(),
    );
    for (writer, reader) in [(&one, &other), (&other, &one)] {
        writer.set("key", &article(7), None).await.unwrap();
        assert_eq!(
            reader.get::<Article>("key").await.unwrap(),
            Some(article(7))
        );
        let key = "as_the_cache:as_the_cache:1";
        writer.delete(key).await.unwrap();

        let written = with_cache(writer.clone(), as_the_cache(1)).await;
        let loads = reader.stats().loads;
        let read = with_cache(reader.clone(), as_the_cache(1)).await;

        assert_eq!((read, reader.stats().loads), (written, loads));
    }
}

#[tokio::test]
async fn what_a_function_says_goes_before_what_the_cache_does() {
    for compression in [false, true] {
        let server = RedisServer::start();
        let cache = on(&server).compression(compression).open().await.unwrap();
        let calls = async {
            as_the_cache(1).await;
            always(1).await.unwrap();
            never(1).await;
        };
        with_cache(cache, calls).await;

        let stored = |key| is_compressed(&entry(&server, key));
        assert_eq!(stored("as_the_cache:as_the_cache:1"), compression);
        assert!(stored("always:always:1"));
        assert!(!stored("never:never:1"));
    }
}

#[tokio::test]
async fn what_stands_in_the_process_is_the_value_itself() {
    let server = RedisServer::start();
    let cache = on(&server).near(true).open().await.unwrap();
    let first = with_cache(cache.clone(), shared(1)).await;
    assert!(is_compressed(&entry(&server, "shared:shared:1")));

    let again = with_cache(cache.clone(), shared(1)).await;

    assert_eq!(cache.stats().near_hits, 1);
    assert!(Arc::ptr_eq(&first, &again), "nothing is decoded");
}

#[tokio::test]
async fn a_value_is_compressed_before_it_is_encrypted() {
    let server = RedisServer::start();
    let builder = on(&server).compression(true).encryption_key(1, KEY);
    let cache = builder.open().await.unwrap();
    cache.set("key", &article(1), None).await.unwrap();

    let stored = entry(&server, "key");
    assert_eq!(stored[at::FLAGS], 3, "both");
    assert!(
        stored.len() < LONG / 10,
        "what is encrypted cannot be compressed"
    );
    let words = b"the same words";
    assert!(!stored.windows(words.len()).any(|window| window == words));
    assert_eq!(cache.get::<Article>("key").await.unwrap(), Some(article(1)));

    // Which of the two it is, is bound in as well.
    for flags in [0, 1, 2] {
        let mut altered = stored.clone();
        altered[at::FLAGS] = flags;
        check_miss(&server, &cache, &with_checksum(altered)).await;
    }
}

/// Puts these bytes under `key`, and reads them.
async fn check_miss(server: &RedisServer, cache: &Cache, entry: &[u8]) {
    replace(server, "key", entry);
    let errors = cache.stats().errors;

    assert_eq!(cache.get::<Article>("key").await.unwrap(), None);
    assert!(!cache.exists("key").await.unwrap());
    assert_eq!(cache.stats().errors, errors + 1);
}

#[tokio::test]
async fn whatever_else_is_found_there_is_a_miss_and_costs_no_more_than_it_may() {
    let (log, _guard) = Log::of_this_thread();
    let server = RedisServer::start();
    let cache = compressing(&server).await;
    cache.set("key", &article(1), None).await.unwrap();
    let entry = entry(&server, "key");
    let payload = &entry[payload(&entry)..entry.len() - 8];
    replace(&server, "key", &holding(&entry, payload));
    let read = cache.get::<Article>("key").await.unwrap();
    assert_eq!(
        read,
        Some(article(1)),
        "the checksum is computed as it is to be"
    );

    let announcing = |length: u32| [&length.to_le_bytes(), &payload[4..]].concat();
    // Of 64 MiB and a byte, in as many bytes as may come to that: what LZ4 prolongs a match with.
    let bomb = [&[1, 0, 0, 4, 0x1f, 0, 1, 0][..], &vec![255; 270_000]].concat();
    for payload in [
        &b""[..],
        &payload[..3],
        &payload[..4],
        &payload[..payload.len() / 2],
        &announcing(0),
        &announcing(100),
        &announcing(30_000),
        &announcing(u32::MAX),
        &bomb,
    ] {
        check_miss(&server, &cache, &holding(&entry, payload)).await;
    }
    let mut said = log.at(Level::DEBUG);
    said.retain(|line| line.contains("not usable"));
    assert_eq!(said.len(), 9, "one for each");
    assert!(
        said.iter().all(|line| line.contains("does not decompress")),
        "{said:?}"
    );
}
