use cache_runtime::cached;

#[cached(load_timeout = "500ms")]
async fn returns_what(id: u64) -> Result<u64, String> {
    Ok(id)
}

#[cached(load_timeout = "500ms", stale_if_error = "1h")]
async fn borrowed(db: &str, id: u64) -> Result<u64, String> {
    Ok(id)
}

#[cached(load_timeout = "500ms", stale_if_error = "1h", background = false)]
async fn by_whom(id: u64) -> Result<u64, String> {
    Ok(id)
}

#[cached(load_timeout = "0s", stale_if_error = "1h")]
async fn at_once(id: u64) -> Result<u64, String> {
    Ok(id)
}

fn main() {}
