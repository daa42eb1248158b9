use cache_runtime::cached;

#[cached(tags = ["all", "user:{user}"])]
async fn get_user(user_id: u64) -> String {
    user_id.to_string()
}

fn main() {}
