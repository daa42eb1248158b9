use cache_runtime::cached;

#[cached(prefix = "user", key = "{first},{last}")]
async fn get_user(first: &str, last: &str) -> String {
    format!("{first} {last}")
}

fn main() {}
