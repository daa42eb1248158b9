use cache_runtime::cached;

#[cached(batch)]
fn users(ids: Vec<u64>) -> Vec<u64> {
    ids
}

fn main() {}
