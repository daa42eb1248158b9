use cache_runtime::cached;

#[cached(ttl = 60, prefix = "user", ttl = 90)]
async fn get_user(id: u64) -> String {
    id.to_string()
}

fn main() {}
