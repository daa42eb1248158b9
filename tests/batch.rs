//! Batch functions: each id has an entry of its own, which is that of the function of a single id, and the body is asked for
//! what nobody has.

mod support;

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use cache_runtime::{
    Cache, ErrorKind, Source as Came, Traced, cache_invalidate, cached, traced, warm, with_cache,
};
use support::{Fault, Log, Proxy, RedisServer, on};
use tracing::Level;

const RESPONSE: Duration = Duration::from_millis(300);

/// A source of users, and what it was asked for.
#[derive(Default)]
struct Source {
    asked: Mutex<Vec<Vec<u64>>>,
    fails: Mutex<bool>,
    rename: Mutex<&'static str>,
}

impl Source {
    fn user(&self, id: u64) -> String {
        format!("user {id}{}", self.rename.lock().unwrap())
    }

    fn ask(&self, ids: &[u64]) -> Result<HashMap<u64, String>, String> {
        self.asked.lock().unwrap().push(ids.to_vec());
        if *self.fails.lock().unwrap() {
            return Err("no connection".to_owned());
        }
        // Nobody has an id above 1,000,000.
        let there = ids.iter().filter(|id| **id < 1_000_000);
        Ok(there.map(|id| (*id, self.user(*id))).collect())
    }

    fn fail(&self, fails: bool) {
        *self.fails.lock().unwrap() = fails;
    }

    fn asked(&self) -> Vec<Vec<u64>> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

#[cached(batch, ttl = 300, prefix = "user", key = "{id}")]
async fn users(source: &Source, ids: Vec<u64>) -> Result<HashMap<u64, String>, String> {
    source.ask(&ids)
}

#[cached(ttl = 300, prefix = "user", key = "{id}")]
async fn user(source: &Source, id: u64) -> Result<String, String> {
    source.ask(&[id])?.remove(&id).ok_or("no such user".into())
}

/// A function of a single id, which knows that there may be none.
#[cached(ttl = 300, prefix = "found", key = "{id}")]
async fn found_user(source: &Source, id: u64) -> Result<Option<String>, String> {
    Ok(source.ask(&[id])?.remove(&id))
}

#[cached(
    batch,
    ttl = 300,
    negative_ttl = "200ms",
    prefix = "found",
    key = "{id}"
)]
async fn found_users(source: &Source, ids: &[u64]) -> Result<BTreeMap<u64, String>, String> {
    Ok(source.ask(ids)?.into_iter().collect())
}

#[cached(batch, prefix = "found", key = "{id}")]
async fn certain_users(source: &Source, ids: &[u64]) -> Result<Vec<String>, String> {
    source.ask(ids)?;
    Ok(ids.iter().map(|id| source.user(*id)).collect())
}

#[cached(batch, prefix = "tagged", key = "{id}", tags = ["user:{id}", "all"])]
async fn tagged(source: &Source, ids: &[u64]) -> Vec<String> {
    source.ask(ids).unwrap();
    ids.iter().map(|id| source.user(*id)).collect()
}

#[cache_invalidate(tags = ["user:{id}"])]
async fn retag(id: u64) {}

#[cached(batch, prefix = "far", key = "{id}", near = false)]
async fn far(source: &Source, ids: &[u64]) -> Vec<String> {
    source.ask(ids).unwrap();
    ids.iter().map(|id| source.user(*id)).collect()
}

/// It names many entries, so everything of that prefix is forgotten.
#[cache_invalidate(entry = users(source, vec![1]))]
async fn change_user(source: &Source) {}

async fn tiers(server: &RedisServer) -> [Cache; 2] {
    [Cache::builder().open().await.unwrap(), on(server).await]
}

fn map(ids: &[u64]) -> HashMap<u64, String> {
    ids.iter().map(|id| (*id, format!("user {id}"))).collect()
}

#[tokio::test]
async fn the_body_is_asked_for_those_that_nobody_has_each_once_and_in_order() {
    let server = RedisServer::start();
    for cache in tiers(&server).await {
        let source = Source::default();
        with_cache(cache, async {
            assert_eq!(users(&source, vec![3, 1, 3, 2]).await, Ok(map(&[1, 2, 3])));
            assert_eq!(
                users(&source, vec![1, 9, 2, 7, 9]).await,
                Ok(map(&[1, 2, 7, 9]))
            );
            assert_eq!(users(&source, vec![9, 7, 3]).await, Ok(map(&[3, 7, 9])));
            assert_eq!(users(&source, vec![]).await, Ok(map(&[])));
        })
        .await;
        assert_eq!(source.asked(), [vec![3, 1, 2], vec![9, 7]]);
    }
}

#[tokio::test]
async fn a_list_is_answered_in_the_order_of_its_ids_however_often_each_is_named() {
    let server = RedisServer::start();
    for cache in tiers(&server).await {
        let source = Source::default();
        with_cache(cache, async {
            for _ in 0..2 {
                let users = certain_users(&source, &[3, 1, 3, 2, 3]).await.unwrap();
                assert_eq!(users, ["user 3", "user 1", "user 3", "user 2", "user 3"]);
            }
            let users = certain_users(&source, &[4, 3, 5]).await.unwrap();
            assert_eq!(users, ["user 4", "user 3", "user 5"]);
        })
        .await;
        assert_eq!(source.asked(), [vec![3, 1, 2], vec![4, 5]]);
    }
}

#[tokio::test]
async fn an_entry_is_that_of_the_function_of_a_single_id() {
    let server = RedisServer::start();
    for writer in tiers(&server).await {
        // Another process, where there is a Redis.
        let reader = match writer.stats().using_redis {
            true => on(&server).await,
            false => writer.clone(),
        };
        let source = Source::default();
        let batch = |ids| with_cache(writer.clone(), users(&source, ids));
        let single = |id| with_cache(reader.clone(), user(&source, id));

        assert_eq!(batch(vec![1, 2]).await, Ok(map(&[1, 2])));
        assert_eq!(single(1).await, Ok("user 1".into()));
        assert_eq!(single(3).await, Ok("user 3".into()));
        assert_eq!(batch(vec![3, 2]).await, Ok(map(&[2, 3])));
        assert_eq!(source.asked(), [vec![1, 2], vec![3]]);
        let by_hand = reader.get("user:2").await.unwrap();
        assert_eq!(by_hand, Some("user 2".to_owned()));
    }
}

#[tokio::test]
async fn with_a_negative_ttl_it_is_that_of_a_function_that_returns_an_option() {
    let server = RedisServer::start();
    for cache in tiers(&server).await {
        let source = Source::default();
        with_cache(cache, async {
            let there = BTreeMap::from([(1, "user 1".to_owned())]);
            assert_eq!(found_users(&source, &[1, 7_000_000]).await, Ok(there));
            assert_eq!(found_user(&source, 1).await, Ok(Some("user 1".into())));
            assert_eq!(found_user(&source, 7_000_000).await, Ok(None));
            assert_eq!(source.asked(), [vec![1, 7_000_000]]);

            assert_eq!(found_user(&source, 8_000_000).await, Ok(None));
            assert_eq!(found_user(&source, 2).await, Ok(Some("user 2".into())));
            let there = BTreeMap::from([(2, "user 2".to_owned())]);
            assert_eq!(found_users(&source, &[2, 8_000_000]).await, Ok(there));
            assert_eq!(source.asked(), [vec![8_000_000], vec![2]]);
        })
        .await;
    }
}

/// An entry that holds a value is none for a function whose entry may say that there is none, and the other way round.
#[tokio::test]
async fn an_entry_of_another_type_is_a_miss_and_never_misread() {
    let server = RedisServer::start();
    for cache in tiers(&server).await {
        let source = Source::default();
        with_cache(cache, async {
            certain_users(&source, &[1, 2]).await.unwrap();
            assert_eq!(found_user(&source, 1).await, Ok(Some("user 1".into())));
            assert_eq!(certain_users(&source, &[1]).await.unwrap(), ["user 1"]);
        })
        .await;
        assert_eq!(source.asked(), [vec![1, 2], vec![1], vec![1]]);
    }
}

#[tokio::test]
async fn an_id_without_a_value_is_asked_for_again_unless_a_negative_ttl_keeps_that() {
    let server = RedisServer::start();
    for cache in tiers(&server).await {
        let source = Source::default();
        with_cache(cache, async {
            for _ in 0..2 {
                assert_eq!(users(&source, vec![1, 7_000_000]).await, Ok(map(&[1])));
            }
            assert_eq!(source.asked(), [vec![1, 7_000_000], vec![7_000_000]]);

            let began = Instant::now();
            for _ in 0..2 {
                let there = found_users(&source, &[7_000_000]).await.unwrap();
                assert!(there.is_empty());
            }
            let kept = source.asked().len();
            assert!(kept == 1 || began.elapsed() >= Duration::from_millis(200));
            tokio::time::sleep(Duration::from_millis(250)).await;
            found_users(&source, &[7_000_000]).await.unwrap();
            assert_eq!(source.asked().len(), 1);
        })
        .await;
    }
}

#[tokio::test]
async fn what_the_map_holds_beyond_the_ids_is_neither_returned_nor_kept() {
    #[cached(batch)]
    async fn squares(ids: Vec<u8>) -> HashMap<u8, u32> {
        (0..=u8::MAX)
            .filter(|id| *id < 200 || ids.is_empty())
            .map(|id| (id, 1))
            .collect()
    }
    let cache = Cache::builder().open().await.unwrap();
    with_cache(cache.clone(), async {
        assert_eq!(squares(vec![1, 2]).await.len(), 2);
        assert_eq!(cache.stats().entries, 2);
    })
    .await;
}

#[tokio::test]
async fn an_error_is_returned_alone_and_nothing_is_left_of_the_load() {
    let server = RedisServer::start();
    for cache in tiers(&server).await {
        let source = Source::default();
        with_cache(cache, async {
            users(&source, vec![1, 2]).await.unwrap();
            source.fail(true);
            let failed = users(&source, vec![1, 3]).await;
            assert_eq!(failed, Err("no connection".into()));
            assert_eq!(users(&source, vec![1, 2]).await, Ok(map(&[1, 2])));
            source.fail(false);
            assert_eq!(users(&source, vec![1, 3]).await, Ok(map(&[1, 3])));
        })
        .await;
        assert_eq!(source.asked(), [vec![1, 2], vec![3], vec![3]]);
    }
    let gone = || server.keys("lease@*").is_empty();
    support::wait_until(gone, "the leases are given back");
}

#[tokio::test]
async fn another_number_of_values_than_ids_is_returned_as_it_is_and_not_stored() {
    #[cached(batch)]
    async fn first(ids: &[u64]) -> Vec<u64> {
        ids.iter().take(1).copied().collect()
    }
    let cache = Cache::builder().open().await.unwrap();
    let (log, _guard) = Log::of_this_thread();
    with_cache(cache.clone(), async {
        assert_eq!(first(&[5, 6]).await, [5]);
        assert_eq!(first(&[7]).await, [7]);
        assert_eq!(first(&[7, 8]).await, [7, 8], "it was asked for 8 alone");
    })
    .await;
    log.only(Level::ERROR, "another number of values");
    assert_eq!(cache.stats().entries, 2);
}

fn calls(server: &RedisServer, command: &str) -> u64 {
    let stats = server.cli(&["INFO", "commandstats"]);
    let name = format!("cmdstat_{command}:calls=");
    let line = stats.lines().find_map(|line| line.strip_prefix(&name));
    let count = line.and_then(|line| line.split(',').next());
    count.map_or(0, |count| count.parse().unwrap())
}

#[tokio::test]
async fn all_hits_take_one_read_of_redis_and_then_none() {
    let server = RedisServer::start();
    let (one, other) = (on(&server).await, on(&server).await);
    let (source, ids) = (Source::default(), (0..100).collect::<Vec<u64>>());
    with_cache(one, users(&source, ids.clone())).await.unwrap();
    with_cache(other, async {
        let before = calls(&server, "mget");
        assert_eq!(users(&source, ids.clone()).await, Ok(map(&ids)));
        assert_eq!(calls(&server, "mget"), before + 1);
        assert_eq!(users(&source, ids.clone()).await, Ok(map(&ids)));
        assert_eq!(calls(&server, "mget"), before + 1);
    })
    .await;
    assert_eq!(source.asked().len(), 1);
}

#[tokio::test]
async fn how_often_it_goes_to_redis_and_back_does_not_grow_with_the_ids() {
    const DELAY: Duration = Duration::from_millis(40);
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let builder = Cache::builder().redis_url(proxy.url());
    let builder = builder.response_timeout(Duration::from_secs(5));
    let cache = builder.open().await.unwrap();
    let source = Source::default();
    with_cache(cache, async {
        far(&source, &[0]).await;
        proxy.set(Fault::Delay(DELAY));
        let began = Instant::now();
        far(&source, &(1..=200).collect::<Vec<_>>()).await;
        let took = began.elapsed();
        println!("200 misses took {took:?}, with a delay of {DELAY:?} each way");
        assert!(took < DELAY * 40, "{took:?}");
    })
    .await;
}

#[tokio::test]
async fn more_ids_than_fit_one_request_are_found_all_the_same() {
    let server = RedisServer::start();
    let cache = on(&server).await;
    let (source, ids) = (Source::default(), (0..2_000).collect::<Vec<u64>>());
    with_cache(cache, async {
        let wanted: Vec<_> = ids.iter().map(|id| source.user(*id)).collect();
        assert_eq!(far(&source, &ids).await, wanted);
        assert_eq!(far(&source, &ids).await, wanted);
    })
    .await;
    assert_eq!(source.asked().len(), 1);
}

#[tokio::test]
async fn each_key_is_counted_as_one_call() {
    let server = RedisServer::start();
    let cache = on(&server).await;
    let source = Source::default();
    with_cache(cache.clone(), async {
        users(&source, vec![1, 2, 2]).await.unwrap();
        users(&source, vec![1, 2, 3]).await.unwrap();
    })
    .await;
    let stats = cache.stats();
    let counted = (stats.misses, stats.near_hits, stats.loads, stats.errors);
    assert_eq!(counted, (3, 2, 2, 0));
}

#[tokio::test]
async fn the_tags_of_an_entry_are_those_of_its_id() {
    let server = RedisServer::start();
    for cache in tiers(&server).await {
        let source = Source::default();
        with_cache(cache.clone(), async {
            tagged(&source, &[1, 2, 3]).await;
            retag(2).await;
            assert_eq!(tagged(&source, &[1, 2, 3]).await.len(), 3);
            assert_eq!(source.asked(), [vec![1, 2, 3], vec![2]]);
            cache.invalidate_tag("all").await.unwrap();
            tagged(&source, &[1, 2, 3]).await;
            assert_eq!(source.asked(), [vec![1, 2, 3]]);
        })
        .await;
    }
}

#[tokio::test]
async fn without_redis_the_values_are_those_of_the_body() {
    let server = RedisServer::start();
    let builder = Cache::builder().redis_url(server.url());
    let builder = builder.connect_timeout(RESPONSE).response_timeout(RESPONSE);
    let cache = builder.open().await.unwrap();
    let source = Source::default();
    with_cache(cache, async {
        users(&source, vec![1]).await.unwrap();
        server.pause();
        let began = Instant::now();
        let ids: Vec<u64> = (1..=600).collect();
        assert_eq!(users(&source, ids.clone()).await, Ok(map(&ids)));
        // Both parts that are asked for, and no more than one deadline each.
        assert!(began.elapsed() < RESPONSE * 4, "{:?}", began.elapsed());
        server.resume();
        server.kill();
        source.asked();
        assert_eq!(users(&source, ids.clone()).await, Ok(map(&ids)));
        assert_eq!(users(&source, vec![601, 1]).await, Ok(map(&[601, 1])));
    })
    .await;
}

#[tokio::test]
async fn what_acts_on_a_call_acts_on_every_id_or_says_that_there_are_many() {
    let server = RedisServer::start();
    for cache in tiers(&server).await {
        let source = Source::default();
        with_cache(cache, async {
            let ids = || users(&source, vec![1, 2]);
            ids().await.unwrap();
            *source.rename.lock().unwrap() = "!";
            let anew = cache_runtime::refresh(ids()).await.unwrap();
            assert_eq!(anew[&1], "user 1!");
            assert_eq!(ids().await, Ok(anew));
            let uncached = cache_runtime::bypass(ids()).await.unwrap();
            assert_eq!(uncached[&2], "user 2!");
            assert_eq!(source.asked().len(), 3);

            assert_eq!(cache_runtime::peek(ids()).await, None);
            let problem = cache_runtime::key_of(ids()).unwrap_err();
            assert_eq!(problem.kind(), ErrorKind::Key, "{problem}");
            assert_eq!(source.asked(), Vec::<Vec<u64>>::new());

            change_user(&source).await;
            ids().await.unwrap();
            assert_eq!(source.asked(), [vec![1, 2]]);
        })
        .await;
    }
}

#[tokio::test]
async fn what_is_said_of_the_value_of_a_batch_is_true_of_the_id_that_came_from_farthest() {
    let server = RedisServer::start();
    let (cache, other) = (on(&server).await, on(&server).await);
    let source = Source::default();
    let ids = |ids: &[u64]| {
        let call = users(&source, ids.to_vec());
        with_cache(cache.clone(), traced(call))
    };
    let said = |traced: &Traced<_>| (traced.source, traced.coalesced);

    assert_eq!(said(&ids(&[1, 2]).await), (Came::Load, false));
    let again = ids(&[1, 2]).await;
    assert_eq!(said(&again), (Came::Near, false));
    assert!(again.age > Duration::ZERO);
    with_cache(other, users(&source, vec![3])).await.unwrap();
    assert_eq!(said(&ids(&[1, 3]).await), (Came::Redis, false));
    assert_eq!(said(&ids(&[1, 2, 3]).await), (Came::Near, false));
    assert_eq!(said(&ids(&[1, 4, 3]).await), (Came::Load, false));
    source.fail(true);
    assert_eq!(said(&ids(&[1, 5]).await), (Came::Load, false));
}

#[tokio::test]
async fn a_batch_is_warmed_like_any_call() {
    let server = RedisServer::start();
    for cache in tiers(&server).await {
        let source = Source::default();
        with_cache(cache, async {
            users(&source, vec![1, 2]).await.unwrap();
            source.asked();
            let asked: [&[u64]; 3] = [&[1, 2], &[2, 3], &[4]];
            let calls = asked.map(|ids| users(&source, ids.to_vec()));

            let warmed = warm(calls).concurrency(1).await;

            let counted = (warmed.already_there, warmed.loaded, warmed.failed);
            assert_eq!(counted, (1, 2, 0));
            assert_eq!(source.asked(), [vec![3], vec![4]]);
            source.fail(true);
            let warmed = warm([users(&source, vec![5]), users(&source, vec![1])]).await;
            assert_eq!((warmed.already_there, warmed.failed), (1, 1));
            source.asked();
            let bypassing = cache_runtime::bypass(warm([users(&source, vec![6])])).await;
            assert_eq!((bypassing.skipped, source.asked().len()), (1, 0));
        })
        .await;
    }
}
