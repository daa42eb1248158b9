use cache_runtime::cached;

#[cached]
async fn load(id: u64) -> Result<String, u8> {
    if id == 0 {
        return id;
    }
    let text: String = std::str::from_utf8(&[1])?.to_owned();
    Ok(text)
}

fn main() {}
