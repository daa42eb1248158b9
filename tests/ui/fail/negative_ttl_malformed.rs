use cache_runtime::cached;

#[cached(negative_ttl = 0)]
async fn zero(id: u64) -> Option<u64> {
    Some(id)
}

#[cached(negative_ttl = std::time::Duration::from_secs(id))]
async fn computed(id: u64) -> Option<u64> {
    Some(id)
}

fn main() {}
