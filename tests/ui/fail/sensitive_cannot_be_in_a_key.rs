use cache_runtime::cached;

struct Token;

#[cached(sensitive(token))]
async fn session(token: &Token) -> u64 {
    let _ = token;
    1
}

fn main() {}
