use cache_runtime::cached;

#[cached]
async fn get_user<T: std::fmt::Display>(id: T) -> String {
    id.to_string()
}

fn main() {}
