use cache_runtime::{cache_put, cached};

#[cached]
async fn get_user(id: u64) -> String {
    format!("user {id}")
}

#[cache_put(entry = get_user(id))]
async fn save_user(id: u64) {
    println!("{id}");
}

fn main() {}
