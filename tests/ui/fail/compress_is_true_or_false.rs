use cache_runtime::cached;

#[cached(compress = "zstd")]
async fn get_user(id: u64) -> String {
    id.to_string()
}

fn main() {}
