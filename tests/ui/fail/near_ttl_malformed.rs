use cache_runtime::cached;

#[cached(near_ttl = 0)]
async fn zero(id: u64) -> u64 {
    id
}

#[cached(near_ttl = -5)]
async fn negative(id: u64) -> u64 {
    id
}

#[cached(near_ttl = "5")]
async fn without_unit(id: u64) -> u64 {
    id
}

#[cached(near_ttl = 5s)]
async fn without_quotes(id: u64) -> u64 {
    id
}

#[cached(near_ttl = std::time::Duration::from_secs(id))]
async fn computed(id: u64) -> u64 {
    id
}

fn main() {}
