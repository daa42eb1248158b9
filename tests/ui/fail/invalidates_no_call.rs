use cache_runtime::cache_invalidate;

#[cache_invalidate(entry = "user:{id}")]
async fn update_user(id: u64) {
    println!("{id}");
}

fn main() {}
