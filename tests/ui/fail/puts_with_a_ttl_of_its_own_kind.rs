use cache_runtime::{cache_put, cached};

#[cached(prefix = "user")]
async fn get_user(id: u64) -> u64 {
    id
}

#[cache_put(entry = get_user(id), ttl = "$USER_TTL")]
async fn from_the_environment(id: u64) -> u64 {
    id
}

#[cache_put(entry = get_user(id), ttl = |user: &u64| std::time::Duration::from_secs(*user))]
async fn over_the_value(id: u64) -> u64 {
    id
}

fn main() {}
