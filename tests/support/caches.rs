//! Caches that differ in nothing but where they are.

use std::time::Duration;

use cache_runtime::Cache;

use super::RedisServer;

/// A busy machine is not to be taken for a Redis that does not answer.
const PATIENCE: Duration = Duration::from_secs(5);

pub async fn in_process() -> Cache {
    Cache::builder().open().await.unwrap()
}

pub async fn on(server: &RedisServer) -> Cache {
    let builder = Cache::builder().redis_url(server.url());
    let builder = builder.connect_timeout(PATIENCE);
    builder.response_timeout(PATIENCE).open().await.unwrap()
}
