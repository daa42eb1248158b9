use cache_runtime::cached;

struct Database;

#[cached]
async fn get_user(replica: Option<Database>, id: u64) -> String {
    drop(replica);
    id.to_string()
}

fn main() {}
