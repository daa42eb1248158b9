use cache_runtime::cache_invalidate;

#[cache_invalidate(prefix = ["user", "stats"], key = "{id}")]
async fn update_user(id: u64) {
    println!("{id}");
}

fn main() {}
