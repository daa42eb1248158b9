use cache_runtime::cached;

#[derive(serde::Serialize, serde::Deserialize)]
struct User {
    id: u64,
}

#[cached]
async fn get_user(id: u64) -> User {
    User { id }
}

fn main() {}
