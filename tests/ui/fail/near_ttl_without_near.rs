use cache_runtime::cached;

#[cached(near = false, near_ttl = "5s")]
async fn get_user(id: u64) -> String {
    id.to_string()
}

fn main() {}
