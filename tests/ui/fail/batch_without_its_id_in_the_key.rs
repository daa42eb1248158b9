use cache_runtime::cached;

#[cached(batch, prefix = "user", key = "{tenant}")]
async fn not_named(tenant: u64, ids: Vec<u64>) -> Vec<u64> {
    let _ = tenant;
    ids
}

#[cached(batch, prefix = "user", key = "{ids}")]
async fn all_of_them(ids: Vec<u64>) -> Vec<u64> {
    ids
}

#[cached(batch, prefix = "user", skip(id))]
async fn skipped(ids: Vec<u64>) -> Vec<u64> {
    ids
}

fn main() {}
