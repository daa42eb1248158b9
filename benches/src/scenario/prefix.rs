//! What invalidating a prefix costs, in `PING`s over a connection of the same kind, and in round trips.

use std::time::{Duration, Instant};

use cache_runtime::Cache;
use redis::aio::MultiplexedConnection;

use super::proxy::Proxy;
use super::{Figures, Order};
use crate::candidate::{Outcome, ours};
use crate::work::TTL;

/// Round trips are counted in so many rounds.
const COUNTED: usize = 100;

pub async fn run(order: &Order, entries: usize) -> Outcome<Figures> {
    let cache = ours::on_redis(&order.redis).await?;
    let client = redis::Client::open(order.redis.as_str())?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    let prefix = format!("prefix-{entries}");
    fill(&cache, &prefix, entries).await?;

    let (mut invalidations, mut pings) = (Vec::new(), Vec::new());
    let start = Instant::now();
    while start.elapsed() < order.time || invalidations.len() < COUNTED {
        revive(&cache, &prefix, invalidations.len() % entries).await?;
        pings.push(ping(&mut connection).await?);
        let start = Instant::now();
        let told = cache.invalidate_prefix(&prefix).await?;
        invalidations.push(start.elapsed());
        assert!(told.is_confirmed(), "{told:?}");
    }
    let first = cache.get::<u64>(&format!("{prefix}:0")).await?;
    assert_eq!(first, None, "it was invalidated");
    let (invalidation, ping) = (median(invalidations), median(pings));
    Ok(vec![
        ("us", invalidation.as_secs_f64() * 1e6),
        ("ping_us", ping.as_secs_f64() * 1e6),
        ("pings", invalidation.as_secs_f64() / ping.as_secs_f64()),
        ("round_trips", round_trips(order, &prefix).await?),
    ])
}

/// Real entries, as `set` writes them.
async fn fill(cache: &Cache, prefix: &str, entries: usize) -> Outcome<()> {
    let keys: Vec<(String, u64)> = (0..entries)
        .map(|number| (format!("{prefix}:{number}"), number as u64))
        .collect();
    for batch in keys.chunks(5_000) {
        cache.set_many(batch, TTL).await?;
    }
    Ok(())
}

/// So that each invalidation finds a generation to delete.
async fn revive(cache: &Cache, prefix: &str, number: usize) -> Outcome<()> {
    Ok(cache
        .set(&format!("{prefix}:{number}"), &1_u64, TTL)
        .await?)
}

async fn ping(connection: &mut MultiplexedConnection) -> Outcome<Duration> {
    let start = Instant::now();
    redis::cmd("PING").exec_async(connection).await?;
    Ok(start.elapsed())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

async fn round_trips(order: &Order, prefix: &str) -> Outcome<f64> {
    let proxy = Proxy::open(&order.redis)?;
    let cache = ours::on_redis(&proxy.url()).await?;
    cache.invalidate_prefix(prefix).await?;
    let mut trips = 0;
    for number in 0..COUNTED {
        revive(&cache, prefix, number).await?;
        let before = proxy.round_trips();
        cache.invalidate_prefix(prefix).await?;
        trips += proxy.round_trips() - before;
    }
    Ok(trips as f64 / COUNTED as f64)
}
