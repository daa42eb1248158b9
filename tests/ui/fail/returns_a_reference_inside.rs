use cache_runtime::cached;

#[cached]
async fn get_user(name: &str) -> Result<Option<&str>, String> {
    Ok(Some(name))
}

fn main() {}
