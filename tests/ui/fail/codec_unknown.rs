use cache_runtime::cached;

#[cached(codec = "jsn")]
async fn misspelt(id: u64) -> u64 {
    id
}

#[cached(codec = "protobuf")]
async fn none_of_ours(id: u64) -> u64 {
    id
}

#[cached(codec = json)]
async fn no_literal(id: u64) -> u64 {
    id
}

fn main() {}
