use cache_runtime::cached;
use std::collections::HashMap;

#[cached(batch)]
async fn no_list(id: u64) -> HashMap<u64, String> {
    HashMap::from([(id, id.to_string())])
}

#[cached(batch)]
async fn several_lists(ids: &[u64], names: Vec<String>) -> Vec<String> {
    drop(ids);
    names
}

#[cached(batch(person in peple))]
async fn misspelt(people: Vec<u64>) -> Vec<u64> {
    people
}

#[cached(batch = true)]
async fn a_value(ids: Vec<u64>) -> Vec<u64> {
    ids
}

#[cached(batch(ids))]
async fn half_a_name(ids: Vec<u64>) -> Vec<u64> {
    ids
}

#[cached(batch)]
async fn taken(id: &str, ids: Vec<u64>) -> Vec<u64> {
    let _ = id;
    ids
}

fn main() {}
