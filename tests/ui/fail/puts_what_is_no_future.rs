use cache_runtime::cache_put;

fn get_user(id: u64) -> u64 {
    id
}

#[cache_put(entry = get_user(id))]
async fn save_user(id: u64) -> u64 {
    id
}

fn main() {}
