use cache_runtime::cached;

#[cached]
async fn get_user(id: u64) -> String {
    id
}

fn main() {}
