//! Batch.

mod support;

use cache_runtime::{Cache, cached, with_cache};
use std::collections::HashMap;
use std::convert::Infallible;

#[cached(batch, ttl = 300, prefix = "user", key = "{id}")]
async fn users(
    log: &std::sync::Mutex<Vec<Vec<u64>>>,
    ids: Vec<u64>,
) -> Result<HashMap<u64, String>, Infallible> {
    log.lock().unwrap().push(ids.clone());
    Ok(ids
        .into_iter()
        .map(|id| (id, format!("user {id}")))
        .collect())
}

#[cached(batch, ttl = 300, prefix = "name", tags = ["tag:{id}"])]
async fn names(mut prefix: String, ids: &[&str]) -> Vec<String> {
    prefix.push('!');
    ids.iter().map(|id| format!("{prefix}{id}")).collect()
}

#[tokio::test]
async fn it_works() {
    let cache = Cache::builder().open().await.unwrap();
    let log = std::sync::Mutex::default();
    with_cache(cache.clone(), async {
        assert_eq!(users(&log, vec![1, 2, 2, 3]).await.unwrap().len(), 3);
        assert_eq!(users(&log, vec![1, 4, 2, 2, 3]).await.unwrap().len(), 4);
        assert_eq!(users(&log, vec![1, 4, 2, 2, 3]).await.unwrap().len(), 4);
        assert_eq!(names("a".into(), &["x", "y"]).await, ["a!x", "a!y"]);
        assert_eq!(
            names("a".into(), &["x", "z", "y"]).await,
            ["a!x", "a!z", "a!y"]
        );
    })
    .await;
    assert_eq!(*log.lock().unwrap(), [vec![1, 2, 3], vec![4]]);
}
