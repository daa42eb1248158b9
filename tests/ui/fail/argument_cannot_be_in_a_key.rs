use cache_runtime::cached;

struct Database;

#[cached]
async fn get_user(db: &Database, id: u64) -> String {
    let _ = db;
    id.to_string()
}

fn main() {}
