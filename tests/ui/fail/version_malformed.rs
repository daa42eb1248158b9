use cache_runtime::cached;

#[cached(version = "2")]
async fn text(id: u64) -> u64 {
    id
}

#[cached(version = -1)]
async fn negative(id: u64) -> u64 {
    id
}

#[cached(version = 4294967296)]
async fn large(id: u64) -> u64 {
    id
}

fn main() {}
