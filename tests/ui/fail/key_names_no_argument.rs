use cache_runtime::cached;

#[cached(prefix = "user", key = "{user}:profile")]
async fn get_user(user_id: u64) -> String {
    user_id.to_string()
}

fn main() {}
