use cache_runtime::cached;
use std::collections::HashMap;

#[cached(batch, negative_ttl = "30s")]
async fn users(ids: Vec<u64>) -> Result<HashMap<u64, Option<String>>, ()> {
    Ok(ids.into_iter().map(|id| (id, None)).collect())
}

#[cached(batch, negative_ttl = "30s")]
async fn names(ids: Vec<u64>) -> Vec<String> {
    ids.into_iter().map(|id| id.to_string()).collect()
}

fn main() {}
