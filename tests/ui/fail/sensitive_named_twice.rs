use cache_runtime::cached;

#[cached(sensitive(token, token))]
async fn session(token: String) -> String {
    token
}

fn main() {}
