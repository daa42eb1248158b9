use cache_runtime::cached;

#[cached(
    batch,
    stale_while_revalidate = "1m",
    stale_if_error = "1h",
    early_refresh = true,
    load_timeout = "1s",
    background = false,
    coalesce = "fleet"
)]
async fn users(ids: Vec<u64>) -> Vec<u64> {
    ids
}

fn main() {}
