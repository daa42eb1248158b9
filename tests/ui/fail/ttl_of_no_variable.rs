use cache_runtime::cached;

#[cached(ttl = "$")]
async fn no_name(id: u64) -> u64 {
    id
}

#[cached(ttl = "$MY-TTL|5m")]
async fn no_word(id: u64) -> u64 {
    id
}

#[cached(ttl = "$TTL|soon")]
async fn no_default(id: u64) -> u64 {
    id
}

#[cached(near_ttl = "$TTL")]
async fn not_of_the_near_tier(id: u64) -> u64 {
    id
}

fn main() {}
