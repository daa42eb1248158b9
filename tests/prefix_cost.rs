//! What an invalidation costs does not depend on how much it reaches: counted in commands, which no machine's speed changes.
//! `examples/prefix_cost.rs` measures the time.

mod support;

use std::collections::BTreeMap;

use cache_runtime::Cache;
use support::RedisServer;

/// What the server does for others, or to keep a connection alive.
const BESIDE: &[&str] = &["client", "config", "hello", "info", "ping", "time"];

async fn fill(cache: &Cache, entries: usize) -> Vec<String> {
    let entries: Vec<(String, usize)> = (0..entries)
        .map(|number| (format!("film:{number}"), number))
        .collect();
    for batch in entries.chunks(1_000) {
        cache.set_many(batch, None).await.unwrap();
    }
    entries.into_iter().map(|(key, _)| key).collect()
}

/// How often the server ran each command since its counts were reset.
fn commands(server: &RedisServer) -> BTreeMap<String, u64> {
    let stats = server.cli(&["INFO", "commandstats"]);
    let counts = stats.lines().filter_map(|line| {
        let (name, numbers) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        let calls = numbers.split(',').next()?.parse().ok()?;
        Some((name.to_owned(), calls))
    });
    let ours = |name: &str| !BESIDE.contains(&name.split('|').next().unwrap_or(name));
    counts.filter(|(name, _)| ours(name)).collect()
}

#[tokio::test]
async fn invalidating_a_prefix_is_one_deletion_however_many_entries_lie_under_it() {
    for size in [0, 10, 5_000] {
        let server = RedisServer::start();
        let cache = Cache::builder()
            .redis_url(server.url())
            .open()
            .await
            .unwrap();
        let keys = fill(&cache, size).await;
        let found = cache.get_many::<usize>(&keys).await.unwrap();
        assert_eq!(found.iter().flatten().count(), size, "it is there before");
        server.cli(&["CONFIG", "RESETSTAT"]);

        let told = cache.invalidate_prefix("film").await.unwrap();

        assert!(told.is_confirmed(), "{told:?}");
        let one = BTreeMap::from([("unlink".to_owned(), 1)]);
        assert_eq!(commands(&server), one, "{size} entries");
        let found = cache.get_many::<usize>(&keys).await.unwrap();
        assert_eq!(found.iter().flatten().count(), 0, "{size} entries");
    }
}
