use cache_runtime::cached;

#[cached]
async fn get_user(name: &str) -> &str {
    name
}

fn main() {}
