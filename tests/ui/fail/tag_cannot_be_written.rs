use cache_runtime::cached;

struct Database;

#[cached(skip(db), tags = ["all", "db:{db}"])]
async fn get_user(db: &Database, id: u64) -> String {
    let _ = db;
    id.to_string()
}

fn main() {}
