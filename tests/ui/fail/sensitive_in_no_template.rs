use cache_runtime::{cache_invalidate, cached};

#[cached(prefix = "session", key = "{id}", sensitive(token))]
async fn session(token: String, id: u64) -> String {
    format!("{token} {id}")
}

#[cache_invalidate(prefix = "session", sensitive(token))]
async fn log_out(token: String) {
    drop(token);
}

fn main() {}
