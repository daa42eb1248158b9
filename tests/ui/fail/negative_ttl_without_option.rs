use cache_runtime::cached;

#[cached(negative_ttl = "30s")]
async fn names(id: u64) -> Result<Vec<String>, String> {
    Ok(vec![id.to_string()])
}

fn main() {}
