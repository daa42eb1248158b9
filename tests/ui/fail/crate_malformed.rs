use cache_runtime::{cache_invalidate, cache_put, cached};

#[cached(crate = "cache_runtime")]
async fn text(id: u64) -> u64 {
    id
}

#[cache_invalidate(prefix = "user", crate = cache_runtime::<u8>)]
async fn generic(id: u64) -> u64 {
    id
}

#[cache_put(entry = text(id), crate = cache_runtime.private)]
async fn field(id: u64) -> u64 {
    id
}

fn main() {}
