use cache_runtime::cached;

#[cached(skip(databse))]
async fn get_user(database: &Database, id: u64) -> String {
    database.name(id)
}

struct Database;

impl Database {
    fn name(&self, id: u64) -> String {
        id.to_string()
    }
}

fn main() {}
