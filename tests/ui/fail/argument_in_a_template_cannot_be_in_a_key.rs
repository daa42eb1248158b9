use cache_runtime::cached;

struct Database;

#[cached(prefix = "user", key = "{db}:{id}")]
async fn get_user(db: &Database, id: u64) -> String {
    let _ = db;
    id.to_string()
}

fn main() {}
