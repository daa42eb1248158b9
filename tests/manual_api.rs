//! The cache by hand, in process and on Redis: what each method does, and how it shares its entries with annotated functions.

mod support;

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_runtime::{Cache, ErrorKind, HealthState, Mode, cached, with_cache};
use support::{RedisServer, on, wait_until_async};

/// In process, on Redis, and on Redis under a key prefix.
async fn tiers(server: &RedisServer) -> Vec<Cache> {
    let prefixed = Cache::builder()
        .redis_url(server.url())
        .response_timeout(Duration::from_secs(5))
        .key_prefix("myapp");
    vec![
        Cache::builder().open().await.unwrap(),
        on(server).await,
        prefixed.open().await.unwrap(),
    ]
}

#[tokio::test]
async fn what_was_set_is_there_until_it_is_deleted() {
    let server = RedisServer::start();
    for cache in tiers(&server).await {
        let value = ("text".to_owned(), vec![1_u8, 2], Some(3.5_f64));
        cache.set("user:42:profile", &value, None).await.unwrap();

        assert_eq!(cache.get("user:42:profile").await.unwrap(), Some(value));
        assert!(cache.exists("user:42:profile").await.unwrap());
        assert!(cache.delete("user:42:profile").await.unwrap());
        assert!(!cache.delete("user:42:profile").await.unwrap());
        assert!(!cache.exists("user:42:profile").await.unwrap());
        assert_eq!(cache.get::<String>("user:42:profile").await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_value_of_another_type_is_a_miss() {
    let server = RedisServer::start();
    for cache in tiers(&server).await {
        cache.set("a:b", &1_u64, None).await.unwrap();

        assert_eq!(cache.get::<String>("a:b").await.unwrap(), None);
        assert_eq!(cache.get::<u64>("a:b").await.unwrap(), Some(1));
    }
}

#[tokio::test]
async fn an_entry_ends_with_its_ttl() {
    let server = RedisServer::start();
    for cache in tiers(&server).await {
        let ttl = Duration::from_millis(300);
        cache.set("short", &1_u64, ttl).await.unwrap();
        assert!(cache.exists("short").await.unwrap());

        let gone = async || !cache.exists("short").await.unwrap();
        wait_until_async(gone, "the entry ends").await;
    }
}

#[tokio::test]
async fn get_or_set_loads_once_and_returns_the_loaders_error() {
    let server = RedisServer::start();
    for cache in tiers(&server).await {
        let failed: Result<u64, _> = cache
            .get_or_set("answer", None, || async { Err("not now") })
            .await;
        assert_eq!(failed, Err("not now"));

        let loads = AtomicU64::new(0);
        for _ in 0..3 {
            let answer = cache
                .get_or_set("answer", None, || async {
                    loads.fetch_add(1, Ordering::SeqCst);
                    Ok::<_, Infallible>(42_u64)
                })
                .await;
            assert_eq!(answer, Ok(42));
        }
        assert_eq!(loads.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn clear_deletes_what_matches_and_tells_how_many() {
    let server = RedisServer::start();
    for cache in tiers(&server).await {
        for key in ["user_1", "user_2", "session_1"] {
            cache.set(key, &1_u64, None).await.unwrap();
        }

        assert_eq!(cache.clear("user_*").await.unwrap(), 2);
        assert_eq!(cache.clear("user_*").await.unwrap(), 0);
        assert!(cache.exists("session_1").await.unwrap());
        assert_eq!(cache.clear("*").await.unwrap(), 1);
    }
}

#[tokio::test]
async fn a_key_prefix_keeps_two_applications_on_one_server_apart() {
    let server = RedisServer::start();
    let one = Cache::builder().redis_url(server.url()).key_prefix("one");
    let two = Cache::builder().redis_url(server.url()).key_prefix("two");
    let (one, two) = (one.open().await.unwrap(), two.open().await.unwrap());
    one.set("user:1", &1_u64, None).await.unwrap();
    two.set("user:1", &2_u64, None).await.unwrap();

    one.invalidate_prefix("user").await.unwrap();
    assert_eq!(one.clear("*").await.unwrap(), 1, "the dead entry");

    assert_eq!(two.get("user:1").await.unwrap(), Some(2_u64));
}

#[tokio::test]
async fn a_prefix_takes_everything_below_it_and_nothing_beside_it() {
    let server = RedisServer::start();
    for cache in tiers(&server).await {
        let keys = [
            "user",
            "user:1",
            "user:1:profile",
            "user:2:profile",
            "users:1",
        ];
        for (prefix, survivors) in [
            ("user", &["users:1"][..]),
            ("user:1", &["user", "user:2:profile", "users:1"]),
            (
                "user:1:profile",
                &["user", "user:1", "user:2:profile", "users:1"],
            ),
            ("nobody", &keys),
        ] {
            for key in keys {
                cache.set(key, &1_u64, None).await.unwrap();
            }

            cache.invalidate_prefix(prefix).await.unwrap();

            for key in keys {
                let stands = cache.exists(key).await.unwrap();
                assert_eq!(stands, survivors.contains(&key), "{key} after {prefix}");
            }
        }
    }
}

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Profile {
    name: String,
}

#[cached(ttl = 300, prefix = "user", key = "{id}:profile")]
async fn profile(id: u64) -> Profile {
    Profile {
        name: format!("user {id}"),
    }
}

#[cached(ttl = 300, prefix = "video")]
async fn get_video(id: u64, language: &str) -> String {
    format!("video {id} in {language}")
}

#[tokio::test]
async fn keys_are_the_same_by_hand_and_in_annotated_functions() {
    let server = RedisServer::start();
    for cache in tiers(&server).await {
        with_cache(cache.clone(), async {
            let stored = profile(42).await;
            assert_eq!(cache.get("user:42:profile").await.unwrap(), Some(stored));

            let other = Profile {
                name: "by hand".into(),
            };
            cache.set("user:42:profile", &other, None).await.unwrap();
            assert_eq!(profile(42).await, other);

            cache.invalidate_prefix("user:42").await.unwrap();
            assert_eq!(profile(42).await.name, "user 42");

            assert!(cache.delete("user:42:profile").await.unwrap());

            get_video(1, "en").await;
            let text = "by hand".to_owned();
            assert!(cache.exists("video:get_video:1:en").await.unwrap());
            cache
                .set("video:get_video:1:en", &text, None)
                .await
                .unwrap();
            assert_eq!(get_video(1, "en").await, text);
            cache.invalidate_prefix("video:get_video").await.unwrap();
            assert_eq!(get_video(1, "en").await, "video 1 in en");
        })
        .await;
    }
}

#[tokio::test]
async fn keys_in_redis_are_readable() {
    let server = RedisServer::start();
    let cache = on(&server).await;
    with_cache(cache, async {
        get_video(42, "en").await;
        get_video(42, "a b:*").await;
        profile(7).await;
    })
    .await;

    assert_eq!(
        server.keys("video:*"),
        ["video:get_video:42:a%20b%3A%2A", "video:get_video:42:en"]
    );
    assert_eq!(server.keys("user:*"), ["user:7:profile"]);
    assert_eq!(
        server.keys("gen@*"),
        [
            "gen@",
            "gen@user",
            "gen@user:7",
            "gen@video",
            "gen@video:get_video"
        ]
    );
}

mod alone {
    #[cache_runtime::cached(ttl = 300, prefix = "video")]
    pub(super) async fn get_video(id: u64) -> u64 {
        id
    }
}

#[tokio::test]
async fn a_scan_for_a_prefix_lists_its_entries_and_nothing_else() {
    let server = RedisServer::start();
    let cache = on(&server).await;
    for id in [42, 7] {
        with_cache(cache.clone(), alone::get_video(id)).await;
    }

    let answer = server.cli(&["SCAN", "0", "MATCH", "video:*", "COUNT", "1000"]);

    assert!(answer.contains("video:get_video:42"), "{answer}");
    assert_eq!(
        server.keys("video:*"),
        ["video:get_video:42", "video:get_video:7"]
    );
    let ttl: u64 = server.cli(&["TTL", "video:get_video:42"]).parse().unwrap();
    assert!((290..=300).contains(&ttl), "{ttl}");
}

#[tokio::test]
async fn large_values_come_back_whole() {
    let server = RedisServer::start();
    for cache in tiers(&server).await {
        let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(64 << 10).collect();
        let text: String = "äß€𝄞".chars().cycle().take(64 << 10).collect();

        cache.set("large:bytes", &bytes, None).await.unwrap();
        cache.set("large:text", &text, None).await.unwrap();

        assert_eq!(cache.get("large:bytes").await.unwrap(), Some(bytes));
        assert_eq!(cache.get("large:text").await.unwrap(), Some(text));
    }
}

#[tokio::test]
async fn the_number_of_entries_in_process_is_bounded() {
    let cache = Cache::builder().max_entries(100).open().await.unwrap();

    for number in 0..1_000_u64 {
        let key = format!("entry:{number}");
        cache.set(&key, &number, None).await.unwrap();
    }

    let within = async || cache.stats().entries <= 100;
    wait_until_async(within, "at most 100 entries are left").await;
    assert!(cache.stats().entries > 0, "nothing was kept at all");
}

#[tokio::test]
async fn the_memory_of_entries_in_process_is_bounded() {
    const LIMIT: u64 = 1 << 20;
    let cache = Cache::builder().memory_limit(LIMIT).open().await.unwrap();
    let value = vec![7_u8; 16 << 10];

    for number in 0..10 * LIMIT / (16 << 10) {
        let key = format!("entry:{number}");
        cache.set(&key, &value, None).await.unwrap();
    }

    let within = async || {
        let stats = cache.stats();
        stats.bytes <= LIMIT && stats.entries <= LIMIT / (16 << 10)
    };
    wait_until_async(within, "no more than the limit is held").await;
    assert!(cache.stats().entries > 0, "nothing was kept at all");
}

/// Played by a process of its own, because the environment belongs to the whole process.
#[tokio::test]
async fn the_process_with_an_environment() {
    let Ok(expected) = std::env::var("EXPECTED_OF_FROM_ENV") else {
        return;
    };
    match Cache::from_env().await {
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(&expected), "{error}");
        }
        Ok(cache) => {
            assert_eq!(format!("{:?}", cache.mode()), expected);
            with_cache(cache.clone(), alone::get_video(1)).await;
            let stored = cache.exists("video:get_video:1").await.unwrap();
            assert_eq!(stored, cache.mode() != Mode::Disabled);
            // Nothing was installed, so the default cache is one from the environment as well.
            assert_eq!(cache_runtime::cache().mode(), cache.mode());
        }
    }
}

/// Runs `the_process_with_an_environment` in this environment.
fn check_environment(variables: &[(&str, &str)], expected: &str) {
    let mut process = std::process::Command::new(std::env::current_exe().unwrap());
    process.args(["the_process_with_an_environment", "--exact"]);
    for (name, _) in std::env::vars() {
        if ["REDIS_", "CACHE_"]
            .iter()
            .any(|ours| name.starts_with(ours))
        {
            process.env_remove(name);
        }
    }
    process.envs(variables.iter().copied());
    let output = process.env("EXPECTED_OF_FROM_ENV", expected).output();
    let output = output.unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && told.contains("1 passed"),
        "{variables:?}: {told}"
    );
}

#[tokio::test]
async fn the_environment_sets_up_a_cache_and_a_malformed_variable_is_named() {
    let server = RedisServer::start();
    let port = server.port().to_string();

    check_environment(&[], "Memory");
    check_environment(
        &[("REDIS_URL", &server.url()), ("CACHE_KEY_PREFIX", "myapp")],
        "Redis",
    );
    check_environment(
        &[("REDIS_HOST", "127.0.0.1"), ("REDIS_PORT", &port)],
        "Redis",
    );
    check_environment(&[("CACHE_ENABLED", "false")], "Disabled");
    check_environment(&[("CACHE_DEFAULT_TTL", "soon")], "CACHE_DEFAULT_TTL");
    check_environment(
        &[("REDIS_HOST", "127.0.0.1"), ("REDIS_PORT", "many")],
        "REDIS_PORT",
    );
    // Kubernetes sets this one for any service that is called redis.
    check_environment(&[("REDIS_PORT", "tcp://10.0.0.1:6379")], "Memory");

    assert_eq!(
        server.keys("*video:get_video:*"),
        ["myapp:video:get_video:1", "video:get_video:1"]
    );
}

#[tokio::test]
async fn statistics_count_hits_misses_and_loads_in_total_and_by_prefix() {
    let server = RedisServer::start();
    for cache in tiers(&server).await {
        let prefixed = cache.clone();
        with_cache(cache.clone(), async {
            profile(1).await;
            profile(1).await;
            profile(1).await;
            get_video(1, "en").await;
        })
        .await;
        prefixed.invalidate_prefix("user").await.unwrap();
        let _ = prefixed.get::<u64>("nothing:here").await.unwrap();

        let stats = prefixed.stats();
        assert_eq!((stats.hits, stats.misses, stats.loads), (2, 3, 2));
        assert_eq!(stats.invalidations, 1);
        assert!((stats.hit_rate() - 0.4).abs() < 1e-9);
        assert_eq!(stats.prefixes["user"].hits, 2);
        assert_eq!(stats.prefixes["video"].misses, 1);
        assert_eq!(stats.using_redis, prefixed.mode() == Mode::Redis);
        if prefixed.mode() == Mode::Memory {
            assert_eq!(stats.near_hits, 2);
            assert!(stats.entries >= 1 && stats.bytes > 0);
        }
    }
}

#[tokio::test]
async fn health_tells_the_mode_and_the_place_and_no_password() {
    let server = RedisServer::start_with(&["--requirepass", "geheim"]);
    let cache = on(&server).await;

    let health = cache.health().await;
    assert_eq!(health.state, HealthState::Healthy);
    assert_eq!(health.mode, Mode::Redis);
    assert!(health.round_trip.is_some() && health.server_version.is_some());
    assert!(health.location.contains(&server.port().to_string()));
    assert!(!health.location.contains("geheim"));

    server.kill();
    let health = cache.health().await;
    assert_eq!(health.state, HealthState::Degraded);
    assert_eq!(cache.mode(), Mode::Fallback);
    assert!(health.problem.is_some());
    let told = format!("{health:?} {cache:?}");
    assert!(!told.contains("geheim"), "{told}");

    server.restart();
    let healthy = async || cache.health().await.state == HealthState::Healthy;
    wait_until_async(healthy, "Redis is found again").await;
    assert_eq!(cache.mode(), Mode::Redis);

    let memory = Cache::builder().open().await.unwrap().health().await;
    assert_eq!(
        (memory.state, memory.backend),
        (HealthState::Healthy, "memory")
    );
    let off = Cache::builder().enabled(false).open().await.unwrap();
    assert_eq!(off.health().await.state, HealthState::Disabled);
}

#[tokio::test]
async fn a_disabled_cache_runs_bodies_and_stores_nothing() {
    let cache = Cache::builder().enabled(false).open().await.unwrap();
    assert_eq!(cache.mode(), Mode::Disabled);

    cache.set("a", &1_u64, None).await.unwrap();
    assert_eq!(cache.get::<u64>("a").await.unwrap(), None);
    assert_eq!(with_cache(cache.clone(), profile(3)).await.name, "user 3");
    assert_eq!(cache.stats().entries, 0);
}

#[tokio::test]
async fn after_close_functions_run_their_bodies_and_methods_say_so() {
    let server = RedisServer::start();
    for cache in tiers(&server).await {
        with_cache(cache.clone(), profile(1)).await;
        cache.close().await;

        assert_eq!(with_cache(cache.clone(), profile(1)).await.name, "user 1");
        let kinds = [
            cache.get::<u64>("a").await.unwrap_err().kind(),
            cache.set("a", &1_u64, None).await.unwrap_err().kind(),
            cache.delete("a").await.unwrap_err().kind(),
            cache.clear("*").await.unwrap_err().kind(),
            cache.invalidate_prefix("a").await.unwrap_err().kind(),
            cache.exists("a").await.unwrap_err().kind(),
        ];
        assert_eq!(kinds, [ErrorKind::Closed; 6]);
        for load in 1..=2_u64 {
            let loaded = cache.get_or_set("a", None, || async { Ok::<_, Infallible>(load) });
            assert_eq!(loaded.await, Ok(load), "a closed cache keeps nothing");
        }
        assert_eq!(cache.health().await.state, HealthState::Disabled);
        assert_eq!(cache.mode(), Mode::Disabled);
    }
}

#[tokio::test]
async fn unusable_keys_are_errors_that_name_them() {
    let cache = Cache::builder().open().await.unwrap();
    for key in ["", "gen@video", "lease@{video}"] {
        let error = cache.get::<u64>(key).await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Key);
        assert!(error.to_string().contains(key), "{error}");
        // A loader is run all the same.
        let loaded = cache.get_or_set(key, None, || async { Ok::<_, Infallible>(1_u64) });
        assert_eq!(loaded.await, Ok(1));
    }
    assert_eq!(
        cache.invalidate_prefix("").await.unwrap_err().kind(),
        ErrorKind::Key
    );
}

#[tokio::test]
async fn a_malformed_setting_is_an_error_at_open() {
    for builder in [
        Cache::builder().redis_url("http://localhost"),
        Cache::builder().default_ttl(Duration::ZERO),
        Cache::builder().key_prefix("a b"),
        Cache::builder().max_entries(0),
    ] {
        assert_eq!(builder.open().await.unwrap_err().kind(), ErrorKind::Config);
    }
}

/// The one test of this file that touches the process-wide cache.
#[tokio::test]
async fn the_installed_cache_is_the_one_that_functions_use() {
    let cache = Cache::builder().open().await.unwrap();
    cache_runtime::install(cache.clone()).unwrap();

    profile(99).await;

    assert!(cache.exists("user:99:profile").await.unwrap());
    assert!(
        cache_runtime::cache()
            .exists("user:99:profile")
            .await
            .unwrap()
    );
    let again = cache_runtime::install(cache).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Installed);
}

// --- several at once ------------------------------------------------------------------------

#[tokio::test]
async fn several_keys_are_read_stored_and_deleted_like_one() {
    let server = RedisServer::start();
    let near = on(&server).await;
    let asking = Cache::builder()
        .redis_url(server.url())
        .near(false)
        .key_prefix("asking");
    let asking = asking.open().await.unwrap();
    let in_process = Cache::builder().open().await.unwrap();
    for cache in [in_process, near, asking] {
        let entries: Vec<(String, u64)> = (0..1_000).map(|n| (format!("n:{n}"), n)).collect();
        cache.set_many(&entries, None).await.unwrap();
        cache
            .set("text", &"no number".to_owned(), None)
            .await
            .unwrap();

        let keys = ["n:3", "absent", "n:1", "text", "n:3"];
        let found = cache.get_many::<u64>(keys).await.unwrap();
        assert_eq!(found, [Some(3), None, Some(1), None, Some(3)]);
        let all = cache
            .get_many::<u64>(entries.iter().map(|(key, _)| key))
            .await
            .unwrap();
        assert_eq!(all, (0..1_000).map(Some).collect::<Vec<_>>());
        assert_eq!(cache.get::<u64>("n:7").await.unwrap(), Some(7));

        assert_eq!(
            cache.delete_many(["n:3", "n:1", "absent"]).await.unwrap(),
            2
        );
        assert_eq!(cache.get_many::<u64>(keys).await.unwrap(), [None; 5]);
        let twice = cache.delete_many(["n:4", "n:4"]).await.unwrap();
        assert_eq!(twice, 1, "what is named twice was there once");
        cache.invalidate_prefix("n").await.unwrap();
        assert_eq!(
            cache.get_many::<u64>(["n:5", "n:6"]).await.unwrap(),
            [None, None]
        );

        assert_eq!(cache.get_many::<u64>([""; 0]).await.unwrap(), []);
        assert_eq!(cache.delete_many([""; 0]).await.unwrap(), 0);
        cache.set_many::<&str, u64>(&[], None).await.unwrap();
        for key in ["", "gen@n", "lease@{n}", "tag@n"] {
            assert!(cache.get_many::<u64>(["n:1", key]).await.is_err(), "{key}");
            assert!(
                cache
                    .set_many(&[("n:1", 1_u64), (key, 1)], None)
                    .await
                    .is_err(),
                "{key}"
            );
            assert!(cache.delete_many(["n:1", key]).await.is_err(), "{key}");
        }
        assert_eq!(
            cache.get::<u64>("n:1").await.unwrap(),
            None,
            "nothing was stored before the error"
        );
    }
}

#[tokio::test]
async fn several_keys_cost_one_exchange() {
    let server = RedisServer::start();
    let cache = Cache::builder().redis_url(server.url()).near(false);
    let cache = cache.open().await.unwrap();
    let entries: Vec<(String, u64)> = (0..100).map(|n| (format!("n:{n}"), n)).collect();
    let commands = |names: &[&str]| {
        let stats = server.cli(&["INFO", "commandstats"]);
        let calls = |name: &str| {
            let line = stats
                .lines()
                .find_map(|line| line.strip_prefix(&format!("cmdstat_{name}:calls=")));
            line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
        };
        names.iter().map(|name| calls(name)).collect::<Vec<u64>>()
    };
    let names = ["mget", "evalsha", "unlink"];
    let before = commands(&names);

    cache.set_many(&entries, None).await.unwrap();
    assert_eq!(commands(&names), [before[0], before[1] + 100, before[2]]);
    let keys = entries.iter().map(|(key, _)| key);
    cache.get_many::<u64>(keys.clone()).await.unwrap();
    assert_eq!(
        commands(&names),
        [before[0] + 1, before[1] + 100, before[2]]
    );
    // The leases, and the entries, which are counted.
    cache.delete_many(keys).await.unwrap();
    assert_eq!(
        commands(&names),
        [before[0] + 1, before[1] + 100, before[2] + 2]
    );
}

#[tokio::test]
async fn several_that_are_stored_are_not_overwritten_by_loads_under_way() {
    let server = RedisServer::start();
    for cache in [Cache::builder().open().await.unwrap(), on(&server).await] {
        let load = async || {
            cache
                .set_many(&[("key", 2_u64), ("other", 2)], None)
                .await
                .unwrap();
            Ok::<_, Infallible>(1_u64)
        };
        let Ok(loaded) = cache.get_or_set("key", None, load).await;
        assert_eq!(loaded, 1);
        assert_eq!(cache.get::<u64>("key").await.unwrap(), Some(2));
        cache.clear("*").await.unwrap();
    }
}
