use cache_runtime::cached;

#[cached(prefix = "user", key = "{first}{last}")]
async fn get_user(first: String, last: String) -> String {
    first + &last
}

fn main() {}
