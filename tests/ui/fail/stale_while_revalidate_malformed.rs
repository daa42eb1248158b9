use cache_runtime::cached;

#[cached(stale_while_revalidate = "0s")]
async fn zero(id: u64) -> u64 {
    id
}

#[cached(stale_while_revalidate = -5)]
async fn negative(id: u64) -> u64 {
    id
}

#[cached(stale_while_revalidate = "1 minute")]
async fn unit(id: u64) -> u64 {
    id
}

#[cached(stale_while_revalidate = true)]
async fn forever(id: u64) -> u64 {
    id
}

fn main() {}
