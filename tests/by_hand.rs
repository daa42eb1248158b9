//! `ttl`, `touch`, `incr` and `check`: an entry's life and a number, changed in place in every tier, and a try of the whole.

mod support;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cache_runtime::{Cache, CacheBuilder, ErrorKind, Mode, cached, refresh, with_cache};
use support::{Fault, Proxy, RedisServer, wait_until_async};

const HOUR: Duration = Duration::from_secs(3_600);
const SHORT: Duration = Duration::from_millis(300);
const RESPONSE: Duration = Duration::from_millis(200);

fn at(url: &str) -> CacheBuilder {
    let builder = Cache::builder().redis_url(url);
    builder.response_timeout(Duration::from_secs(5))
}

/// In process; on Redis with and without a tier in process; under a key prefix, encrypted and as JSON.
async fn tiers(server: &RedisServer) -> Vec<Cache> {
    let sealed = at(&server.url())
        .key_prefix("app:team")
        .encryption_key(1, [7; 32])
        .codec(cache_runtime::Codec::Json);
    vec![
        Cache::builder().open().await.unwrap(),
        at(&server.url()).open().await.unwrap(),
        at(&server.url())
            .near(false)
            .key_prefix("far")
            .open()
            .await
            .unwrap(),
        sealed.open().await.unwrap(),
    ]
}

/// Whether so much is left of this ttl, give or take what the test itself takes.
fn about(left: Option<Duration>, ttl: Duration) -> bool {
    left.is_some_and(|left| left <= ttl && left > ttl.mul_f64(0.9))
}

// --- ttl and touch ----------------------------------------------------------------------------

#[cached(ttl = "1h", prefix = "film", key = "{id}", tags = "all")]
async fn film(bodies: &AtomicU64, id: u64) -> u64 {
    bodies.fetch_add(1, Ordering::SeqCst)
}

#[cached(ttl = "300ms", prefix = "news", key = "{id}", stale_if_error = "1h")]
async fn news(outcome: Result<u64, u64>, id: u64) -> Result<u64, u64> {
    outcome
}

#[tokio::test]
async fn ttl_tells_how_long_an_entry_may_still_be_used() {
    let server = RedisServer::start();
    for cache in tiers(&server).await {
        assert_eq!(cache.ttl("a:b").await.unwrap(), None);
        cache.set("a:b", &1_u64, HOUR).await.unwrap();
        assert!(about(cache.ttl("a:b").await.unwrap(), HOUR));
        cache.set("a:b", &1_u64, SHORT).await.unwrap();
        assert!(cache.ttl("a:b").await.unwrap().unwrap() <= SHORT);
        cache.delete("a:b").await.unwrap();
        assert_eq!(cache.ttl("a:b").await.unwrap(), None);

        cache.set("a:b", &1_u64, HOUR).await.unwrap();
        cache.invalidate_prefix("a").await.unwrap();
        assert_eq!(cache.ttl("a:b").await.unwrap(), None, "it is invalid");
    }
}

#[tokio::test]
async fn touch_lengthens_and_shortens_a_life_and_leaves_the_value_alone() {
    let server = RedisServer::start();
    for cache in tiers(&server).await {
        let value = ("text".to_owned(), vec![1_u8, 2]);
        assert!(!cache.touch("a:b", HOUR).await.unwrap(), "there is none");
        cache.set("a:b", &value, SHORT).await.unwrap();
        assert_eq!(cache.get("a:b").await.unwrap(), Some(value.clone()));

        assert!(cache.touch("a:b", HOUR).await.unwrap());
        assert!(about(cache.ttl("a:b").await.unwrap(), HOUR));
        tokio::time::sleep(SHORT).await;
        assert_eq!(cache.get("a:b").await.unwrap(), Some(value.clone()));
        assert!(cache.touch("a:b", None).await.unwrap());
        let default = Duration::from_secs(300);
        assert!(about(cache.ttl("a:b").await.unwrap(), default));

        // What the process has read in the meantime ends as well.
        assert_eq!(cache.get("a:b").await.unwrap(), Some(value.clone()));
        assert!(cache.touch("a:b", SHORT).await.unwrap());
        let gone = async || {
            let read = cache.get::<(String, Vec<u8>)>("a:b").await.unwrap();
            read.is_none()
        };
        wait_until_async(gone, "the shortened life ends").await;
        assert!(!cache.touch("a:b", HOUR).await.unwrap(), "it has ended");

        cache.set("a:b", &value, HOUR).await.unwrap();
        assert!(cache.touch("a:b", Duration::ZERO).await.unwrap());
        assert!(!cache.exists("a:b").await.unwrap());
    }
}

#[tokio::test]
async fn a_touched_entry_of_a_function_keeps_its_levels_its_tags_and_its_invalidations() {
    let server = RedisServer::start();
    for cache in tiers(&server).await {
        let bodies = AtomicU64::new(0);
        let read = async || with_cache(cache.clone(), film(&bodies, 7)).await;
        assert_eq!(read().await, 0);
        assert!(cache.touch("film:7", 2 * HOUR).await.unwrap());
        assert!(about(cache.ttl("film:7").await.unwrap(), 2 * HOUR));
        assert_eq!(read().await, 0);
        assert!(cache.touch("film:7", 3 * HOUR).await.unwrap());

        cache.invalidate_tag("all").await.unwrap();
        assert!(!cache.touch("film:7", HOUR).await.unwrap());
        assert_eq!(read().await, 1);
    }
}

#[tokio::test]
async fn expired_values_of_a_touched_entry_are_of_use_for_as_long_as_before() {
    let server = RedisServer::start();
    for cache in tiers(&server).await {
        let read = async |outcome| with_cache(cache.clone(), news(outcome, 7)).await;
        assert_eq!(read(Ok(1)).await, Ok(1));
        assert!(cache.touch("news:7", SHORT).await.unwrap());
        let ended = async || cache.ttl("news:7").await.unwrap().is_none();
        wait_until_async(ended, "it ends").await;

        assert_eq!(read(Err(2)).await, Ok(1), "{cache:?}");
    }
    let left = server.cli(&["PTTL", "news:7"]).parse::<u64>().unwrap();
    assert!(left > 3_500_000, "{left}");
}

#[tokio::test]
async fn what_another_process_has_kept_of_a_touched_entry_ends_with_it() {
    let server = RedisServer::start();
    let one = at(&server.url()).open().await.unwrap();
    let other = at(&server.url()).open().await.unwrap();
    one.set("a:b", &1_u64, HOUR).await.unwrap();
    assert_eq!(other.get::<u64>("a:b").await.unwrap(), Some(1));

    assert!(one.touch("a:b", SHORT).await.unwrap());

    let gone = async || other.get::<u64>("a:b").await.unwrap().is_none();
    wait_until_async(gone, "the other process has heard of it").await;
}

#[cached(ttl = "1h", prefix = "page", key = "{id}")]
async fn page(cache: &Cache, version: u64, id: u64) -> u64 {
    let touched = cache.touch("page:7", HOUR / 2).await.unwrap();
    assert_eq!(touched, version > 1);
    version
}

#[tokio::test]
async fn a_load_under_way_is_stored_although_the_old_entry_was_touched() {
    let server = RedisServer::start();
    for cache in tiers(&server).await {
        let read = with_cache(cache.clone(), async {
            assert_eq!(page(&cache, 1, 7).await, 1);
            assert_eq!(refresh(page(&cache, 2, 7)).await, 2);
            page(&cache, 3, 7).await
        });
        assert_eq!(read.await, 2);
        assert!(about(cache.ttl("page:7").await.unwrap(), HOUR));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn touching_never_brings_an_older_value_back() {
    let server = RedisServer::start();
    for (tier, cache) in tiers(&server).await.into_iter().enumerate() {
        cache.set("a:b", &0_u64, None).await.unwrap();
        let rounds = if tier == 0 { 20_000 } else { 200 };
        let touching = tokio::spawn({
            let cache = cache.clone();
            async move {
                while cache.get::<u64>("a:b").await.unwrap() != Some(rounds) {
                    cache.touch("a:b", HOUR).await.unwrap();
                    // So that it ends with a test that fails.
                    tokio::task::yield_now().await;
                }
            }
        });
        for number in 1..=rounds {
            cache.set("a:b", &number, None).await.unwrap();
            assert_eq!(cache.get("a:b").await.unwrap(), Some(number), "tier {tier}");
        }
        touching.await.unwrap();
    }
}

#[tokio::test]
async fn while_redis_is_away_what_the_process_keeps_in_its_stead_is_touched_and_all_else_is_an_error()
 {
    let server = RedisServer::start();
    let network = Proxy::start(server.port());
    let cache = at(&network.url()).response_timeout(RESPONSE);
    let cache = cache.fallback_ttl(HOUR).open().await.unwrap();
    cache.set("in:redis", &1_u64, HOUR).await.unwrap();
    network.set(Fault::Refuse);
    let away = async || {
        let _ = cache.get::<u64>("a:b").await;
        cache.mode() == Mode::Fallback
    };
    wait_until_async(away, "redis is away").await;
    cache.set("in:process", &1_u64, SHORT).await.unwrap();

    assert!(cache.touch("in:process", HOUR / 2).await.unwrap());
    assert!(about(cache.ttl("in:process").await.unwrap(), HOUR / 2));
    let problem = cache.touch("in:redis", SHORT).await.unwrap_err();
    assert_eq!(problem.kind(), ErrorKind::Unreachable);

    network.set(Fault::None);
    let back = async || {
        let _ = cache.health().await;
        cache.mode() == Mode::Redis
    };
    wait_until_async(back, "redis is back").await;
    assert!(
        about(cache.ttl("in:redis").await.unwrap(), HOUR),
        "as before"
    );
}

#[tokio::test]
async fn a_copy_of_what_is_in_redis_is_not_touched_in_its_stead() {
    let server = RedisServer::start();
    let network = Proxy::start(server.port());
    let cache = at(&network.url()).response_timeout(RESPONSE);
    let cache = cache.open().await.unwrap();
    cache.set("a:b", &1_u64, HOUR).await.unwrap();
    assert_eq!(cache.get::<u64>("a:b").await.unwrap(), Some(1), "kept");
    network.set(Fault::BlackHole);

    let problem = cache.touch("a:b", SHORT).await.unwrap_err();

    assert_eq!(problem.kind(), ErrorKind::Unreachable);
}

// --- incr -------------------------------------------------------------------------------------

#[tokio::test]
async fn what_is_counted_is_an_entry_like_any_other() {
    let server = RedisServer::start();
    for cache in tiers(&server).await {
        assert_eq!(cache.incr("hits:home", 2).await.unwrap(), 2);
        assert_eq!(cache.get::<i64>("hits:home").await.unwrap(), Some(2));
        assert_eq!(cache.incr("hits:home", -5).await.unwrap(), -3);
        assert_eq!(cache.get::<i64>("hits:home").await.unwrap(), Some(-3));
        assert!(about(
            cache.ttl("hits:home").await.unwrap(),
            Duration::from_secs(300)
        ));

        cache.set("hits:home", &40_i64, HOUR).await.unwrap();
        assert_eq!(cache.incr("hits:home", 2).await.unwrap(), 42);
        assert!(about(cache.ttl("hits:home").await.unwrap(), HOUR));
        for way in ["delete", "prefix", "clear"] {
            match way {
                "delete" => assert!(cache.delete("hits:home").await.unwrap()),
                "prefix" => drop(cache.invalidate_prefix("hits").await.unwrap()),
                _ => assert_eq!(cache.clear("hits:*").await.unwrap(), 1),
            }
            assert_eq!(cache.get::<i64>("hits:home").await.unwrap(), None);
            assert_eq!(cache.incr("hits:home", 1).await.unwrap(), 1, "{way}");
        }
    }
}

#[tokio::test]
async fn a_count_ends_with_its_ttl_however_often_it_is_raised() {
    let server = RedisServer::start();
    for cache in tiers(&server).await {
        cache.set("hits", &0_i64, SHORT).await.unwrap();
        let mut last = 0;
        let began_anew = async || {
            let count = cache.incr("hits", 1).await.unwrap();
            assert!(count == last + 1 || count == 1, "{count} after {last}");
            last = count;
            count == 1 && cache.ttl("hits").await.unwrap() > Some(SHORT)
        };
        wait_until_async(began_anew, "the count begins anew").await;
    }
}

#[tokio::test]
async fn what_is_no_number_or_would_be_too_large_is_an_error_and_stays_as_it_is() {
    let server = RedisServer::start();
    for cache in tiers(&server).await {
        cache.set("name", &"ada".to_owned(), None).await.unwrap();
        let problem = cache.incr("name", 1).await.unwrap_err();
        assert_eq!(problem.kind(), ErrorKind::Value);
        assert_eq!(cache.get("name").await.unwrap(), Some("ada".to_owned()));

        cache.set("count", &(i64::MAX - 1), None).await.unwrap();
        assert_eq!(cache.incr("count", 1).await.unwrap(), i64::MAX);
        let problem = cache.incr("count", 1).await.unwrap_err();
        assert_eq!(problem.kind(), ErrorKind::Value);
        assert_eq!(cache.get::<i64>("count").await.unwrap(), Some(i64::MAX));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_count_is_lost_or_told_twice_whoever_counts() {
    const TASKS: usize = 8;
    const EACH: usize = 40;
    let server = RedisServer::start();
    let (one, other) = (at(&server.url()), at(&server.url()));
    let (one, other) = (one.open().await.unwrap(), other.open().await.unwrap());
    let in_process = Cache::builder().open().await.unwrap();
    for caches in [[&one, &other], [&in_process, &in_process]] {
        let mut tasks = Vec::new();
        for number in 0..TASKS {
            let cache = caches[number % 2].clone();
            tasks.push(tokio::spawn(async move {
                let mut told = Vec::new();
                for _ in 0..EACH {
                    told.push(cache.incr("hits:all", 1).await.unwrap());
                    // Others keep it in process meanwhile, and nothing older than this.
                    let read = cache.get::<i64>("hits:all").await.unwrap();
                    assert!(read >= told.last().copied(), "{read:?} after {told:?}");
                }
                told
            }));
        }
        let mut told = BTreeSet::new();
        for task in tasks {
            told.extend(task.await.unwrap());
        }
        let expected = i64::try_from(TASKS * EACH).unwrap();
        assert_eq!(told, (1..=expected).collect());
        for cache in caches {
            let read = async || cache.get::<i64>("hits:all").await.unwrap() == Some(expected);
            wait_until_async(read, "every process reads the sum").await;
        }
    }
}

#[tokio::test]
async fn who_counts_reads_its_own_count_at_once_and_a_load_does_not_overwrite_it() {
    let server = RedisServer::start();
    for cache in tiers(&server).await {
        for round in 1..20_i64 {
            assert_eq!(cache.incr("own", 1).await.unwrap(), round);
            assert_eq!(cache.get::<i64>("own").await.unwrap(), Some(round));
        }
        let load = || async {
            assert_eq!(cache.incr("loaded", 5).await.unwrap(), 5);
            Ok::<_, ErrorKind>(100_i64)
        };
        assert_eq!(cache.get_or_set("loaded", None, load).await, Ok(100));
        assert_eq!(cache.get::<i64>("loaded").await.unwrap(), Some(5));
    }
}

#[tokio::test]
async fn while_redis_is_away_a_process_counts_for_itself_and_afterwards_redis_goes_on() {
    let server = RedisServer::start();
    let network = Proxy::start(server.port());
    let cache = at(&network.url()).response_timeout(RESPONSE);
    let cache = cache.open().await.unwrap();
    assert_eq!(cache.incr("hits", 10).await.unwrap(), 10);
    network.set(Fault::Refuse);
    let away = async || {
        let _ = cache.get::<u64>("a:b").await;
        cache.mode() == Mode::Fallback
    };
    wait_until_async(away, "redis is away").await;

    let start = Instant::now();
    let first = cache.incr("hits", 1).await.unwrap();
    assert_eq!(cache.incr("hits", 1).await.unwrap(), first + 1);
    assert_eq!(cache.get::<i64>("hits").await.unwrap(), Some(first + 1));
    assert!(start.elapsed() < RESPONSE, "{:?}", start.elapsed());

    network.set(Fault::None);
    let back = async || {
        let _ = cache.health().await;
        cache.mode() == Mode::Redis
    };
    wait_until_async(back, "redis is back").await;
    assert_eq!(cache.incr("hits", 1).await.unwrap(), 11);
}

#[tokio::test]
async fn a_count_whose_answer_does_not_come_is_an_error_after_one_deadline() {
    let server = RedisServer::start();
    let network = Proxy::start(server.port());
    let cache = at(&network.url()).response_timeout(RESPONSE);
    let cache = cache.open().await.unwrap();
    assert_eq!(cache.incr("hits", 1).await.unwrap(), 1);
    network.set(Fault::BlackHole);
    let start = Instant::now();

    // It is not known that redis is away, so nothing stands in for it.
    let problem = cache.incr("hits", 1).await.unwrap_err();

    assert_eq!(problem.kind(), ErrorKind::Unreachable);
    assert!(start.elapsed() < RESPONSE * 3, "{:?}", start.elapsed());
}

// --- check ------------------------------------------------------------------------------------

fn names(check: &cache_runtime::Check) -> Vec<&'static str> {
    check.steps.iter().map(|step| step.name).collect()
}

#[tokio::test]
async fn a_check_tries_every_step_and_leaves_nothing_behind() {
    let server = RedisServer::start();
    for cache in tiers(&server).await {
        let check = tokio::spawn({
            let cache = cache.clone();
            async move { cache.check().await }
        });
        let check = check.await.unwrap();

        assert!(check.passed, "{check:#?}");
        assert!(check.steps.iter().all(|step| step.passed));
        let expected: &[_] = match check.backend {
            "redis" => &["open", "connect", "write", "read", "compare", "delete"],
            _ => &["open", "write", "read", "compare", "delete"],
        };
        assert_eq!(names(&check), expected);
        assert_eq!(check.mode, cache.mode());
        assert_eq!(cache.stats().entries, 0);
        let text = serde_json::to_string(&check).unwrap();
        assert!(text.contains(r#""name":"compare","passed":true"#), "{text}");
    }
    assert_eq!(server.keys("*check@*"), Vec::<String>::new());
}

#[tokio::test]
async fn a_check_names_the_step_that_failed_and_those_it_did_not_come_to() {
    let server = RedisServer::start_with(&["--requirepass", "sesame"]);
    let cache = at(&server.url()).open().await.unwrap();
    for (command, step) in [
        ("mget", "connect"),
        ("evalsha", "write"),
        ("unlink", "delete"),
    ] {
        let also = if command == "evalsha" {
            "-eval"
        } else {
            "-append"
        };
        let refused = format!("-{command}");
        let rule = ["ACL", "SETUSER", "default", &refused, also];
        assert_eq!(server.cli(&rule), "OK");

        let check = cache.check().await;

        assert!(!check.passed);
        let failed: Vec<_> = check.steps.iter().filter(|step| !step.passed).collect();
        assert_eq!(failed[0].name, step, "{check:#?}");
        assert!(
            failed[0]
                .problem
                .as_deref()
                .unwrap()
                .contains("redis refuse")
        );
        for later in &failed[1..] {
            let problem = later.problem.as_deref().unwrap();
            assert_eq!(problem, format!("not tried, since `{step}` failed"));
        }
        assert!(!format!("{check:?}").contains("sesame"));
        let rule = ["ACL", "SETUSER", "default", "+@all"];
        assert_eq!(server.cli(&rule), "OK");
        let passes = async || cache.check().await.passed;
        wait_until_async(passes, "it passes again").await;
    }
}

#[tokio::test]
async fn a_check_fails_while_something_stands_in_for_redis() {
    let server = RedisServer::start();
    let cache = at(&server.url()).response_timeout(RESPONSE);
    let cache = cache.open().await.unwrap();
    server.kill();

    let check = cache.check().await;

    assert!(!check.passed);
    assert_eq!((check.backend, check.steps[1].name), ("redis", "connect"));
    assert!(
        check.steps[0].passed && !check.steps[1].passed,
        "{check:#?}"
    );
    assert_eq!(check.mode, Mode::Fallback);
}

#[tokio::test]
async fn a_cache_that_is_closed_or_disabled_fails_its_first_step() {
    let closed = Cache::builder().open().await.unwrap();
    closed.close().await;
    let disabled = Cache::builder().enabled(false).open().await.unwrap();
    for (cache, word) in [(closed, "closed"), (disabled, "disabled")] {
        let check = cache.check().await;

        assert!(!check.passed && !check.steps[0].passed);
        let problem = check.steps[0].problem.as_deref().unwrap();
        assert!(problem.contains(word), "{problem}");
        assert_eq!((check.backend, check.mode), ("none", Mode::Disabled));
    }
}
