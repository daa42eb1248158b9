use cache_runtime::cached;
use std::collections::HashMap;

#[cached(batch, prefix = "user")]
async fn names(ids: Vec<u64>) -> String {
    ids.len().to_string()
}

struct NoKey;

#[cached(batch, prefix = "user")]
async fn not_by_the_id(ids: Vec<String>) -> HashMap<u64, String> {
    HashMap::from([(1, ids.concat())])
}

#[cached(batch, prefix = "user")]
async fn cannot_be_cached(ids: Vec<u64>) -> Vec<NoKey> {
    ids.iter().map(|_| NoKey).collect()
}

fn main() {}
