use cache_runtime::cache_put;

#[cache_put(ttl = "1h", entri = 7)]
async fn save_user(id: u64) -> u64 {
    id
}

#[cache_put(ttl = "1h")]
async fn save_name(id: u64) -> u64 {
    id
}

fn main() {}
