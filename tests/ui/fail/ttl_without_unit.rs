use cache_runtime::cached;

#[cached(ttl = "300")]
async fn get_user(id: u64) -> String {
    id.to_string()
}

fn main() {}
