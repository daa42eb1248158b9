//! Batches beside others: one load for each id, no batch waits for another that waits for it, and what is invalidated during
//! a load is not stored.

mod support;

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;

use cache_runtime::{Cache, cache_invalidate, cached, with_cache};
use support::{Dice, RedisServer, dice, on, wait_until_async};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

const USERS: usize = 12;

/// The users that there are, by their versions, and what was asked of them.
#[derive(Default)]
struct Truth {
    versions: [AtomicU64; USERS],
    /// The version below which nobody may read, since an invalidation after it has ended.
    settled: [AtomicU64; USERS],
    asked: Mutex<Vec<Vec<usize>>>,
    /// Bodies wait at the gate whose lists begin with these ids.
    held: Mutex<Vec<usize>>,
    reached: Option<Gate>,
    fails: Mutex<Vec<usize>>,
}

struct Gate {
    reached: Semaphore,
    open: Semaphore,
}

impl Truth {
    fn gated(held: &[usize]) -> Arc<Self> {
        let gate = Gate {
            reached: Semaphore::new(0),
            open: Semaphore::new(0),
        };
        Arc::new(Self {
            held: Mutex::new(held.to_vec()),
            reached: Some(gate),
            ..Self::default()
        })
    }

    async fn reached(&self, count: u32) {
        let gate = self.reached.as_ref().unwrap();
        gate.reached.acquire_many(count).await.unwrap().forget();
    }

    fn open(&self) {
        self.held.lock().unwrap().clear();
        self.reached.as_ref().unwrap().open.add_permits(100);
    }

    async fn read(&self, ids: &[usize]) -> Result<HashMap<usize, u64>, String> {
        self.asked.lock().unwrap().push(ids.to_vec());
        let of = |id: &usize| (*id, self.versions[*id].load(Ordering::SeqCst));
        let read = ids.iter().filter(|id| **id < USERS).map(of).collect();
        let held = ids
            .first()
            .is_some_and(|id| self.held.lock().unwrap().contains(id));
        if let (true, Some(gate)) = (held, &self.reached) {
            gate.reached.add_permits(1);
            gate.open.acquire().await.unwrap().forget();
        }
        let mut fails = self.fails.lock().unwrap();
        let failing = fails.iter().position(|id| ids.contains(id));
        match failing.map(|at| fails.remove(at)) {
            Some(id) => Err(format!("{id} cannot be read")),
            None => Ok(read),
        }
    }

    fn change(&self, id: usize) -> u64 {
        self.versions[id].fetch_add(1, Ordering::SeqCst) + 1
    }

    fn asked(&self) -> Vec<Vec<usize>> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    /// How often each id was loaded.
    fn loads(&self) -> HashMap<usize, usize> {
        let mut loads = HashMap::new();
        for id in self.asked().into_iter().flatten() {
            *loads.entry(id).or_default() += 1;
        }
        loads
    }
}

#[cached(batch, ttl = 300, prefix = "user", key = "{id}:name", tags = ["user:{id}"])]
async fn users(truth: &Truth, ids: &[usize]) -> Result<HashMap<usize, u64>, String> {
    truth.read(ids).await
}

#[cached(ttl = 300, prefix = "user", key = "{id}:name", tags = ["user:{id}"])]
async fn user(truth: &Truth, id: usize) -> Result<u64, String> {
    Ok(truth.read(&[id]).await?[&id])
}

/// Its body can run only once, since what it borrows cannot be had again.
#[cached(batch, ttl = 300, prefix = "user", key = "{id}:name", tags = ["user:{id}"])]
async fn users_once(
    truth: &Truth,
    calls: &mut usize,
    ids: Vec<usize>,
) -> Result<HashMap<usize, u64>, String> {
    *calls += 1;
    truth.read(&ids).await
}

/// In front of Redis a value in process may lag by a second behind what another process invalidates.
#[cached(batch, ttl = 300, prefix = "far", key = "{id}", near = false)]
async fn far(truth: &Truth, ids: &[usize]) -> Result<HashMap<usize, u64>, String> {
    truth.read(ids).await
}

#[cached(ttl = 300, prefix = "far", key = "{id}", near = false)]
async fn far_one(truth: &Truth, id: usize) -> Result<u64, String> {
    Ok(truth.read(&[id]).await?[&id])
}

#[cache_invalidate(prefix = "far", key = "{id}")]
async fn change_far(truth: &Truth, id: usize) -> u64 {
    truth.change(id)
}

#[cache_invalidate(prefix = "far")]
async fn change_all_far(truth: &Truth, id: usize) -> u64 {
    truth.change(id)
}

async fn tiers(server: &RedisServer) -> [Cache; 2] {
    [Cache::builder().open().await.unwrap(), on(server).await]
}

type Read = Result<HashMap<usize, u64>, String>;

fn read(cache: &Cache, truth: &Arc<Truth>, ids: &[usize]) -> tokio::task::JoinHandle<Read> {
    let (truth, ids) = (Arc::clone(truth), ids.to_vec());
    tokio::spawn(with_cache(cache.clone(), async move {
        users(&truth, &ids).await
    }))
}

/// Waits until so many ids wait for somebody else.
async fn waits(cache: &Cache, followed: impl Fn(&Cache) -> bool) {
    wait_until_async(async || followed(cache), "somebody waits").await;
}

fn in_flight(cache: &Cache) -> usize {
    let text = format!("{cache:?}");
    let (_, rest) = text.split_once("flights: ").unwrap();
    let digits = rest.chars().take_while(char::is_ascii_digit);
    digits.collect::<String>().parse().unwrap()
}

async fn leases_are_given_back(server: &RedisServer) {
    let gone = async || server.keys("lease@*").is_empty();
    wait_until_async(gone, "the leases are given back").await;
}

#[tokio::test]
async fn an_invalidation_during_a_load_ends_exactly_the_entries_that_it_covers() {
    let server = RedisServer::start();
    for cache in tiers(&server).await {
        for how in ["entry", "tag", "level", "prefix"] {
            let truth = Truth::gated(&[1]);
            let slow = read(&cache, &truth, &[1, 2, 3]);
            truth.reached(1).await;
            truth.change(2);
            match how {
                "entry" => drop(cache.delete("user:2:name").await.unwrap()),
                "tag" => drop(cache.invalidate_tag("user:2").await.unwrap()),
                "level" => drop(cache.invalidate_prefix("user:2").await.unwrap()),
                _ => drop(cache.invalidate_prefix("user").await.unwrap()),
            }
            truth.open();
            let old = slow.await.unwrap().unwrap();
            assert_eq!(old[&2], 0, "{how}: it was read before");
            truth.asked();

            let new = read(&cache, &truth, &[1, 2, 3]).await.unwrap().unwrap();
            assert_eq!(new[&2], 1, "{how}: the old value was left behind");
            let due = if how == "prefix" {
                vec![1, 2, 3]
            } else {
                vec![2]
            };
            assert_eq!(truth.asked(), [due], "{how}");
            cache.clear("*").await.unwrap();
        }
    }
}

#[tokio::test]
async fn who_comes_after_an_invalidation_does_not_get_what_was_loading_before_it() {
    let server = RedisServer::start();
    for cache in tiers(&server).await {
        let truth = Truth::gated(&[1]);
        let slow = read(&cache, &truth, &[1, 2]);
        truth.reached(1).await;
        truth.change(2);
        cache.delete("user:2:name").await.unwrap();
        let late = read(&cache, &truth, &[2, 3]).await.unwrap().unwrap();
        assert_eq!(late[&2], 1);
        truth.open();
        assert_eq!(slow.await.unwrap().unwrap()[&2], 0);
        cache.clear("*").await.unwrap();
    }
}

#[tokio::test]
async fn an_id_that_somebody_else_loads_is_awaited_and_not_loaded_again() {
    let server = RedisServer::start();
    for cache in tiers(&server).await {
        let truth = Truth::gated(&[1, 3, 5]);
        let first = read(&cache, &truth, &[1, 2]);
        truth.reached(1).await;
        // Its own ids are loaded while it waits for 2.
        let second = read(&cache, &truth, &[2, 3]);
        truth.reached(1).await;
        let single = tokio::spawn({
            let (cache, truth) = (cache.clone(), Arc::clone(&truth));
            with_cache(cache, async move { user(&truth, 3).await })
        });
        let alone = read(&cache, &truth, &[5]);
        truth.reached(1).await;
        truth.open();
        assert_eq!(first.await.unwrap().unwrap().len(), 2);
        assert_eq!(second.await.unwrap().unwrap().len(), 2);
        assert_eq!(single.await.unwrap(), Ok(0));
        assert_eq!(alone.await.unwrap().unwrap().len(), 1);
        assert_eq!(truth.asked(), [vec![1, 2], vec![3], vec![5]]);
        cache.clear("*").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_that_overlap_in_any_order_load_each_id_once_in_all() {
    let server = RedisServer::start();
    let mut dice = Dice(dice::seed("BATCH_SEED"));
    for cache in tiers(&server).await {
        for round in 0..30 {
            let truth = Arc::new(Truth::default());
            let mut tasks = JoinSet::new();
            for task in 0..16 {
                let mut ids: Vec<usize> = (0..USERS).filter(|_| dice.one_in(2)).collect();
                if task % 2 == 0 {
                    ids.reverse();
                }
                let (cache, truth) = (cache.clone(), Arc::clone(&truth));
                let once = task % 4 == 3;
                tasks.spawn(with_cache(cache, async move {
                    let mut calls = 0;
                    let read = match once {
                        true => users_once(&truth, &mut calls, ids.clone()).await,
                        false => users(&truth, &ids).await,
                    };
                    assert_eq!(read.unwrap().len(), ids.len());
                    assert!(calls <= 1);
                }));
            }
            let all = async {
                while let Some(ended) = tasks.join_next().await {
                    ended.unwrap();
                }
            };
            let all = tokio::time::timeout(support::DEADLINE, all).await;
            assert!(all.is_ok(), "round {round}: batches wait for each other");
            for (id, loads) in truth.loads() {
                assert_eq!(loads, 1, "round {round}: {id} was loaded by several");
            }
            cache.invalidate_prefix("user").await.unwrap();
        }
        assert_eq!(in_flight(&cache), 0);
    }
    leases_are_given_back(&server).await;
}

#[tokio::test]
async fn what_somebody_else_fails_to_load_is_loaded_with_another_run_of_the_body() {
    let server = RedisServer::start();
    for cache in tiers(&server).await {
        let truth = Truth::gated(&[1]);
        *truth.fails.lock().unwrap() = vec![1];
        let failing = read(&cache, &truth, &[1, 2]);
        truth.reached(1).await;
        let other = read(&cache, &truth, &[2, 3]);
        wait_until_async(
            async || truth.asked.lock().unwrap().len() == 2,
            "3 is loaded",
        )
        .await;
        truth.open();
        assert!(failing.await.unwrap().is_err());
        assert_eq!(other.await.unwrap().unwrap().len(), 2);
        assert_eq!(truth.asked(), [vec![1, 2], vec![3], vec![2]]);
        cache.clear("*").await.unwrap();
    }
}

/// A body that runs once is not run before it is certain what is left for it.
#[tokio::test]
async fn a_body_that_runs_once_runs_when_nobody_else_loads_any_of_the_rest() {
    let server = RedisServer::start();
    for cache in tiers(&server).await {
        for fails in [vec![], vec![1]] {
            let truth = Truth::gated(&[1]);
            *truth.fails.lock().unwrap() = fails.clone();
            let first = read(&cache, &truth, &[1, 2]);
            truth.reached(1).await;
            let once = tokio::spawn({
                let (cache, truth) = (cache.clone(), Arc::clone(&truth));
                with_cache(cache, async move {
                    let mut calls = 0;
                    let read = users_once(&truth, &mut calls, vec![2, 0]).await;
                    (read, calls)
                })
            });
            let settles = async || {
                tokio::task::yield_now().await;
                truth.asked.lock().unwrap().len() == 1 && in_flight(&cache) == 2
            };
            wait_until_async(settles, "it leads nothing").await;
            truth.open();
            assert_eq!(first.await.unwrap().is_err(), !fails.is_empty());
            let (read, calls) = once.await.unwrap();
            assert_eq!((read.unwrap().len(), calls), (2, 1));
            let due = if fails.is_empty() {
                vec![0]
            } else {
                vec![2, 0]
            };
            assert_eq!(truth.asked(), [vec![1, 2], due]);
            cache.clear("*").await.unwrap();
        }
    }
}

#[tokio::test]
async fn an_id_that_has_no_value_is_looked_for_once_by_all_who_ask_meanwhile() {
    let server = RedisServer::start();
    for cache in tiers(&server).await {
        let truth = Truth::gated(&[77]);
        let calls: Vec<_> = (0..10).map(|_| read(&cache, &truth, &[77])).collect();
        truth.reached(1).await;
        truth.open();
        for call in calls {
            assert!(call.await.unwrap().unwrap().is_empty());
        }
        assert!(truth.asked().len() <= 2, "the first, and who came after it");
        assert_eq!(in_flight(&cache), 0);
    }
}

#[tokio::test]
async fn whoever_waits_for_a_batch_that_is_dropped_takes_over_what_it_needs() {
    let server = RedisServer::start();
    for cache in tiers(&server).await {
        let truth = Truth::gated(&[1]);
        let dropped = read(&cache, &truth, &[1, 2, 3]);
        truth.reached(1).await;
        let waiting = [&[2, 4], &[3, 2]].map(|ids| read(&cache, &truth, ids));
        waits(&cache, |cache| {
            in_flight(cache) >= 3 && truth.asked.lock().unwrap().len() == 2
        })
        .await;
        dropped.abort();
        assert!(dropped.await.is_err());
        for waiting in waiting {
            assert_eq!(waiting.await.unwrap().unwrap().len(), 2);
        }
        let loads = truth.loads();
        assert_eq!(
            (loads[&2], loads[&3], loads[&4]),
            (2, 2, 1),
            "once more each"
        );
        wait_until_async(async || in_flight(&cache) == 0, "no flight is left").await;
        cache.clear("*").await.unwrap();
    }
    leases_are_given_back(&server).await;
}

/// It may hold what another batch needs, which holds what it needs itself.
#[tokio::test]
async fn what_is_taken_over_is_loaded_before_anything_else_is_waited_for() {
    let server = RedisServer::start();
    for cache in tiers(&server).await {
        let truth = Truth::gated(&[1, 5]);
        let dropped = read(&cache, &truth, &[1, 2]);
        let other = read(&cache, &truth, &[5, 3]);
        truth.reached(2).await;
        let waiting = read(&cache, &truth, &[2, 3, 4]);
        let asked = |ids: &'static [usize]| {
            let truth = Arc::clone(&truth);
            async move || truth.asked.lock().unwrap().iter().any(|asked| asked == ids)
        };
        wait_until_async(asked(&[4]), "4 is loaded").await;
        dropped.abort();
        wait_until_async(asked(&[2]), "2 is loaded, while 3 is not there").await;
        truth.open();
        assert_eq!(other.await.unwrap().unwrap().len(), 2);
        assert_eq!(waiting.await.unwrap().unwrap().len(), 3);
        cache.clear("*").await.unwrap();
    }
}

/// Where a batch finds nothing, those who wait with another function load as one of them, not each for itself.
#[tokio::test]
async fn who_waits_with_another_function_for_an_id_without_a_value_looks_again() {
    #[cached(ttl = 300, prefix = "user", key = "{id}:name", tags = ["user:{id}"])]
    async fn lenient(truth: &Truth, id: usize) -> u64 {
        let read = truth.read(&[id]).await.unwrap();
        read.get(&id).copied().unwrap_or(99)
    }
    let server = RedisServer::start();
    for cache in tiers(&server).await {
        let truth = Truth::gated(&[77]);
        let batch = read(&cache, &truth, &[77]);
        truth.reached(1).await;
        let single = || {
            let truth = Arc::clone(&truth);
            with_cache(cache.clone(), async move { lenient(&truth, 77).await })
        };
        let singles: Vec<_> = (0..5).map(|_| tokio::spawn(single())).collect();
        // They have looked, so that they wait.
        for _ in 0..3 {
            let looked = with_cache(cache.clone(), user(&truth, 8)).await;
            assert_eq!(looked, Ok(0));
            cache.delete("user:8:name").await.unwrap();
        }
        truth.asked();
        truth.open();
        assert!(batch.await.unwrap().unwrap().is_empty());
        for single in singles {
            assert_eq!(single.await.unwrap(), 99);
        }
        assert_eq!(truth.asked(), [[77]], "one of the five");
        cache.clear("*").await.unwrap();
    }
}

#[tokio::test]
async fn a_list_has_a_value_for_each_id_also_where_another_batch_has_found_none() {
    #[cached(batch, ttl = 300, prefix = "user", key = "{id}:name", tags = ["user:{id}"])]
    async fn all(truth: &Truth, ids: &[usize]) -> Vec<u64> {
        let read = truth.read(ids).await.unwrap();
        let value = |id| read.get(id).copied().unwrap_or(99);
        ids.iter().map(value).collect()
    }
    let server = RedisServer::start();
    for cache in tiers(&server).await {
        let truth = Truth::gated(&[77]);
        let lacks = read(&cache, &truth, &[77]);
        truth.reached(1).await;
        let list = tokio::spawn({
            let (cache, truth) = (cache.clone(), Arc::clone(&truth));
            with_cache(cache, async move { all(&truth, &[77, 1]).await })
        });
        let follows = async || truth.asked.lock().unwrap().len() == 2;
        wait_until_async(follows, "1 is loaded while 77 is waited for").await;
        truth.open();
        assert!(lacks.await.unwrap().unwrap().is_empty());
        assert_eq!(list.await.unwrap(), [99, 0]);
        cache.clear("*").await.unwrap();
    }
}

#[tokio::test]
async fn a_batch_that_is_dropped_at_any_moment_leaves_nothing_behind() {
    let server = RedisServer::start();
    for cache in tiers(&server).await {
        let truth = Truth::default();
        let mut completed = false;
        for polls in 0..100 {
            cache.invalidate_prefix("user").await.unwrap();
            let mut call = Box::pin(with_cache(cache.clone(), users(&truth, &[1, 2, 3])));
            for _ in 0..polls {
                let mut context = Context::from_waker(Waker::noop());
                if pin!(&mut call).poll(&mut context).is_ready() {
                    completed = true;
                    break;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            drop(call);
            if completed {
                break;
            }
            let again = with_cache(cache.clone(), users(&truth, &[3, 2, 1])).await;
            assert_eq!(again.unwrap().len(), 3);
            assert_eq!(in_flight(&cache), 0, "after {polls} polls");
        }
        assert!(completed);
    }
    leases_are_given_back(&server).await;
}

/// Batches and single calls in two processes, among changes of single entries and of all of them: whoever begins after an
/// invalidation has ended reads no version from before it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_reads_what_was_invalidated_before_he_began() {
    let server = RedisServer::start();
    let caches = [on(&server).await, on(&server).await];
    let truth = Arc::new(Truth::default());
    let seed = dice::seed("BATCH_SEED");
    let mut tasks = JoinSet::new();
    for task in 0..12_u64 {
        let cache = caches[usize::try_from(task % 2).unwrap()].clone();
        let (truth, mut dice) = (Arc::clone(&truth), Dice(seed.wrapping_add(task)));
        tasks.spawn(with_cache(cache, async move {
            for _ in 0..150 {
                step(&truth, &mut dice).await;
            }
        }));
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    leases_are_given_back(&server).await;
}

async fn step(truth: &Truth, dice: &mut Dice) {
    let id = dice.below(USERS as u64);
    let settled = |id: usize| truth.settled[id].load(Ordering::SeqCst);
    match dice.below(10) {
        0 => {
            let version = match dice.one_in(4) {
                true => change_all_far(truth, id).await,
                false => change_far(truth, id).await,
            };
            truth.settled[id].fetch_max(version, Ordering::SeqCst);
        }
        1..3 => {
            let least = settled(id);
            let version = far_one(truth, id).await.unwrap();
            assert!(version >= least, "{id}: {version} of {least}");
        }
        _ => {
            let ids: Vec<_> = (0..USERS).filter(|_| dice.one_in(3)).collect();
            let least: Vec<_> = ids.iter().map(|id| settled(*id)).collect();
            let read = far(truth, &ids).await.unwrap();
            for (id, least) in ids.iter().zip(least) {
                assert!(read[id] >= least, "{id}: {} of {least}", read[id]);
            }
        }
    }
}
