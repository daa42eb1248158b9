use cache_runtime::{cache_invalidate, cached};

#[cached(sensitive(tokn))]
async fn session(token: String) -> String {
    token
}

#[cache_invalidate(prefix = "session", key = "{token}", sensitive(tokn))]
async fn log_out(token: String) {
    drop(token);
}

fn main() {}
