//! Encryption at rest: what is stored in Redis cannot be read there, nor made, moved or altered.

mod support;

use std::fs;
use std::path::Path;
use std::time::Duration;

use cache_runtime::{Cache, CacheBuilder, Codec, cached, with_cache};
use serde::{Deserialize, Serialize};
use support::{Log, RedisServer};
use tracing::Level;

const KEY: [u8; 32] = *b"a key of 32 bytes for the fleet.";
const OTHER: [u8; 32] = *b"another key of 32 bytes, newer..";

/// Stands in every value, and nowhere in Redis.
const PAYLOAD: &str = "meet-me-at-noon";

const CODECS: [Codec; 3] = [Codec::Bincode, Codec::Postcard, Codec::Json];

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Letter {
    number: u64,
    text: String,
    copies: Vec<Option<String>>,
}

fn letter(number: u64) -> Letter {
    Letter {
        number,
        text: format!("{PAYLOAD} {number}"),
        copies: vec![None, Some(PAYLOAD.to_owned())],
    }
}

#[cached(ttl = 300, prefix = "letter", key = "{number}", tags = "all")]
async fn attribute(number: u64) -> Letter {
    letter(number)
}

#[cached(ttl = 300, prefix = "letters")]
async fn by_arguments(number: u64) -> Result<Letter, String> {
    Ok(letter(number))
}

/// Every read of it asks Redis.
fn on(server: &RedisServer) -> CacheBuilder {
    let builder = Cache::builder().redis_url(server.url()).near(false);
    let builder = builder.connect_timeout(Duration::from_secs(5));
    builder.response_timeout(Duration::from_secs(5))
}

async fn encrypted(server: &RedisServer) -> Cache {
    on(server).encryption_key(1, KEY).open().await.unwrap()
}

/// Stores a value in each way there is.
async fn store(cache: &Cache) {
    let stored = async {
        attribute(1).await;
        by_arguments(2).await.unwrap();
    };
    with_cache(cache.clone(), stored).await;
    cache.set("by:hand:3", &letter(3), None).await.unwrap();
    let several = [("several:4", letter(4)), ("several:5", letter(5))];
    cache.set_many(&several, None).await.unwrap();
    let load = || async { Ok::<_, String>(letter(6)) };
    cache.get_or_set("loaded:6", None, load).await.unwrap();
}

/// Reads them back, each from Redis.
async fn check_all(cache: &Cache) {
    let hits = cache.stats().hits;
    let read = async { (attribute(1).await, by_arguments(2).await.unwrap()) };
    let (one, two) = with_cache(cache.clone(), read).await;
    assert_eq!((one, two), (letter(1), letter(2)));
    assert_eq!(cache.stats().hits, hits + 2, "the bodies were not run");
    let keys = [
        "letter:1",
        "by:hand:3",
        "several:4",
        "several:5",
        "loaded:6",
    ];
    let values: Vec<Option<Letter>> = cache.get_many(keys).await.unwrap();
    assert_eq!(values, [1, 3, 4, 5, 6].map(|number| Some(letter(number))));
    for key in keys {
        assert!(cache.get::<Letter>(key).await.unwrap().is_some(), "{key}");
        assert!(cache.exists(key).await.unwrap(), "{key}");
    }
}

/// All that the server has: each value as it stands and as it is dumped, and the file that it writes.
fn everything(server: &RedisServer) -> Vec<u8> {
    // Compressed, a text would not be found even if it stood there.
    server.cli(&["CONFIG", "SET", "rdbcompression", "no"]);
    assert_eq!(server.cli(&["SAVE"]), "OK");
    let directory = server.command(&["CONFIG", "GET", "dir"]).list();
    let file = Path::new(&directory[1]).join("dump.rdb");
    let mut all = fs::read(file).unwrap();
    for key in server.keys("*") {
        for command in ["GET", "DUMP"] {
            all.extend_from_slice(server.command(&[command, &key]).bytes());
        }
    }
    all
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn a_value_stored_in_any_way_is_read_back_and_found_nowhere_in_redis() {
    for codec in CODECS {
        let server = RedisServer::start();
        let builder = on(&server).codec(codec).encryption_key(1, KEY);
        let cache = builder.open().await.unwrap();
        store(&cache).await;
        check_all(&cache).await;

        let all = everything(&server);
        assert!(holds(&all, "letter:1"), "keys stay readable");
        assert!(!holds(&all, PAYLOAD), "{codec}");
        assert!(!holds(&all, "meet-me"), "{codec}");
    }
}

#[tokio::test]
async fn without_encryption_it_is_found() {
    for codec in CODECS {
        let server = RedisServer::start();
        let cache = on(&server).codec(codec).open().await.unwrap();
        store(&cache).await;
        check_all(&cache).await;

        assert!(holds(&everything(&server), PAYLOAD), "{codec}");
    }
}

#[tokio::test]
async fn what_stands_in_the_process_is_as_it_was() {
    let server = RedisServer::start();
    let builder = on(&server).near(true).encryption_key(1, KEY);
    let cache = builder.open().await.unwrap();
    store(&cache).await;

    let read = with_cache(cache.clone(), attribute(1)).await;

    assert_eq!((read, cache.stats().near_hits), (letter(1), 1));
}

#[tokio::test]
async fn keys_are_changed_one_after_the_other() {
    let server = RedisServer::start();
    let old = encrypted(&server).await;
    let both = on(&server).encryption_key(1, KEY).encryption_key(2, OTHER);
    let both = both.open().await.unwrap();
    let turned = on(&server).encryption_key(2, OTHER).encryption_key(1, KEY);
    let turned = turned.open().await.unwrap();
    let new = on(&server).encryption_key(2, OTHER).open().await.unwrap();

    store(&old).await;
    check_all(&both).await;
    check_all(&turned).await;
    store(&both).await;
    check_all(&old).await;

    turned.clear("*").await.unwrap();
    store(&turned).await;
    check_all(&both).await;
    check_all(&new).await;
}

#[tokio::test]
async fn an_entry_under_a_key_that_is_not_set_is_a_miss_and_a_line_of_debug_says_so() {
    let (log, _guard) = Log::of_this_thread();
    let server = RedisServer::start();
    encrypted(&server)
        .await
        .set("key", &letter(1), None)
        .await
        .unwrap();
    let other = on(&server).encryption_key(2, OTHER).open().await.unwrap();

    assert_eq!(other.get::<Letter>("key").await.unwrap(), None);
    assert!(!other.exists("key").await.unwrap());

    let said = log.only(Level::DEBUG, "not usable");
    assert!(
        said.contains("encrypted under the key 1, which is not set"),
        "{said}"
    );
}

/// Both ways: what anybody may have written into Redis, and what nobody here can read.
#[tokio::test]
async fn with_keys_an_entry_in_clear_is_a_miss_and_without_one_that_is_encrypted() {
    let server = RedisServer::start();
    let (clear, sealed) = (on(&server).open().await.unwrap(), encrypted(&server).await);

    clear.set("key", &letter(1), None).await.unwrap();
    assert_eq!(sealed.get::<Letter>("key").await.unwrap(), None);
    assert!(!sealed.exists("key").await.unwrap());

    sealed.set("key", &letter(2), None).await.unwrap();
    assert_eq!(clear.get::<Letter>("key").await.unwrap(), None);
    assert!(!clear.exists("key").await.unwrap());

    // A miss like any other: the body is run, and its value stored.
    let read = with_cache(sealed.clone(), attribute(7)).await;
    assert_eq!(with_cache(clear.clone(), attribute(7)).await, read);
    assert_eq!(clear.stats().loads, 1);
    assert_eq!(with_cache(sealed.clone(), attribute(7)).await, read);
    assert_eq!(sealed.stats().loads, 2);
    assert_eq!(sealed.get::<Letter>("letter:7").await.unwrap(), Some(read));
}

#[tokio::test]
async fn an_entry_that_is_copied_to_another_key_is_a_miss() {
    let server = RedisServer::start();
    let cache = encrypted(&server).await;
    cache.set("user:1", &letter(1), None).await.unwrap();

    assert_eq!(server.cli(&["COPY", "user:1", "user:2"]), "1");

    assert_eq!(cache.get::<Letter>("user:2").await.unwrap(), None);
    assert_eq!(
        cache.get::<Letter>("user:1").await.unwrap(),
        Some(letter(1))
    );
}

#[tokio::test]
async fn an_entry_that_was_altered_in_any_byte_is_a_miss() {
    let server = RedisServer::start();
    let cache = encrypted(&server).await;
    with_cache(cache.clone(), attribute(1)).await;
    let entry = server.command(&["GET", "letter:1"]).bytes().to_vec();

    for at in 0..entry.len() {
        let mut altered = entry.clone();
        altered[at] ^= 1;
        let set: [&[u8]; 3] = [b"SET", b"letter:1", &altered];
        server.command(&set);
        assert_eq!(
            cache.get::<Letter>("letter:1").await.unwrap(),
            None,
            "byte {at}"
        );
    }

    let set: [&[u8]; 3] = [b"SET", b"letter:1", &entry];
    server.command(&set);
    assert_eq!(
        cache.get::<Letter>("letter:1").await.unwrap(),
        Some(letter(1))
    );
}

#[tokio::test]
async fn a_key_that_cannot_be_used_is_refused_and_not_shown() {
    for (builder, flaw) in [
        (Cache::builder().encryption_key(1, &KEY[1..]), "32 bytes"),
        (
            Cache::builder()
                .encryption_key(1, KEY)
                .encryption_key(1, OTHER),
            "two keys have one id",
        ),
    ] {
        assert!(!format!("{builder:?}").contains("fleet"), "{builder:?}");
        let error = builder.open().await.unwrap_err().to_string();
        assert!(
            error.contains("`encryption_key`") && error.contains(flaw),
            "{error}"
        );
        assert!(!error.contains("fleet"), "{error}");
    }
}
