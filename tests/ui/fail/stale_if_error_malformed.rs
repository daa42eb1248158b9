use cache_runtime::cached;

#[cached(stale_if_error = "0s")]
async fn zero(id: u64) -> Result<u64, String> {
    Ok(id)
}

#[cached(stale_if_error = "an hour")]
async fn words(id: u64) -> Result<u64, String> {
    Ok(id)
}

#[cached(stale_if_error = true)]
async fn flag(id: u64) -> Result<u64, String> {
    Ok(id)
}

fn main() {}
