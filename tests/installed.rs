//! Functions in the cache of the whole process, where no other was ever used and no call acted on: what most programs do, and
//! the shortest way to a value. There is one such cache, so this is one test.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_runtime::{Cache, Mode, bypass, cached, peek, refresh, with_cache};
use support::{Fault, Proxy, RedisServer, wait_until_async};

static BODIES: AtomicU64 = AtomicU64::new(0);

/// What was done, and how many bodies ran meanwhile.
async fn bodies<T>(work: impl Future<Output = T>) -> (T, u64) {
    let before = BODIES.load(Ordering::SeqCst);
    let done = work.await;
    (done, BODIES.load(Ordering::SeqCst) - before)
}

#[cached(ttl = "1h", prefix = "film")]
async fn film(id: u64, language: &str) -> String {
    BODIES.fetch_add(1, Ordering::SeqCst);
    format!("{id} in {language}")
}

type Link<T> = Arc<T>;

#[cached(ttl = "1h", prefix = "link", key = "{id}")]
async fn linked(id: u64) -> Link<String> {
    Arc::new(film(id, "en").await)
}

#[cached(ttl = "1h", prefix = "tried", key = "{id}")]
async fn tried(id: u64) -> Result<Arc<String>, String> {
    Ok(Arc::new(film(id, "en").await))
}

trait Named {
    const NAME: &'static str;
}

struct One;
struct Other;

impl Named for One {
    const NAME: &'static str = "one";
}

impl Named for Other {
    const NAME: &'static str = "other";
}

#[cached(ttl = "1h", prefix = "named")]
async fn named<T: Named>(id: u64) -> String {
    BODIES.fetch_add(1, Ordering::SeqCst);
    format!("{id} of {}", T::NAME)
}

#[tokio::test]
async fn a_call_finds_its_own_value_and_no_other_and_goes_on_where_more_is_to_be_done() {
    let server = RedisServer::start();
    let network = Proxy::start(server.port());
    let cache = Cache::builder()
        .redis_url(network.url())
        .connect_timeout(Duration::from_millis(500))
        .response_timeout(Duration::from_millis(200))
        .open()
        .await
        .unwrap();
    cache_runtime::install(cache.clone()).unwrap();

    each_has_its_value().await;
    all_share_what_an_arc_points_to(&cache).await;
    hits_alone_find_redis_again(&cache, &network).await;
    what_a_caller_asks_for_is_done(&cache).await;
    cache.close().await;
    for _ in 0..2 {
        assert_eq!(bodies(film(1, "en")).await.1, 1, "it is closed");
    }
    another_cache_has_other_values().await;
}

async fn each_has_its_value() {
    for round in 0..4 {
        for id in 0..20 {
            for language in ["", "e", "en", "eng", "engl", "english ", "0", "true"] {
                let (value, bodies) = bodies(film(id, language)).await;
                assert_eq!(value, format!("{id} in {language}"));
                assert_eq!(bodies, u64::from(round == 0));
            }
            let (values, bodies) =
                bodies(async { (named::<One>(id).await, named::<Other>(id).await) }).await;
            assert_eq!(values, (format!("{id} of one"), format!("{id} of other")));
            assert_eq!(bodies, if round == 0 { 2 } else { 0 });
        }
    }
}

async fn all_share_what_an_arc_points_to(cache: &Cache) {
    let link = linked(1).await;
    let try_link = tried(1).await.unwrap();
    assert_eq!((link.as_str(), try_link.as_str()), ("1 in en", "1 in en"));
    for round in 0..4 {
        assert!(Arc::ptr_eq(&linked(1).await, &link), "{round}");
        assert!(Arc::ptr_eq(&tried(1).await.unwrap(), &try_link), "{round}");
        for (key, value) in [("link:1", &link), ("tried:1", &try_link)] {
            let by_hand: Option<Arc<String>> = cache.get(key).await.unwrap();
            assert!(Arc::ptr_eq(&by_hand.unwrap(), value), "{key}, {round}");
        }
    }
    // What is kept by hand is found as well, and stands in front like any other.
    let value = Arc::new("by hand".to_owned());
    let (hour, key) = (Duration::from_secs(3_600), "link:2");
    cache.set(key, &value, hour).await.unwrap();
    for round in 0..4 {
        assert_eq!(linked(2).await, value, "{round}");
    }
}

/// Somebody has to find it, and nobody else calls.
async fn hits_alone_find_redis_again(cache: &Cache, network: &Proxy) {
    network.set(Fault::Refuse);
    let away = async || {
        film(1, "en").await;
        cache.mode() == Mode::Fallback
    };
    wait_until_async(away, "Redis is away").await;
    let hits = async || bodies(film(1, "en")).await.1 == 0;
    wait_until_async(hits, "the process has it").await;

    network.set(Fault::None);
    let back = async || {
        assert_eq!(film(1, "en").await, "1 in en");
        cache.mode() == Mode::Redis
    };
    wait_until_async(back, "Redis is found again").await;
}

async fn what_a_caller_asks_for_is_done(cache: &Cache) {
    let (value, ran) = bodies(film(1, "en")).await;
    assert_eq!((value.as_str(), ran <= 1), ("1 in en", true));
    assert_eq!(
        bodies(peek(film(1, "en"))).await,
        (Some("1 in en".to_owned()), 0)
    );
    assert_eq!(bodies(refresh(film(1, "en"))).await.1, 1);
    let key = cache_runtime::key_of(film(1, "en")).unwrap();
    cache.delete(&key).await.unwrap();
    assert_eq!(bodies(film(1, "en")).await.1, 1);
}

async fn another_cache_has_other_values() {
    let other = Cache::builder().open().await.unwrap();
    let inside = async || bodies(with_cache(other.clone(), film(1, "en"))).await.1;
    assert_eq!((inside().await, inside().await), (1, 0));
    assert_eq!(
        bodies(with_cache(other.clone(), bypass(film(1, "en"))))
            .await
            .1,
        1
    );
    assert_eq!(bodies(film(1, "en")).await.1, 1);
}
