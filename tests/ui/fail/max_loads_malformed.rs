use cache_runtime::cached;

#[cached(max_loads = 0)]
async fn none(id: u64) -> u64 {
    id
}

#[cached(max_loads = "8")]
async fn text(id: u64) -> u64 {
    id
}

#[cached(max_loads = -1)]
async fn negative(id: u64) -> u64 {
    id
}

fn main() {}
