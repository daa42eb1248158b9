use cache_runtime::cached;

#[cached(ttl = std::time::Duration::from_secs(name.len() as u64))]
async fn load(name: String) -> usize {
    let taken = name;
    name.len() + taken.len()
}

fn main() {}
