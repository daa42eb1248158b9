//! How the cost of a hit grows with what there is more of.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use cache_runtime::{Cache, cached};
use redis::aio::MultiplexedConnection;

use super::Figures;
use crate::candidate::{Outcome, ours};
use crate::work::{Random, TTL};

/// What there is more of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axis {
    Keys,
    /// Of the encoded value.
    Bytes,
    /// Levels of the prefix.
    Depth,
    Tags,
    /// That read Redis at the same time, in one process.
    Tasks,
    /// That track the same keys.
    Clients,
}

/// Who answers the hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    Near,
    Redis,
}

/// One point of one axis.
#[derive(Debug, Clone)]
pub struct Point {
    pub axis: Axis,
    pub amount: usize,
    pub tier: Tier,
    pub redis: String,
    pub time: Duration,
}

/// Keys that each client of [`Axis::Clients`] has read.
const TRACKED: usize = 10_000;

pub fn run(point: &Point) -> Outcome<Figures> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(measure(point))
}

async fn measure(point: &Point) -> Outcome<Figures> {
    let Point { axis, amount, .. } = *point;
    if axis == Axis::Clients {
        return clients(point).await;
    }
    let cache = ours::on_redis_with(&point.redis, point.tier == Tier::Near).await?;
    match axis {
        Axis::Keys => by_hand(point, &cache, &keys(amount, 2), 100).await,
        Axis::Bytes => by_hand(point, &cache, &keys(100, 2), amount).await,
        Axis::Depth => by_hand(point, &cache, &keys(100, amount), 100).await,
        Axis::Tasks => tasks(point, cache).await,
        Axis::Tags | Axis::Clients => {
            cache_runtime::install(cache)?;
            tagged(point).await
        }
    }
}

/// Names under a prefix of so many levels; those of other processes are others.
fn keys(count: usize, depth: usize) -> Vec<String> {
    let mut prefix = format!("scale{}", std::process::id());
    for level in 1..depth {
        let _ = write!(prefix, ":level{level}");
    }
    (0..count)
        .map(|number| format!("{prefix}:{number}"))
        .collect()
}

async fn fill(cache: &Cache, keys: &[String], bytes: usize) -> Outcome<()> {
    let value = Arc::new("v".repeat(bytes));
    for batch in keys.chunks(1_000) {
        let batch: Vec<_> = batch
            .iter()
            .map(|key| (key.clone(), Arc::clone(&value)))
            .collect();
        cache.set_many(&batch, TTL).await?;
    }
    Ok(())
}

async fn read(cache: &Cache, key: &str) -> Arc<String> {
    let load = || async { Ok::<_, Infallible>(Arc::new(String::new())) };
    match cache.get_or_set(key, TTL, load).await {
        Ok(value) => value,
    }
}

async fn by_hand(point: &Point, cache: &Cache, keys: &[String], bytes: usize) -> Outcome<Figures> {
    fill(cache, keys, bytes).await?;
    for key in keys.iter().take(10_000) {
        assert_eq!(read(cache, key).await.len(), bytes, "a hit");
    }
    let mut random = Random(1);
    let (start, mut calls) = (Instant::now(), 0_u32);
    while start.elapsed() < point.time {
        for _ in 0..16 {
            let place = random.next() % keys.len() as u64;
            read(cache, &keys[usize::try_from(place)?]).await;
        }
        calls += 16;
    }
    Ok(vec![(
        "ns",
        start.elapsed().as_nanos() as f64 / f64::from(calls),
    )])
}

async fn tasks(point: &Point, cache: Cache) -> Outcome<Figures> {
    let keys: Arc<[String]> = keys(1_000, 2).into();
    fill(&cache, &keys, 100).await?;
    let calls = Arc::new(AtomicU64::new(0));
    for number in 0..point.amount {
        let (cache, keys, calls) = (cache.clone(), Arc::clone(&keys), Arc::clone(&calls));
        // They end with the runtime.
        tokio::spawn(async move {
            for key in keys.iter().cycle().skip(number) {
                read(&cache, key).await;
                calls.fetch_add(1, Relaxed);
            }
        });
    }
    tokio::time::sleep(point.time / 5).await;
    let (before, start) = (calls.load(Relaxed), Instant::now());
    tokio::time::sleep(point.time).await;
    let calls = calls.load(Relaxed) - before;
    let elapsed = start.elapsed();
    Ok(vec![
        ("per_second", calls as f64 / elapsed.as_secs_f64()),
        (
            "ns",
            elapsed.as_nanos() as f64 * point.amount as f64 / calls as f64,
        ),
    ])
}

/// A cached function for each number of tags and each tier.
macro_rules! tagged {
    ($($amount:literal $near:ident $redis:ident [$($tag:literal),*];)*) => {
        $(
            #[cached(ttl = "1h", prefix = "tags", tags = [$($tag),*])]
            async fn $near(id: u64) -> u64 {
                id
            }

            #[cached(ttl = "1h", prefix = "tags", tags = [$($tag),*], near = false)]
            async fn $redis(id: u64) -> u64 {
                id
            }
        )*

        async fn with_tags(tags: usize, tier: Tier, id: u64) -> u64 {
            match (tags, tier) {
                $(
                    ($amount, Tier::Near) => $near(id).await,
                    ($amount, Tier::Redis) => $redis(id).await,
                )*
                _ => unreachable!("the driver asks for what there is"),
            }
        }
    };
}

tagged! {
    1 near_1 redis_1 ["a:{id}"];
    4 near_4 redis_4 ["a:{id}", "b:{id}", "c:{id}", "d:{id}"];
    16 near_16 redis_16 [
        "a:{id}", "b:{id}", "c:{id}", "d:{id}", "e:{id}", "f:{id}", "g:{id}", "h:{id}",
        "i:{id}", "j:{id}", "k:{id}", "l:{id}", "m:{id}", "n:{id}", "o:{id}", "p:{id}"
    ];
}

async fn tagged(point: &Point) -> Outcome<Figures> {
    for id in (0..100).chain(0..100) {
        with_tags(point.amount, point.tier, id).await;
    }
    let (start, mut calls) = (Instant::now(), 0_u32);
    while start.elapsed() < point.time {
        for id in 0..16 {
            with_tags(point.amount, point.tier, id).await;
        }
        calls += 16;
    }
    Ok(vec![(
        "ns",
        start.elapsed().as_nanos() as f64 / f64::from(calls),
    )])
}

/// What the server keeps for each key and each client that has read it, and what a write costs that all of them are told of.
async fn clients(point: &Point) -> Outcome<Figures> {
    let client = redis::Client::open(format!("{}?protocol=resp3", point.redis))?;
    let mut writer = client.get_multiplexed_async_connection().await?;
    redis::cmd("FLUSHALL").exec_async(&mut writer).await?;
    let keys = keys(TRACKED, 2);
    for batch in keys.chunks(1_000) {
        let mut sets = redis::pipe();
        for key in batch {
            sets.set(key, "value").ignore();
        }
        sets.exec_async(&mut writer).await?;
    }
    let mut readers = Vec::new();
    for _ in 0..point.amount {
        let mut reader = client.get_multiplexed_async_connection().await?;
        redis::cmd("CLIENT")
            .arg("TRACKING")
            .arg("ON")
            .exec_async(&mut reader)
            .await?;
        read_all(&mut reader, &["nothing".to_owned()]).await?;
        readers.push(reader);
    }
    let before = used_memory(&mut writer).await?;
    for reader in &mut readers {
        read_all(reader, &keys).await?;
    }
    // Buffers of the replies are given back.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let kept = used_memory(&mut writer).await? - before;
    let start = Instant::now();
    for key in keys.iter().take(1_000) {
        redis::cmd("SET")
            .arg(key)
            .arg("other")
            .exec_async(&mut writer)
            .await?;
    }
    let write = start.elapsed().as_secs_f64() * 1e6 / 1_000.0;
    Ok(vec![
        ("bytes_each", kept / (TRACKED * point.amount) as f64),
        ("write_us", write),
    ])
}

async fn read_all(reader: &mut MultiplexedConnection, keys: &[String]) -> Outcome<()> {
    for batch in keys.chunks(100) {
        let _: Vec<Option<String>> = redis::cmd("MGET").arg(batch).query_async(reader).await?;
    }
    Ok(())
}

async fn used_memory(connection: &mut MultiplexedConnection) -> Outcome<f64> {
    let information: String = redis::cmd("INFO")
        .arg("memory")
        .query_async(connection)
        .await?;
    let used = information
        .lines()
        .find_map(|line| line.strip_prefix("used_memory:"));
    Ok(used
        .ok_or("the server does not tell its memory")?
        .trim()
        .parse()?)
}
