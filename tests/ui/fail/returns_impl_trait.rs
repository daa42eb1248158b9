use cache_runtime::{cache_invalidate, cached};

#[cached]
async fn load(id: u64) -> Result<impl Into<u64>, String> {
    Ok(id)
}

#[cache_invalidate(prefix = "user")]
async fn save(id: u64) -> impl Into<u64> {
    id
}

fn main() {}
