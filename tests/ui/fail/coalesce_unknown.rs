use cache_runtime::cached;

#[cached(coalesce = "proces")]
async fn misspelt(id: u64) -> u64 {
    id
}

#[cached(coalesce = "cluster")]
async fn unknown(id: u64) -> u64 {
    id
}

#[cached(coalesce = off)]
async fn without_quotes(id: u64) -> u64 {
    id
}

fn main() {}
