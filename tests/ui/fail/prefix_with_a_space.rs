use cache_runtime::cached;

#[cached(prefix = "my users")]
async fn get_user(id: u64) -> String {
    id.to_string()
}

fn main() {}
