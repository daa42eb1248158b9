use cache_runtime::cached;

#[cached(prefix = "user", key = "{id}", skip(verbose))]
async fn get_user(id: u64, verbose: bool) -> String {
    format!("{id} {verbose}")
}

fn main() {}
