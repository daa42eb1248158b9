use cache_runtime::cache_invalidate;

#[cache_invalidate(prefix = "user", key = "{id}", tags = ["user:{idd}"])]
async fn update_user(id: u64) {
    println!("{id}");
}

fn main() {}
