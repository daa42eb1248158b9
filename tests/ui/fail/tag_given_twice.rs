use cache_runtime::cached;

#[cached(tags = ["user:{id}", "all", "user:{id}"])]
async fn get_user(id: u64) -> String {
    id.to_string()
}

fn main() {}
