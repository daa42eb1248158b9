use cache_runtime::cached;

#[derive(Clone)]
struct User;

#[cached(ttl = std::time::Duration::from_secs(id))]
async fn get_user(id: u64) -> Option<User> {
    let _ = id;
    None
}

fn main() {}
