use cache_runtime::cache_invalidate;

#[cache_invalidate(tag = ["user:{id}"])]
async fn update_user(id: u64) {
    println!("{id}");
}

fn main() {}
