use cache_runtime::{cache_invalidate, cached};

#[cached]
async fn get_user(id: u64) -> String {
    format!("user {id}")
}

#[cache_invalidate(entry = get_user(name))]
async fn update_user(name: String) {
    println!("{name}");
}

fn main() {}
