use cache_runtime::{cache_invalidate, cache_put, cached};

#[cached]
fn get_user(id: u64) -> u64 {
    id
}

#[cache_put(entry = get_user(id))]
async fn save_user(id: u64) -> u64 {
    id
}

#[cache_invalidate(entry = get_user(id))]
async fn delete_user(id: u64) {
    let _ = id;
}

fn main() {}
