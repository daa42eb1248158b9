//! P8: passwords never appear in logs, errors, `Debug` output, health or statistics.

mod support;

use std::error::Error as _;
use std::fmt::Debug;
use std::time::Duration;

use cache_runtime::{Cache, CacheBuilder, CacheConfig, Mode, cache_invalidate, cached, with_cache};
use support::{Fault, Log, Proxy, RedisServer};

/// No word of any message, and the same spelled for a URL.
const SECRET: &str = "Tr0ub4dor&3";
const IN_URL: &str = "Tr0ub4dor%263";

/// What every spelling of the secret contains.
const TRACE: &str = "Tr0ub4dor";

#[cached(ttl = 300, prefix = "video")]
async fn video(id: u64) -> u64 {
    id
}

#[cache_invalidate(prefix = "video")]
async fn change_videos() {}

#[track_caller]
fn check(text: &str) {
    assert!(!text.contains(TRACE), "{text}");
}

#[track_caller]
fn check_debug(value: &impl Debug) {
    check(&format!("{value:?}"));
    check(&format!("{value:#?}"));
}

#[track_caller]
fn check_error(error: &cache_runtime::Error) {
    check_debug(error);
    check(&error.to_string());
    let mut source = error.source();
    while let Some(cause) = source {
        check_debug(&cause);
        check(&cause.to_string());
        source = cause.source();
    }
}

/// Uses everything that may say something, and reads what it says.
async fn check_cache(cache: &Cache) {
    for id in 0..3 {
        assert_eq!(with_cache(cache.clone(), video(id)).await, id);
    }
    with_cache(cache.clone(), change_videos()).await;
    if let Err(error) = cache.set("key", &1_u64, None).await {
        check_error(&error);
    }
    if let Err(error) = cache.get::<u64>("key").await {
        check_error(&error);
    }
    if let Err(error) = cache.clear("*").await {
        check_error(&error);
    }
    if let Err(error) = cache.invalidate_prefix("key").await {
        check_error(&error);
    }
    if let Err(error) = cache.delete("").await {
        check_error(&error);
    }
    let health = cache.health().await;
    check_debug(&health);
    check(&serde_json::to_string(&health).unwrap());
    check_debug(&cache.stats());
    check(&serde_json::to_string(&cache.stats()).unwrap());
    check_debug(cache);
}

fn with_timeouts(builder: CacheBuilder) -> CacheBuilder {
    builder
        .connect_timeout(Duration::from_millis(200))
        .response_timeout(Duration::from_millis(200))
}

async fn open(url: &str) -> Cache {
    let builder = with_timeouts(Cache::builder().redis_url(url));
    check_debug(&builder);
    builder.open().await.unwrap()
}

#[tokio::test]
async fn a_password_that_is_right_is_never_said() {
    let log = Log::of_this_process();
    let server = RedisServer::start_with(&["--requirepass", SECRET]);
    let url = format!("redis://:{IN_URL}@127.0.0.1:{}/0", server.port());

    let cache = open(&url).await;
    check_cache(&cache).await;

    assert_eq!(cache.mode(), Mode::Redis, "it is right");
    cache.close().await;
    check_cache(&cache).await;
    assert!(!log.mentions(TRACE), "{:#?}", log.events());
}

#[tokio::test]
async fn a_password_that_is_wrong_is_never_said() {
    let log = Log::of_this_process();
    let server = RedisServer::start_with(&["--requirepass", "another"]);
    let open_server = RedisServer::start();
    for url in [
        format!("redis://:{IN_URL}@127.0.0.1:{}/0", server.port()),
        format!("redis://someone:{IN_URL}@127.0.0.1:{}/0", server.port()),
        format!("redis://{IN_URL}@127.0.0.1:{}/0", server.port()),
        format!("redis://:{IN_URL}@127.0.0.1:{}/0", open_server.port()),
        format!("redis://:{IN_URL}@127.0.0.1:{}/99", open_server.port()),
    ] {
        check_cache(&open(&url).await).await;
    }

    assert!(!log.mentions(TRACE), "{:#?}", log.events());
}

#[tokio::test]
async fn a_password_is_never_said_whatever_the_server_does() {
    let log = Log::of_this_process();
    let server = RedisServer::start_with(&["--requirepass", SECRET]);
    let proxy = Proxy::start(server.port());
    let url = format!("redis://:{IN_URL}@127.0.0.1:{}/0", proxy.port());
    for fault in [
        Fault::Refuse,
        Fault::BlackHole,
        Fault::Reset,
        Fault::Garble,
        Fault::CutAfter(4),
        Fault::CutAfter(40),
    ] {
        proxy.set(Fault::None);
        let cache = open(&url).await;
        proxy.set(fault);
        check_cache(&cache).await;
        check_cache(&open(&url).await).await;
    }
    proxy.set(Fault::None);
    server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    check_cache(&open(&url).await).await;

    assert!(!log.mentions(TRACE), "{:#?}", log.events());
}

#[tokio::test]
async fn a_password_given_by_itself_is_never_said() {
    let log = Log::of_this_process();
    let server = RedisServer::start_with(&["--requirepass", SECRET]);
    let builder = with_timeouts(Cache::builder())
        .redis_host("127.0.0.1")
        .redis_port(server.port())
        .redis_password(SECRET);
    check_debug(&builder);

    let cache = builder.open().await.unwrap();
    check_cache(&cache).await;

    assert_eq!(cache.mode(), Mode::Redis);
    assert!(!log.mentions(TRACE), "{:#?}", log.events());
}

#[tokio::test]
async fn a_password_in_a_url_that_is_malformed_is_never_said() {
    let log = Log::of_this_process();
    for url in [
        "redis://:{}@host:port/0",
        "redis://:{}@host:99999/0",
        "redis://:{}@host/none",
        "redis://:{}@",
        "redis://:{}@/0",
        "redis://:{}",
        "redis://{}",
        "redis://{}:6379:{}/0",
        "redis:/:{}@host/0",
        "http://:{}@host/0",
        "rediss://:{}@host/0",
        "unix:///socket?password={}",
        ":{}@host",
        "{}",
        "redis://:{} @host/0",
        "redis://:{}#@host/0",
        "redis://:{}/@host/0",
        "redis://:{}?@host/0",
        "redis://:{}%zz@host/0",
        "redis://:{}@one:1,two:2/0",
        "redis://host/0?password={}",
        "redis://[{}]:6379/0",
    ] {
        for secret in [SECRET, IN_URL] {
            let url = url.replace("{}", secret);
            let builder = Cache::builder()
                .redis_url(&url)
                .connect_timeout(Duration::from_millis(1));
            check_debug(&builder);

            match builder.open().await {
                Ok(cache) => {
                    check_debug(&cache);
                    check_debug(&cache.health().await);
                }
                Err(error) => check_error(&error),
            }
        }
    }

    assert!(!log.mentions(TRACE), "{:#?}", log.events());
}

#[tokio::test]
async fn a_password_in_another_setting_is_never_said() {
    let url = format!("redis://:{SECRET}@host/0");
    for builder in [
        Cache::builder().key_prefix(&url),
        Cache::builder().redis_host(&url),
        Cache::builder().redis_url(&url).redis_host("another"),
    ] {
        let error = builder.open().await.unwrap_err();

        check_error(&error);
    }
}

#[test]
fn a_configuration_shows_no_password() {
    let config = CacheConfig::default();
    let builder = CacheBuilder::from(config.clone()).redis_password(SECRET);

    check_debug(&config);
    check_debug(&builder);
}
