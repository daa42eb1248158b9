use cache_runtime::cached;

#[cached(prefix = "tile", key = "{x}")]
async fn get_tile((x, y): (u32, u32)) -> u32 {
    x * y
}

fn main() {}
