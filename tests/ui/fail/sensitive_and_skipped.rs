use cache_runtime::cached;

#[cached(skip(token), sensitive(token))]
async fn session(token: String, id: u64) -> String {
    format!("{token} {id}")
}

fn main() {}
