use cache_runtime::cached;
use std::time::Duration;

#[cached(ttl = |seconds: &u64| *seconds)]
async fn seconds(id: u64) -> u64 {
    id
}

#[cached(ttl = |name: &String| Duration::from_secs(name.len() as u64))]
async fn of_another_type(id: u64) -> u64 {
    id
}

#[cached(ttl = |value, id| Duration::from_secs(value + id))]
async fn of_two(id: u64) -> u64 {
    id
}

fn main() {}
