use cache_runtime::cached;

struct Database;

impl Database {
    #[cached]
    async fn get_user(&self, id: u64) -> String {
        id.to_string()
    }
}

fn main() {}
