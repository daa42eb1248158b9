use cache_runtime::cached;

#[cached(ttl = seconds())]
async fn get_user(id: u64) -> String {
    id.to_string()
}

fn seconds() -> u64 {
    60
}

fn main() {}
